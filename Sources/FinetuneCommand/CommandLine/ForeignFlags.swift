// Flags of Keras' and PyTorch's training scripts, timm, fastai, Ultralytics and Hugging Face, and what they are called here.

internal import FinetuneFiles

enum ForeignFlags {
    /// What to do in place of a flag that does not exist.
    enum Advice: Sendable, ExpressibleByStringLiteral {
        /// The flags that do this here, the most likely first; of them those count that the command has.
        case flags([String])
        /// A sentence.
        case sentence(String)

        init(stringLiteral value: String) { self = .flags([value]) }
    }

    /// The advice about a flag that does not exist.
    ///
    /// - Parameters:
    ///   - name: With its hyphens.
    ///   - command: The command's name and its flags.
    static func advice(on name: String, command: String, flags: Set<String>) -> String? {
        let plain = Spelling.simplified(name)
        let known = flags.union(FlagRules.switches).sorted()
        let exact = known.first { Spelling.simplified($0) == plain }
        switch exact.map({ .flags([$0]) }) ?? byName[plain] {
        case .sentence(let sentence): return sentence
        case .flags(let names):
            let there = names.filter { flags.contains(String($0.prefix { $0 != " " })) }
            if !there.isEmpty { return "Did you mean \(there.alternatives)?" }
            // The flag of another command is better named than a flag that only looks alike.
            return nil
        case nil: break
        }
        return Spelling.nearest(to: name, among: flags.filter { $0.hasPrefix("--") }.sorted()).map {
            "Did you mean \($0)?"
        }
    }

    private static let noGPU: Advice = .sentence(
        "finetune computes on the processor (CPU) and needs no GPU. Leave the flag out; --threads says how many cores are used."
    )

    /// By name, without hyphens and in small letters.
    private static let byName: [String: Advice] = {
        var table: [String: Advice] = [:]
        func add(_ names: String, _ advice: Advice) {
            for name in names.split(separator: " ") { table[String(name)] = advice }
        }
        add(
            "device devices gpu gpus gpuid gpuids numgpus ngpu ngpus cuda nocuda mps tpu accelerator distributed", noGPU
        )
        add("cpu nogpu usecpu", .sentence("finetune always computes on the processor (CPU). Leave the flag out."))
        add("epoch numepochs nepochs nepoch numtrainepochs maxepochs e ep nbepochs", "--epochs")
        add("learningrate learnrate lrate baselr lr0 initlr initiallr rate", "--lr")
        add("bs b batches batchsize perdevicetrainbatchsize trainbatchsize minibatch", "--batch")
        add(
            "imgsz imgsize imgsz inputsize inputshape imagesize imsize resolution cropsize resize valcropsize traincropsize img targetsize",
            "--size")
        add(
            "model m modelname arch a backbone pretrained weights weight checkpoint ckpt initialcheckpoint encoder modelnameorpath net network modelpath base pretrainedmodel finetune",
            .flags(["--base", "--model"]))
        add(
            "dataset datasets d datadir datapath datasetdir datasetname traindir traindatadir traindata train dir input inputs source images imagedir imagefolder folder root csv i",
            "--data")
        add(
            "output o outputdir outdir outputfolder savedir savepath dest destination project logdir rundir outfile",
            "--out")
        add("save", .flags(["--out"]))
        add(
            "workers j numworkers nworkers dataloadernumworkers jobs njobs cores cpus numthreads nthreads nproc t",
            "--threads")
        add("wd weightdecay decay", "--weight-decay")
        add("lrdecay layerlrdecay layerwiselrdecay llrd discriminativelr", .flags(["--stage-lr-decay", "--schedule"]))
        add("sched scheduler lrscheduler lrschedule lrschedulertype lrpolicy cosine coslr", "--schedule")
        add("warmupepochs warmupsteps warmupratio", "--warmup")
        add("decayrate gamma lrgamma", "--step-factor")
        add("stepsize decayepochs lrstepsize milestones", "--step-every")
        add("opt optim solver", "--optimizer")
        add("momentum", .flags(["--optimizer momentum"]))
        add("nesterov", .flags(["--optimizer nesterov"]))
        add("adam", .flags(["--optimizer adam"]))
        add("adamw", .flags(["--optimizer adamw"]))
        add("smoothing labelsmooth ls", "--label-smoothing")
        add("drop droprate dropoutrate", "--dropout")
        add("mixupalpha", "--mixup")
        add("cutmixalpha", "--cutmix")
        add(
            "aa autoaugment augmentation augmentations dataaugmentation aug hflip fliplr colorjitter randaugment",
            "--augment")
        add("modelema emadecay modelemadecay usesema swa", "--ema")
        add(
            "amp fp16 bf16 half mixedprecision int8 quantize dtype ampdtype float16 fp32",
            .flags(["--precision", "--dtype"]))
        add(
            "freeze freezelayers frozen frozenstages unfreezelayers unfrozen trainable trainablelayers trainbackbone freezeepochs unfreezeepochs",
            "--unfreeze")
        add(
            "validation valid validationsplit valsplit validpct validationfraction splitratio valsize valdir valdata valratio validationdata validdir validationdir",
            "--val")
        add("testsplit testsize testdir testdata testratio holdout", "--test")
        add("randomseed randomstate manualseed rngseed s", "--seed")
        add("earlystopping earlystoppingpatience earlystoppatience p", "--early-stop")
        add("metric evalmetric monitormetric metricforbestmodel mode", "--monitor")
        add("k topk top5 n", "--top")
        add("fmt outputformat", "--format")
        add("verbose v vv debug loglevel", .flags(["--log-level debug"]))
        add("q silent noprogress", "--quiet")
        add("overwrite existok f overwriteoutputdir y", "--force")
        add("continue resumefrom resumefromcheckpoint autoresume restart r", "--resume")
        add("headtype classifierhead", "--head")
        add("hidden hiddenunits hiddensize mlp units", .flags(["--head mlp:256"]))
        add("classweight balanced weightedloss weighted oversample", "--class-weights")
        add("nfolds kfold kfolds cv crossvalidation fold", "--folds")
        add("nseeds repeats runs trials", "--seeds")
        add("dry test1 simulate", "--dry-run")
        add("tta nviews testtimeaugmentation crops", "--views")
        add("featurelayer layername outputlayer", "--layer")
        add(
            "mean std normalize normalization preprocessing preprocess preprocessor transform transforms interpolation rescale",
            "--recipe")
        add("resizemode cropmode croppct aspect", "--fit")
        add("timelimit maxtime budget duration timeout", "--time-budget")
        add("subset maxsamples maxtrainsamples nsamples samples maximages fraction", "--limit")
        add("group groups groupcolumn", "--group-by")
        add("threshold conf confidence minconfidence scorethr", .flags(["--abstain-below", "--sensitivity"]))
        add("html", "--report")
        add("cachedir", "--cache")
        add("classnames labels labelsfile classesfile labelmap", "--classes")
        add(
            "numclasses nclasses nc classes",
            .sentence("finetune counts the classes itself: they are the folders in --data."))
        add("format outputtype exportformat", .flags(["--to", "--format"]))
        add("strategies strategy method", .flags(["--strategies", "--strategy"]))
        add(
            "export onnx tflite torchscript",
            .sentence("To write another format: finetune convert runs/NAME/model.h5 model.onnx"))
        add(
            "tensorboard wandb",
            .sentence("Every run writes its curves to the folder tensorboard of the run folder. Leave the flag out."))
        return table
    }()
}
