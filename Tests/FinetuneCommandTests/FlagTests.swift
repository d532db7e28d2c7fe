// Wrong flags and wrong values, as users of Keras, PyTorch, timm and fastai type them: each message names the flag and the
// value, says what is accepted, and gives the right value or an example.
// Longer than other files, because its tables of command lines are read side by side.

import ArgumentParser
import FinetuneFiles
import TestSupport
import Testing

@testable import FinetuneCommand

@Suite("Flags") struct FlagTests {
    /// A command line and what its message contains after "cannot use 'FLAG VALUE': expected ".
    static let values: [(line: String, accepted: String, next: String)] = [
        ("--val 20", "a fraction from 0 to below 1, a percentage below 100%, or the path", "Did you mean --val 0.2?"),
        ("--val 0,3", "a fraction", "Did you mean --val 0.3?"), ("--val -0.1", "a fraction", "--val 0.2"),
        ("--val 1", "a fraction", "--val 0.2"), ("--val 120%", "a percentage below 100%", "--val 0.2"),
        ("--val=nan", "a fraction", "--val 0.2"), ("--test 15", "a fraction", "Did you mean --test 0.15?"),
        ("--limit 0", "a number of training images, or N,stratified", "--limit 100,stratified"),
        ("--limit -5", "a number of training images", "--limit 100,stratified"),
        ("--limit 10%", "a number of training images", "--limit 100,stratified"),
        ("--limit 10,balanced", "N,stratified", "Did you mean --limit 10,stratified?"),
        ("--seed -1", "a whole number from 0 to", "--seed 1"), ("--seed 1.5", "a whole number", "--seed 1"),
        ("--seed random", "a whole number", "leave --seed out"),
        ("--epochs 0", "a whole number from 1 to 1000000", "--epochs 10"),
        ("--epochs ten", "a whole number", "--epochs 10"), ("--epochs 2.5", "a whole number", "--epochs 2?"),
        ("--epochs -3", "a whole number", "--epochs 10"),
        ("--lr 0", "a number above 0 and up to 1000, or auto", "--lr 0.01"),
        ("--lr 1e", "a number above 0", "--lr 0.01"), ("--lr -0.1", "a number above 0", "--lr 0.01"),
        ("--lr 0,01", "a number above 0", "Did you mean --lr 0.01?"), ("--lr find", "auto", "Did you mean --lr auto?"),
        ("--learning-rate fast", "a number above 0", "--learning-rate 0.01"),
        ("--batch -1", "a whole number of images from 1", "--batch 32"), ("--batch 0", "images", "--batch 32"),
        ("--batch-size auto", "a whole number of images", "--batch-size 32"),
        ("--precision fp16", "fp32, bf16 or int8", "Did you mean --precision bf16?"),
        ("--precision half", "fp32, bf16 or int8", "Did you mean --precision bf16?"),
        ("--precision float32", "fp32, bf16 or int8", "Did you mean --precision fp32?"),
        ("--precision 16-mixed", "fp32, bf16 or int8", "Did you mean --precision bf16?"),
        ("--precision FP32", "fp32, bf16 or int8", "Did you mean --precision fp32?"),
        ("--train-precision int8", "fp32 or bf16", "int8 has no gradients"),
        (
            "--optimizer adamw8", "sgd, momentum, nesterov, rmsprop, adam, adamw or lamb",
            "Did you mean --optimizer adamw?"
        ),
        ("--optimizer AdamW", "adamw", "Did you mean --optimizer adamw?"),
        ("--optimizer lars", "sgd, momentum", "--optimizer"),
        ("--head mlp", "logistic, ridge, linear, or mlp:", "Did you mean --head mlp:256?"),
        ("--head 512", "mlp:", "Did you mean --head mlp:512?"),
        ("--head mlp:512x256", "mlp:", "Did you mean --head mlp:512,256?"),
        ("--head fc", "linear", "Did you mean --head linear?"), ("--head svm", "logistic, ridge", "--head mlp:512,256"),
        ("--activation leaky_relu", "leaky-relu", "Did you mean --activation leaky-relu?"),
        ("--activation swish", "relu", "Did you mean --activation silu?"),
        ("--init he", "kaiming", "Did you mean --init kaiming?"),
        ("--init glorot_uniform", "xavier", "Did you mean --init xavier?"),
        ("--feature-scaling pca", "pca:K", "Did you mean --feature-scaling pca:64?"),
        ("--feature-scaling StandardScaler", "standardize", "Did you mean --feature-scaling standardize?"),
        ("--class-weights auto", "none or balanced", "Did you mean --class-weights balanced?"),
        ("--unfreeze layer4", "head, last, all, or a stage", "Did you mean --unfreeze stage4?"),
        ("--unfreeze conv5_block1", "a stage", "Did you mean --unfreeze stage4?"),
        ("--unfreeze last2", "head, last, all", "Name the first stage to train"),
        ("--unfreeze 3", "head, last, all", "Name the first stage to train"),
        ("--unfreeze backbone", "head, last, all", "Did you mean --unfreeze all?"),
        ("--strategy linear-probe", "frozen, fine-tune, lp-ft, gradual or scratch", "Did you mean --strategy frozen?"),
        ("--strategy finetune", "fine-tune", "Did you mean --strategy fine-tune?"),
        ("--architecture resnet-50", "resnet18", "Did you mean --architecture resnet50?"),
        ("--architecture 50", "resnet18", "Did you mean --architecture resnet50?"),
        ("--architecture efficientnet_b0", "resnet18", "--architecture resnet20,width=16"),
        ("--recipe imagenet", "auto, torch, caffe, tf, unit or raw, or the path", "Did you mean --recipe torch?"),
        ("--recipe keras", "caffe", "Did you mean --recipe caffe?"),
        ("--augment strong", "none, light, standard or trivial", "Did you mean --augment standard?"),
        ("--augment off", "none, light", "Did you mean --augment none?"),
        ("--threads 0", "a whole number from 1 to 1024", "Leave --threads out to use all processors."),
        ("--threads -1", "a whole number from 1 to 1024", "Leave --threads out"),
        ("--threads auto", "a whole number", "Leave --threads out"),
        ("--size 224x224", "a whole number of pixels from 1 to 8192", "Did you mean --size 224?"),
        ("--image-size 224px", "pixels", "Did you mean --image-size 224?"), ("--size 0", "pixels", "--size 224"),
        ("--fit center", "crop, squash, pad or unscaled", "Did you mean --fit crop?"),
        ("--fit stretch", "squash", "Did you mean --fit squash?"),
        ("--exif true", "upright or ignore", "--exif upright?"),
        ("--monitor val_loss", "accuracy, log-loss or macro-f1", "Did you mean --monitor log-loss?"),
        ("--monitor acc", "accuracy", "Did you mean --monitor accuracy?"),
        ("--monitor f1", "macro-f1", "Did you mean --monitor macro-f1?"),
        ("--schedule CosineAnnealing", "constant, step, cosine or linear", "Did you mean --schedule cosine?"),
        ("--schedule plateau", "constant, step", "For example: --schedule cosine"),
        ("--warmup -1", "a number of epochs from 0 on", "--warmup 1"), ("--step-every 0", "epochs from 0.001", "5"),
        ("--step-factor 2", "above 0 and at most 1", "0.1"), ("--stage-lr-decay 0", "from 0.0001 to 10", "0.5"),
        ("--layer-decay none", "from 0.0001 to 10", "--layer-decay 0.5"), ("--l1 -1", "from 0 to 1000", "0.0001"),
        ("--l2 x", "from 0 to 1000", "--l2 0.0001"), ("--weight-decay 1e-", "from 0 to 1000", "--weight-decay 0.0001"),
        ("--l2-sp inf", "from 0 to 1000", "0.01"), ("--dropout 1", "from 0 to below 1", "--dropout 0.2"),
        ("--dropout 50", "from 0 to below 1", "Did you mean --dropout 0.5?"),
        ("--label-smoothing 2", "from 0 to below 1", "Did you mean --label-smoothing 0.02?"),
        ("--mixup on", "from 0 to 1000", "--mixup 0.2"), ("--cutmix -1", "from 0 to 1000", "--cutmix 1"),
        ("--start-size 128x128", "pixels", "Did you mean --start-size 128?"), ("--views 0", "from 1 to", "--views 4"),
        ("--early-stop -1", "epochs from 0", "--early-stop 5"), ("--patience off", "epochs", "--patience 0?"),
        ("--ema 1", "from 0 to below 1", "--ema 0.999"),
        ("--batch-norm eval", "frozen or train", "--batch-norm frozen?"),
        ("--time-budget 10", "a time with its unit (s, m or h)", "10s, 10m or 10h"),
        ("--time-budget 10min", "a time with its unit", "Did you mean --time-budget 10m?"),
        ("--time-budget 1h30m", "a time with its unit", "Did you mean --time-budget 90m?"),
        ("--time-budget soon", "a time with its unit", "--time-budget 10m"),
        ("--checkpoint-every never", "a number of seconds", "--checkpoint-every 60"),
        ("--cache none", "a folder, or off", "Did you mean --cache off?"),
        ("--log-level warn", "debug, info, warning or error", "Did you mean --log-level warning?"),
        ("compare --strategies head,full", "a list of head, last, all", "Did you mean --strategies head,all?"),
        ("compare --strategies linear-probe,layer4", "a list", "Did you mean --strategies frozen,stage4?"),
        ("compare --strategies head,,all", "a list", "Did you mean --strategies head,all?"),
        ("compare --strategies head,magic", "a list", "For example: --strategies head,last,all"),
        ("compare --seeds 0,1,2", "a whole number from 1 to 100", "Did you mean --seeds 3?"),
        ("compare --folds 1", "a whole number from 2 to 100", "--folds 5"),
        ("evaluate --minimum acc=", "SCORE=NUMBER", "Did you mean --minimum accuracy=0.9?"),
        ("evaluate --minimum accuracy=90", "numbers from 0 to 1", "Did you mean --minimum accuracy=0.9?"),
        ("evaluate --minimum accuracy>0.9", "SCORE=NUMBER", "Did you mean --minimum accuracy=0.9?"),
        ("evaluate --minimum 0.85", "SCORE=NUMBER", "Did you mean --minimum accuracy=0.85?"),
        ("evaluate --minimum auc=0.9", "SCORE=NUMBER", "Did you mean --minimum roc-auc=0.9?"),
        ("evaluate --minimum f1>=80", "SCORE=NUMBER", "Did you mean --minimum macro-f1=0.8?"),
        ("evaluate --maximum loss=0.5", "SCORE=NUMBER", "Did you mean --maximum log-loss=0.5?"),
        ("evaluate --maximum magic=1", "log-loss, ece or brier", "For example: --maximum log-loss=0.4"),
        ("evaluate --split valid", "train, val, test or all", "Did you mean --split val?"),
        ("evaluate --split Testing", "train, val", "Did you mean --split test?"),
        ("evaluate --sensitivity 95", "a fraction from 0 to 1", "Did you mean --sensitivity 0.95?"),
        ("evaluate --specificity 1.5", "a fraction from 0 to 1", "For example: --specificity 0.95"),
        ("--val 1.5", "a fraction", "For example: --val 0.2"), ("--val 100", "a fraction", "For example: --val 0.2"),
        ("--val 2", "a fraction", "Did you mean --val 0.02?"), ("--test 1.2", "a fraction", "For example: --test 0.2"),
        ("--dropout 1.5", "from 0 to below 1", "For example: --dropout 0.2"),
        ("--label-smoothing 1.1", "from 0 to below 1", "For example: --label-smoothing 0.1"),
        ("--ema 2", "from 0 to below 1", "For example: --ema 0.999"),
        ("--ema 99.9", "from 0 to below 1", "Did you mean --ema 0.999?"),
        ("evaluate --minimum accuracy=1.5", "SCORE=NUMBER", "For example: --minimum accuracy=0.9"),
        (
            "evaluate --minimum log-loss=0.5", "accuracy, top5, macro-f1 or roc-auc;",
            "log-loss is better the lower it is: --maximum log-loss=0.5"
        ),
        ("evaluate --minimum brier=0.2", "roc-auc;", "brier is better the lower it is: --maximum brier=0.2"),
        ("evaluate --minimum nll=0.5", "roc-auc;", "--maximum log-loss=0.5"),
        (
            "evaluate --maximum accuracy=0.9", "log-loss, ece or brier;",
            "accuracy is better the higher it is: --minimum accuracy=0.9"
        ),
        ("evaluate --maximum f1=80", "log-loss, ece or brier;", "--minimum macro-f1=0.8"),
        ("evaluate --report r.pdf", "a name that ends in .html", "Did you mean --report r.html?"),
        ("evaluate --report out/page", "a name that ends in .html", "Did you mean --report out/page.html?"),
        ("check --fix-list look.xlsx", "a name that ends in .csv", "Did you mean --fix-list look.csv?"),
        ("extract --out f.pt", "a name that ends in .npz, .npy, .h5 or .csv", "Did you mean --out f.npz?"),
        ("extract --out f.hdf5", "a name that ends in .npz", "Did you mean --out f.h5?"),
        ("predict --top 0", "a whole number of classes from 1", "--top 3"), ("predict --top all", "classes", "--top 3"),
        ("predict --format tsv", "text, csv, json or jsonl", "Did you mean --format csv?"),
        ("predict --format ndjson", "jsonl", "Did you mean --format jsonl?"),
        ("predict --abstain-below 80", "a fraction from 0 to 1", "Did you mean --abstain-below 0.8?"),
        ("extract --dtype fp16", "float32 or float16", "Did you mean --dtype float16?"),
        ("extract --dtype double", "float32 or float16", "Did you mean --dtype float32?"),
        ("extract --layer avgpool", "stem, a stage such as stage3, pooled or logits", "Did you mean --layer pooled?"),
        ("extract --layer layer3", "stem, a stage", "Did you mean --layer stage3?"),
        ("extract --layer fc", "logits", "Did you mean --layer logits?"),
        ("convert a.h5 b.h5 --to pytorch", "native, keras, torch, safetensors or onnx", "Did you mean --to torch?"),
        ("doctor --threads 2000", "from 1 to 1024", "--threads 4"),
    ]

    @Test("with a wrong value name it, what is accepted and what to write", arguments: values)
    func wrongValue(_ line: String, _ accepted: String, _ next: String) throws {
        let words = line.split(separator: " ").map(String.init)
        let error = #expect(throws: UsageError.self) { try ArgumentReader(words) }
        let text = try #require(error).description
        let flag = try #require(words.first { $0.hasPrefix("--") })
        let written = flag.replacing("=", with: " ")
        #expect(text.hasPrefix("cannot use '\(written)") && text.contains("': expected "), "\(text)")
        #expect(text.contains(accepted) && text.contains(next), "\(text)")
    }

    static let foreign: [(line: String, next: String)] = [
        ("--device cuda", "computes on the processor (CPU)"), ("--gpu", "computes on the processor (CPU)"),
        ("--gpus 2", "computes on the processor (CPU)"), ("--accelerator gpu", "computes on the processor (CPU)"),
        ("--epoch 5", "--epochs"), ("--num-epochs 5", "--epochs"), ("--num_train_epochs 5", "--epochs"),
        ("--learning_rate 0.1", "--learning-rate"), ("--base-lr 0.1", "--lr"), ("--batch_size 8", "--batch-size"),
        ("--bs 8", "--batch"), ("-b 8", "--batch"), ("--per_device_train_batch_size 8", "--batch"),
        ("--img-size 224", "--size"), ("--imgsz 224", "--size"), ("--input-size 224", "--size"),
        ("--model resnet50", "--base"), ("--backbone resnet50", "--base"), ("--pretrained", "--base"),
        ("check --model m.h5", "--base"), ("extract --weights m.pt", "--base"), ("evaluate --base m.h5", "--model"),
        ("predict --weights m.pt x.jpg", "--model"), ("--dataset x", "--data"), ("--data-dir x", "--data"),
        ("--train_dir x", "--data"), ("--output x", "--out"), ("-o x", "--out"), ("--output-dir x", "--out"),
        ("--workers 4", "--threads"), ("-j 4", "--threads"), ("--num_workers 4", "--threads"),
        ("--wd 0.1", "--weight-decay"),
        ("--weight_decay 0.1", "--weight-decay"), ("--lr-decay 0.5", "--stage-lr-decay or --schedule"),
        ("--scheduler cosine", "--schedule"), ("--warmup-epochs 3", "--warmup"), ("--opt sgd", "--optimizer"),
        ("--momentum 0.9", "--optimizer momentum"), ("--smoothing 0.1", "--label-smoothing"),
        ("--drop 0.1", "--dropout"),
        ("--aa rand", "--augment"), ("--model-ema", "--ema"), ("--amp", "--precision"), ("--fp16", "--precision"),
        ("--freeze 3", "--unfreeze"), ("--validation-split 0.2", "--val"), ("--valid-pct 0.2", "--val"),
        ("--test-size 0.1", "--test"), ("--random-state 1", "--seed"), ("--early-stopping 3", "--early-stop"),
        ("--metric f1", "--monitor"), ("predict --topk 3", "--top"), ("--verbose", "--log-level debug"),
        ("--silent", "--quiet"), ("--exist-ok", "--force"), ("--resume-from x", "--resume"), ("--overwrite", "--force"),
        ("--class_weight balanced", "--class-weights"), ("compare --kfold 5", "--folds"),
        ("evaluate --tta 5", "--views"),
        ("--num-classes 3", "counts the classes itself"), ("predict --conf 0.5", "--abstain-below"),
        ("--wandb", "tensorboard"),
        ("--unfreze all", "--unfreeze"), ("--dat x", "--data"), ("--nonsense", "finetune train --help"),
        ("doctor --device cuda", "computes on the processor (CPU)"), ("convert --format onnx a b", "--to"),
        ("inspect --verbose x", "--log-level debug"), ("-x.jpg", "write ./-x.jpg"),
        // Words that look like a flag but mean something else.
        ("check --fix", "Did you mean --fix-list?"), ("--fix", "finetune check --fix-list"),
        ("--stratify", "splits are made per class"), ("--fine-tune", "--strategy fine-tune or --unfreeze all"),
        ("--eval", "finetune evaluate --model"), ("--test-only", "finetune evaluate --model"),
        ("--pretrained", "the base is always pretrained"), ("--no-pretrained", "--strategy scratch"),
        ("--freeze 10", "All layers before --unfreeze STAGE are frozen; by default all but the head."),
        ("--freeze-layers 10", "All layers before --unfreeze STAGE"), ("compare --freeze 3", "--strategies"),
        ("compare --unfreeze last", "--strategies"), ("--mode min", "All flags: finetune train --help"),
        ("--bits 12", "--depth"), ("--bit-depth 12", "--depth"), ("--path x", "--data"), ("--table x.csv", "--data"),
        ("--train-split 0.8", "--val 0.2 leaves 80% for training"), ("--kfold 5", "finetune compare --folds"),
        ("--cross-validation 5", "finetune compare --folds"), ("--n-splits 5", "finetune compare --folds"),
        ("--sep ;", "recognised by its content"), ("--delimiter ;", "recognised by its content"),
        ("--encoding latin1", "recognised by its content"), ("--label-col y", "path and label"),
        ("--y-col y", "path and label"), ("--x-col y", "path and label"), ("--image-column y", "path and label"),
        ("--topk 5", "finetune predict --top"), ("--loss focal", "cross-entropy"), ("--metrics f1", "every score"),
        ("--shuffle", "a new order in every epoch"), ("--drop-path 0.1", "--dropout"),
        ("--clip-grad 1", "--clip"), ("--multilabel", "each image has one"),
        ("--grayscale", "converted to the channels"),
        // Keras, torchvision's references, timm, fastai, Ultralytics, scikit-learn.
        ("--validation_split 0.2", "--val"), ("--color_mode rgb", "converted to the channels"),
        ("--class_mode binary", "the classes are the folders"), ("--lr-step-size 30", "--step-every"),
        ("--lr-warmup-epochs 5", "--warmup"), ("--random-erase 0.1", "--augment"), ("--print-freq 10", "--log-level"),
        ("--world-size 2", "mpirun -n 4"), ("--sync-bn", "mpirun -n 4"), ("--drop-connect 0.1", "--dropout"),
        ("--reprob 0.2", "--augment"), ("--crop-pct 0.9", "--fit"), ("--initial-checkpoint m.pth", "--base"),
        ("--log-wandb", "Runs that train in epochs (--head linear, --unfreeze)"), ("--lr_find", "--lr auto"),
        ("--item_tfms x", "--augment"), ("--freeze_epochs 1", "--unfreeze trains the head first"),
        ("--head-lr 0.1", "--stage-lr-decay 0.5"), ("--lr0 0.01", "--lr"),
        ("--cos-lr", "--schedule"), ("--degrees 10", "--augment"), ("--name exp", "--out"),
        ("--save-period 5", "--checkpoint-every"),
        ("--n_jobs 4", "--threads"), ("--test_size 0.2", "--test"), ("--scoring f1", "every score"),
        ("--max-grad-norm 1", "--clip"), ("--gradient-accumulation-steps 2", "--batch"),
        ("--save-best-only", "the model of the best epoch"), ("--tensorboard", "Runs that train in epochs"),
        // What stands without a flag, and what goes to standard output.
        ("predict --data imgs --model m.h5", "without a flag: finetune predict --model m.h5 imgs"),
        ("predict --source imgs --weights m.h5", "without a flag: finetune predict --model m.h5 imgs"),
        ("predict --input imgs", "finetune predict --model runs/NAME/model.h5 imgs"),
        ("predict --out p.csv --model m.h5 imgs", "finetune predict --model m.h5 --format csv imgs > p.csv"),
        ("predict -o p.jsonl --model m.h5 imgs", "--format jsonl imgs > p.jsonl"),
        ("predict --output p.csv --model m.h5 --source imgs", "--model m.h5 --format csv imgs > p.csv"),
        ("predict --csv --model m.h5 imgs", "--format csv imgs > predictions.csv"),
        ("predict --save --model m.h5 imgs", "--format csv imgs > predictions.csv"),
        ("predict -r --model m.h5 imgs", "a folder is read with all folders in it"),
        ("predict --recursive --model m.h5 imgs", "a folder is read with all folders in it"),
        ("inspect --model m.h5", "Write the file without a flag: finetune inspect m.h5"),
        ("inspect --base m.h5 --tensors", "finetune inspect m.h5 --tensors"),
        ("inspect --weights m.h5", "finetune inspect m.h5"), ("inspect --data imgs", "finetune check --data"),
        ("convert --model m.h5 --out o.onnx", "Write the files without a flag: finetune convert m.h5 o.onnx"),
        ("convert -o o.h5 m.h5 --to keras", "finetune convert m.h5 o.h5 --to keras"),
        ("convert --base m.h5", "finetune convert m.h5 model.onnx"),
        ("evaluate --out x --model m.h5 --data imgs", "--report page.html"), ("-V", "finetune --version"),
    ]

    @Test("of other programs, and misspelt ones, are answered with the flag that is meant", arguments: foreign)
    func foreignFlag(_ line: String, _ next: String) throws {
        let words = line.split(separator: " ").map(String.init)
        let error = #expect(throws: (any Error).self) {
            // The parser finds flags that only other commands have.
            let arguments = try ArgumentReader(words).arguments
            do { _ = try FinetuneCommand.parseAsRoot(arguments) } catch {
                throw UsageError(description: ParsingMessage.text(error, arguments))
            }
        }
        let text = "\(try #require(error as? UsageError))"
        let flag = try #require(words.first { $0.hasPrefix("-") })
        #expect(text.contains("has no flag '\(flag)'") && text.contains(next), "\(text)")
    }

    static let others: [(line: String, words: [String])] = [
        ("--data", ["'--data' without a value", "a folder, a table or an archive", "--data ./imgs"]),
        ("--data x --lr", ["'--lr' without a value", "--lr 0.01"]),
        ("--data x --lr --epochs 3", ["'--lr' without a value", "If '--epochs' is the value, write --lr=--epochs."]),
        ("--data= --quiet", ["'--data '", "the path of a folder"]),
        ("--quiet=true --data x", ["--quiet takes no value"]),
        ("--force true --data x", ["'--force true'", "--force takes no value"]),
        ("", ["without --data", "--data ./imgs", "finetune train --help"]),
        ("predict --model m.h5", ["without <path>", "photo.jpg"]), ("inspect", ["without <file>", "resnet50.h5"]),
        ("convert a.h5", ["without <out>", "model.onnx"]),
        ("--data x --group-by (", ["'--group-by ('", "regular expression"]),
        ("train --base x.h5", ["without --data", "--data ./imgs"]), ("evaluate --data x", ["without --model"]),
        ("extract --data x", ["without --out", "For example: --out features.npz"]),
        ("extract --data x --out", ["'--out' without a value", "For example: --out features.npz"]),
        ("--data x --out", ["'--out' without a value", "For example: --out runs/first"]),
        ("evaluate --model m --data x --group-by a", ["--group-by has no effect: evaluate makes no splits."]),
        ("extract --data x --out f.npz --group-by a", ["--group-by has no effect: extract makes no splits."]),
        ("--data x --data y", ["--data is given twice. Leave one of them out."]),
        ("--data x --val 0.2 --val=0.3", ["--val is given twice. Leave one of them out."]),
        ("--data x --batch 2 --batch-size 3", ["--batch and --batch-size are names of the same flag", "Leave one"]),
        ("predict --epochs 3 --epochs 4 --model m x.jpg", ["has no flag '--epochs'"]),
        ("--data x --resume=runs/first", ["--resume takes no value: write --out runs/first --resume"]),
        ("predict --model m x.jpg --json p.json", ["'--json p.json'", "--json > p.json"]),
        ("convert m.h5 m.onnx --to keras", ["'--to keras' with 'm.onnx'", "finetune convert m.h5 m.h5 --to keras?"]),
        ("convert m.h5 m.h5 --to onnx", ["'--to onnx' with 'm.h5'", "finetune convert m.h5 m.onnx --to onnx?"]),
        ("convert m.h5 m.pth --to torch", ["'m.pth'", "written as .h5", "finetune convert m.h5 m.h5 --to torch?"]),
        ("convert m.h5 m.keras", ["cannot write 'm.keras'", ".h5, .safetensors or .onnx", "m.h5 --to keras?"]),
        ("convert m.h5 x.dat", ["cannot write 'x.dat'", ".h5, .safetensors or .onnx", "finetune convert m.h5 x.h5?"]),
        ("predict --epochs 3 --model m x.jpg", ["'--epochs'", "compare"]),
        (
            "evaluate --model m --data x --epochs 3",
            ["has no flag '--epochs'", "--epochs belongs to finetune train or compare"]
        ),
        (
            "--data x --epochs 3",
            [
                "--epochs has no effect with the default head, which is fitted directly. For training in epochs: --head linear.",
                "--head logistic",
            ]
        ),
        ("--data x --learning-rate 0.1", ["--learning-rate has no effect with the default head"]),
        ("doctor extra", ["'extra'", "finetune doctor takes no"]),
        ("inspect a.h5 b.h5", ["'b.h5'", "finetune inspect takes no"]),
        ("--data x --lr 0.1", ["--lr has no effect with the default head", "For training in epochs: --head linear."]),
        ("--data x --head ridge --batch 8", ["--batch has no effect with --head ridge, which is fitted directly"]),
        (
            "--data x --stage-lr-decay 0.5",
            ["--stage-lr-decay has no effect with --strategy frozen", "--unfreeze last"]
        ),
        ("--data x --unfreeze all --head ridge", ["--head ridge", "--strategy lp-ft", "--head linear"]),
        ("--data x --strategy scratch", ["--strategy scratch needs an --architecture", "resnet20"]),
        ("--data x --force --resume", ["--resume", "--force", "Leave one of them out"]),
        ("extract --data x --out features", ["--out features", ".npz, .npy, .h5 or .csv"]),
        ("extract --data x --out f.csv --dtype float16", ["--dtype float16", ".csv"]),
        ("compare --data x --seeds 2 --folds 2", ["--seeds", "--folds"]),
        ("compare --data x --strategies head,head", ["names a strategy twice"]),
        ("evaluate --model m --data x --views 5000", ["--views 5000", "from 1 to 1000"]),
        ("predict --model m x.jpg -0", ["-0", "standard input", "-print0"]),
        ("predict --model m x.jpg --json --format csv", ["--json", "--format csv"]),
    ]

    @Test("that are missing, contradict each other or have no effect end with 64 and say so", arguments: others)
    func other(_ line: String, _ words: [String]) throws {
        let outcome = try Workspace().finetune(line.split(separator: " ").map(String.init))
        #expect(outcome.code == 64 && outcome.output.isEmpty, "\(outcome.code): \(outcome.errors)")
        #expect(outcome.errors.hasPrefix("finetune: "), "\(outcome.errors)")
        for word in words { #expect(outcome.errors.contains(word), "\(word) in \(outcome.errors)") }
    }

    @Test(
        "end the program with 64",
        arguments: ["--data x --val 20", "--data x --device cuda", "predict --top 0 --model m x"])
    func program(_ line: String) throws {
        let outcome = try Workspace().finetune(line.split(separator: " ").map(String.init))
        #expect(outcome.code == 64 && outcome.errors.hasPrefix("finetune: "), "\(outcome.code): \(outcome.errors)")
    }

    @Test("with a percentage take it for a fraction")
    func percentages() throws {
        let words = "--data x --val 20% --test=12.5% --dropout 50% --head linear".split(separator: " ").map(String.init)
        #expect(
            try ArgumentReader(words).arguments
                == "train --data x --val 0.2 --test=0.125 --dropout 0.5 --head linear".split(separator: " ").map(
                    String.init))
        let limits = try ArgumentReader(["evaluate", "--minimum", "accuracy=90%", "--maximum", "ece=5 %"]).arguments
        #expect(limits == ["evaluate", "--minimum", "accuracy=0.9", "--maximum", "ece=0.05"])
        #expect(try ArgumentReader(["--data", "x", "--ema", "99.9%"]).arguments.last == "0.999")
    }

    @Test("have the aliases of other programs")
    func aliases() throws {
        let long = try FinetuneCommand.parseAsRoot(
            "train --data x --head linear --weight-decay 0.1 --patience 3 --image-size 64 --learning-rate 0.5 --batch-size 8"
                .split(separator: " ").map(String.init))
        let train = try #require(long as? TrainCommand)
        #expect(
            train.steps.l2 == 0.1 && train.steps.earlyStop == 3 && train.recipe.size == 64 && train.steps.lr == "0.5"
                && train.steps.batch == 8)
        let decay = try FinetuneCommand.parseAsRoot(
            ["train", "--data", "x", "--unfreeze", "all", "--layer-decay", "0.7"])
        #expect((decay as? TrainCommand)?.steps.stageLrDecay == 0.7)
    }
}

@Suite("The table of flags") struct FlagRuleTests {
    @Test("has every flag of every command, and no other")
    func complete() throws {
        let dump = try JSON(parsing: FinetuneCommand._dumpHelp())
        var (options, flags): (Set<String>, Set<String>) = ([], [])
        for command in dump["command"]?["subcommands"]?.arrayValue ?? [] where command["commandName"] != "help" {
            for argument in command["arguments"]?.arrayValue ?? [] {
                let names = (argument["names"]?.arrayValue ?? []).compactMap { name -> String? in
                    name["name"]?.stringValue.map { (name["kind"] == "long" ? "--" : "-") + $0 }
                }
                if argument["kind"] == "option" { options.formUnion(names) } else { flags.formUnion(names) }
            }
        }
        #expect(options.count > 50)
        #expect(options == Set(FlagRules.all.flatMap(\.names)))
        #expect(flags.subtracting(["-h", "--help", "--version"]) == Set(FlagRules.switches))
    }

    @Test("has examples and suggestions that are accepted", arguments: FlagRules.all.map(\.name))
    func consistent(_ name: String) throws {
        let rule = try #require(FlagRules.rule(for: name))
        let quoted = rule.example.hasPrefix("'")
        #expect(quoted || rule.isAccepted(rule.example), "\(rule.example)")
        for choice in rule.choices { #expect(rule.isAccepted(choice), "\(choice)") }
        for (value, meaning) in rule.meanings {
            #expect(value == Spelling.simplified(value), "\(value) would never be found")
            if case .value(let meant) = meaning { #expect(rule.isAccepted(meant), "\(meant)") }
        }
    }

    @Test("lets a flag of one value be given once, in every command", arguments: CommandFlags.all().map(\.command))
    func once(_ command: String) throws {
        let flags = try #require(CommandFlags.all().first { $0.command == command }).flags
        for name in flags.sorted() {
            guard let rule = FlagRules.rule(for: name, in: command) else { continue }
            let example = rule.example.filter { $0 != "'" }
            let words = [command, name, example, name, example]
            if rule.mayRepeat {
                #expect(try ArgumentReader(words).arguments == words)
            } else {
                let error = #expect(throws: UsageError.self, "\(name)") { try ArgumentReader(words) }
                #expect(error?.description == "\(name) is given twice. Leave one of them out.")
            }
        }
    }

    @Test("names no flag of other programs twice, and only flags that exist")
    func foreign() {
        let flags = CommandFlags.all().reduce(into: Set()) { $0.formUnion($1.flags) }
        for table in [ForeignFlags.byName] + ForeignFlags.byCommand.values {
            for (name, advice) in table {
                #expect(name == Spelling.simplified(name), "\(name) would never be found")
                guard case .flags(let meant) = advice else { continue }
                for flag in meant { #expect(flags.contains(String(flag.prefix { $0 != " " })), "\(flag)") }
            }
        }
    }

    @Test(
        "measures spelling as the optimal string alignment distance",
        arguments: [
            ("", "abc", 3), ("abc", "abc", 0), ("tarin", "train", 1), ("kitten", "sitting", 3), ("ca", "abc", 3),
        ])
    func distance(_ first: String, _ second: String, _ expected: Int) {
        #expect(Spelling.distance(first, second) == expected && Spelling.distance(second, first) == expected)
    }
}
