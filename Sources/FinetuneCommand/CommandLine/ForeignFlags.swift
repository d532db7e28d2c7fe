// Flags of Keras' and PyTorch's training scripts, torchvision's references, timm, fastai, Ultralytics, scikit-learn and
// Hugging Face, and what they are called here.

enum ForeignFlags {
    /// What to do in place of a flag that does not exist.
    enum Advice: Sendable, ExpressibleByStringLiteral {
        /// The flags that do this here, the most likely first; of them those count that the command has.
        case flags([String])
        /// A sentence.
        case sentence(String)

        init(stringLiteral value: String) { self = .flags([value]) }
    }

    /// Names, without hyphens and in small letters, of flags for what a command takes without a flag.
    static let arguments: [String: Set<String>] = [
        "predict": words(
            "data dataset source sources input inputs image images img imgs picture pictures path paths file files folder dir i datadir imagedir"
        ),
        "inspect": words("model base weights weight m w checkpoint ckpt file path input i modelpath"),
        "convert": words(
            "model base weights weight m w checkpoint ckpt file path input i in from modelpath out output o outfile outputfile save savepath dest destination"
        ),
    ]

    /// Names of flags for the file with a result.
    static let results = words(
        "out output o outfile outputfile outputdir outdir save savepath savedir savetxt savecsv dest destination csv project"
    )

    private static func words(_ text: String) -> Set<String> { Set(text.split(separator: " ").map(String.init)) }

    private static let noGPU: Advice = .sentence(
        "finetune computes on the processor (CPU) and needs no GPU. Leave the flag out; --threads says how many cores are used."
    )

    private static func table(_ rows: [(names: String, advice: Advice)]) -> [String: Advice] {
        var table: [String: Advice] = [:]
        for (names, advice) in rows {
            for name in names.split(separator: " ") { table[String(name)] = advice }
        }
        return table
    }

    /// Of single commands, before those of all.
    static let byCommand: [String: [String: Advice]] = [
        "compare": table([
            (
                "freeze freezelayers frozen frozenstages freezebackbone unfreeze unfreezelayers strategy",
                "--strategies"
            )
        ]),
        "evaluate": table([
            (
                "out output o outfile outputdir save csv html savejson",
                .sentence("For a page with the scores: --report page.html. For a file of numbers: --json > scores.json")
            ),
            ("metrics metric scoring", .sentence("Leave it out: every score is printed. A limit for one: --minimum")),
            ("threshold conf confidence", .flags(["--sensitivity", "--specificity"])),
        ]),
        "check": table([
            ("fix autofix out output o csv save", "--fix-list"),
            ("report html", .sentence("Findings go to standard output, and --fix-list look-at.csv writes a table.")),
        ]),
        "predict": table([
            ("r recursive recurse subfolders", .sentence("Leave it out: a folder is read with all folders in it.")),
            ("report html", .sentence("Predictions go to standard output, for example with --format csv > labels.csv")),
        ]),
        "inspect": table([
            (
                "data dataset images",
                .sentence("It shows what a weights file holds. For images: finetune check --data ./imgs")
            )
        ]),
        "extract": table([
            ("dim dimensions featuredim", .sentence("The layer says how many features there are: --layer"))
        ]),
    ]

    /// By name, without hyphens and in small letters.
    static let byName = table(machine + data + training + steps + outputs + sentences)

    private static let machine: [(names: String, advice: Advice)] = [
        (
            "device devices gpu gpus gpuid gpuids numgpus ngpu ngpus cuda nocuda mps tpu accelerator pinmem pinmemory cudnnbenchmark",
            noGPU
        ),
        ("cpu nogpu usecpu", .sentence("finetune always computes on the processor (CPU). Leave the flag out.")),
        (
            "distributed worldsize disturl distbackend localrank ddp nodes numnodes rank backend syncbn strategyddp",
            .sentence("Leave it out. Several processes or machines share a run as: mpirun -n 4 finetune …")
        ),
        (
            "deterministic usedeterministicalgorithms reproducible",
            .sentence("Leave it out: the same --seed and --threads give the same result.")
        ),
        (
            "workers j numworkers nworkers dataloadernumworkers jobs njobs cores cpus numthreads nthreads nproc t",
            "--threads"
        ),
        (
            "amp fp16 bf16 half mixedprecision int8 quantize dtype ampdtype float16 fp32 nativeamp",
            .flags(["--precision", "--dtype"])
        ),
        ("verbose v vv debug loglevel loginterval printfreq logevery", .flags(["--log-level debug"])),
        ("q silent noprogress", "--quiet"),
        ("cachedir cacheimages", "--cache"),
        ("? usage man", "--help"),
    ]

    private static let data: [(names: String, advice: Advice)] = [
        (
            "imgsz imgsize inputsize inputshape imagesize imsize resolution cropsize resize valcropsize valresizesize traincropsize img targetsize sz",
            "--size"
        ),
        (
            "model m modelname arch a backbone weights weight w checkpoint ckpt initialcheckpoint encoder modelnameorpath net network modelpath base pretrainedmodel pretrainedweights pretrainedpath",
            .flags(["--base", "--model"])
        ),
        (
            "pretrained",
            .sentence("Leave it out: the base is always pretrained. --base names a weights file.")
        ),
        ("nopretrained fromscratch scratch", .flags(["--strategy scratch"])),
        (
            "dataset datasets d datadir datapath datasetdir datasetname traindir traindatadir traindata traincsv trainpath train dir input inputs source images imagedir imagepath imagefolder folder root csv csvfile csvpath i path paths table tablepath file files",
            "--data"
        ),
        (
            "validation valid validationsplit valsplit validpct validationfraction splitratio valsize valdir valdata valratio valpct validationdata validationsize validdir validationdir",
            "--val"
        ),
        (
            "trainsplit trainsize trainratio trainfraction trainpct",
            .sentence(
                "The images that neither validate nor test are for training: --val 0.2 leaves 80% for training.")
        ),
        ("testsplit testsize testdir testdata testratio testfraction testpct holdout", "--test"),
        ("nfolds kfold kfolds cv crossvalidation crossval fold nsplits numfolds stratifiedkfold", "--folds"),
        ("nseeds repeats runs trials nrepeats", "--seeds"),
        (
            "stratify stratified stratification",
            .sentence(
                "Leave it out: splits are made per class. A stratified sample of the images: --limit N,stratified")
        ),
        (
            "sep separator delimiter delim encoding quotechar",
            .sentence("Leave it out: the separator and the encoding of a table are recognised by its content.")
        ),
        (
            "labelcol labelcolumn ycol ycolumn targetcol targetcolumn classcol classcolumn xcol xcolumn imagecol imagecolumn imagecolumnname labelcolumnname pathcol pathcolumn filecol filenamecol filenamecolumn fncol validcol splitcol splitcolumn",
            .sentence(
                "Leave it out: the header of the table names the columns: path and label, and if need be split and group."
            )
        ),
        ("group groups groupcol groupcolumn", "--group-by"),
        ("randomseed randomstate manualseed rngseed s", "--seed"),
        ("subset maxsamples maxtrainsamples nsamples samples maximages fraction limittrainbatches", "--limit"),
        ("classnames labels labelsfile classesfile labelmap classmap", "--classes"),
        (
            "numclasses nclasses nc classes nbclasses numlabels",
            .sentence("finetune counts the classes itself: they are the folders in --data.")
        ),
        (
            "multilabel multihot",
            .sentence("finetune trains classes of which each image has one. Leave the flag out.")
        ),
        (
            "classmode labelmode",
            .sentence("Leave it out: the classes are the folders in --data, or the column label of a table.")
        ),
        (
            "grayscale greyscale gray grey colormode channels inchans inchannels inputchannels numchannels rgb",
            .sentence("Leave it out: gray and colour images are converted to the channels that the network reads.")
        ),
        ("bits bitdepth bitsperpixel bitspersample", "--depth"),
        (
            "mean std normalize normalization preprocessing preprocess preprocessor preprocessingfunction transform transforms interpolation traininterpolation rescale",
            "--recipe"
        ),
        ("resizemode cropmode croppct croppadding aspect rect keepaspectratio letterbox", "--fit"),
        ("fix autofix", "--fix-list"),
    ]

    private static let training: [(names: String, advice: Advice)] = [
        ("finetune finetuning ft", .flags(["--strategy fine-tune", "--unfreeze all"])),
        ("linearprobe linearprobing headonly featureextract featureextraction", .flags(["--strategy frozen"])),
        (
            "freeze freezelayers frozen frozenstages freezebackbone freezen freezeat freezeuntil freezebase freezeencoder nofreeze",
            .sentence(
                "All layers before --unfreeze STAGE are frozen; by default all but the head. For the last stage and the head: --unfreeze last"
            )
        ),
        (
            "freezeepochs warmupheadepochs headepochs",
            .sentence(
                "--unfreeze trains the head first, to its optimum on frozen features, and then all stages. For example: --unfreeze all --epochs 10"
            )
        ),
        ("unfreezelayers unfrozen trainable trainablelayers trainbackbone unfreezeepochs nunfreeze", "--unfreeze"),
        ("freezebn freezebatchnorm bneval bnmomentum bn batchnormalization", "--batch-norm"),
        ("strategies strategy method", .flags(["--strategies", "--strategy"])),
        ("headtype classifierhead", "--head"),
        ("hidden hiddenunits hiddensize mlp units", .flags(["--head mlp:256"])),
        ("classweight balanced weightedloss weighted oversample weightedsampler", "--class-weights"),
        ("penalty maxiter tol", .flags(["--head logistic"])),
        ("smoothing labelsmooth ls", "--label-smoothing"),
        ("drop droprate dropoutrate headdropout", "--dropout"),
        (
            "droppath droppathrate dropconnect dropblock stochasticdepth stochasticdepthprob",
            .sentence("finetune drops no paths of the network. --dropout drops inputs of the head.")
        ),
        ("mixupalpha mixupprob", "--mixup"), ("cutmixalpha cutmixprob", "--cutmix"),
        (
            "aa autoaugment augmentation augmentations dataaugmentation aug hflip vflip fliplr flipud colorjitter randaugment reprob randomerase randomerasing erasing trivialaugment augmix degrees hsvh hsvs hsvv translate shear mosaic itemtfms batchtfms",
            "--augment"
        ),
        ("modelema emadecay modelemadecay usesema swa", "--ema"),
        (
            "loss lossfn lossfunction criterion lossfunc",
            .sentence(
                "Leave it out: the loss is cross-entropy (of --head ridge, squared errors). --class-weights and --label-smoothing change it."
            )
        ),
        (
            "metrics scoring",
            .sentence("Leave it out: every score is computed. --monitor chooses the best epoch by one.")
        ),
        (
            "shuffle noshuffle trainshuffle",
            .sentence("Leave it out: training images are in a new order in every epoch, by --seed.")
        ),
    ]

    private static let steps: [(names: String, advice: Advice)] = [
        ("epoch numepochs nepochs nepoch numtrainepochs maxepochs e ep nbepochs nbepoch", "--epochs"),
        ("learningrate learnrate lrate baselr lr0 initlr initiallr rate lrmax maxlr learningrateinit", "--lr"),
        ("lrfind findlr autolr", .flags(["--lr auto"])),
        (
            "bs b batches batchsize perdevicetrainbatchsize perdevicebatchsize trainbatchsize minibatch valbatchsize evalbatchsize perdeviceevalbatchsize",
            "--batch"
        ),
        ("wd weightdecay decay", "--weight-decay"),
        ("lrdecay layerlrdecay layerwiselrdecay llrd discriminativelr", .flags(["--stage-lr-decay", "--schedule"])),
        (
            "slice headlr lrhead backbonelr lrbackbone encoderlr bodylr discriminative paramgroups lrs lrbase lrmult",
            .sentence(
                "One learning rate is for the head, and each stage has that of the next times a factor: --lr 0.001 --stage-lr-decay 0.5"
            )
        ),
        ("sched scheduler lrscheduler lrschedule lrschedulertype lrpolicy cosine coslr onecycle", "--schedule"),
        ("warmupepochs warmupsteps warmupratio lrwarmupepochs lrwarmupmethod warmuplr lrwarmupdecay", "--warmup"),
        ("decayrate gamma lrgamma", "--step-factor"),
        ("stepsize decayepochs lrstepsize lrsteps milestones", "--step-every"),
        ("opt optim solver optimizername", "--optimizer"),
        ("momentum", .flags(["--optimizer momentum"])), ("nesterov", .flags(["--optimizer nesterov"])),
        ("adam", .flags(["--optimizer adam"])), ("adamw", .flags(["--optimizer adamw"])),
        ("clipgrad clipgradnorm gradclip gradientclip gradientclipval clipnorm maxgradnorm globalclipnorm", "--clip"),
        (
            "clipvalue clipmode",
            .sentence("Gradients are clipped by the length of all together: --clip 1")
        ),
        (
            "gradaccumsteps gradientaccumulationsteps accumulate accumgrad accumulategradbatches",
            .sentence("Leave it out: --batch is the number of images in each step.")
        ),
        ("earlystopping earlystoppingpatience earlystoppatience patienceepochs p", "--early-stop"),
        ("metric evalmetric monitormetric metricforbestmodel", "--monitor"),
        (
            "savebest savebestonly saveonlybest loadbestmodelatend restorebestweights",
            .sentence("Leave it out: model.h5 is the model of the best epoch by --monitor.")
        ),
        (
            "saveperiod savefreq saveevery savesteps savestrategy checkpointfreq checkpointinterval recoveryinterval",
            "--checkpoint-every"
        ),
        ("timelimit maxtime budget duration timeout", "--time-budget"),
        ("tta nviews testtimeaugmentation crops ncrops", "--views"),
    ]

    private static let outputs: [(names: String, advice: Advice)] = [
        (
            "output o outputdir outdir outputfolder save savepath savedir dest destination project name experiment logdir rundir outfile",
            "--out"
        ),
        ("overwrite existok f overwriteoutputdir y", "--force"),
        ("continue resumefrom resumefromcheckpoint autoresume restart r", "--resume"),
        ("dry test1 simulate", "--dry-run"),
        ("k topk top5 n", "--top"), ("fmt outputformat", "--format"),
        ("featurelayer layername outputlayer", "--layer"),
        ("threshold conf confidence minconfidence scorethr", .flags(["--abstain-below", "--sensitivity"])),
        ("html plots", "--report"),
        ("format outputtype exportformat", .flags(["--to", "--format"])),
    ]

    private static let sentences: [(names: String, advice: Advice)] = [
        (
            "export onnx tflite torchscript",
            .sentence("To write another format: finetune convert runs/NAME/model.h5 model.onnx")
        ),
        (
            "eval evaluate evalonly evaluateonly testonly validate valonly doeval",
            .sentence("To score a model: finetune evaluate --model runs/NAME/model.h5 --data ./imgs")
        ),
        (
            "dopredict predict infer",
            .sentence("To label images: finetune predict --model runs/NAME/model.h5 photo.jpg")
        ),
        (
            "tensorboard wandb logwandb mlflow comet neptune clearml reportto logger csvlogger",
            .sentence(
                "Runs that train in epochs (--head linear, --unfreeze) write their curves to the folder tensorboard of the run folder. Leave the flag out."
            )
        ),
    ]
}
