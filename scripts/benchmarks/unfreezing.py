"""What unfreezing brings at default flags, beside PyTorch's usual ways on the same divisions.

    unfreezing.py FINETUNE --data FOLDER… [--base FILE] [--size N] [--forms plain,folded,caffe,both]
        [--strategies head,last,all] [--divisions 5] [--recipes sgd,adamw-4,adamw-5] [--peer-divisions 5] [--epochs 25]

Each data set is a folder of class folders. A base is taken in four forms: as it is, with batch norms folded into its
convolutions, with a stem that reads BGR from 0 to 255 (caffe), and with both. A fifth of the images of each division is
scored, another fifth chooses epochs on both sides, the others learn. "−" and "+" are the ends of the 95 % interval over
divisions, as `compare` gives it. Of PyTorch there is a line for each recipe of torch_unfreezing.py; no --recipes, no lines.
"""
import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("finetune")
parser.add_argument("--data", nargs="+", required=True)
parser.add_argument("--base", default=os.path.join(os.path.dirname(__file__), "../../pretrained/resnet18-tiny-imagenet.h5"))
parser.add_argument("--size", type=int, default=64, help="pixels of the base's input")
parser.add_argument("--forms", default="plain,folded,caffe,both")
parser.add_argument("--strategies", default="head,last,all")
parser.add_argument("--divisions", type=int, default=5)
parser.add_argument("--recipes", default="")
parser.add_argument("--peer-divisions", type=int, default=5)
parser.add_argument("--epochs", type=int, default=25, help="PyTorch's")
parser.add_argument("--precision", default="fp32", help="PyTorch's: fp32 or bf16")
parser.add_argument("--threads", default="2")
parser.add_argument("--flags", default="", help="more flags of compare")
options = parser.parse_args()
program = os.path.abspath(options.finetune)
recipes = [recipe for recipe in options.recipes.split(",") if recipe]


def finetune(*arguments):
    # Exit code 3: some images could not be read.
    done = subprocess.run([program, *arguments], capture_output=True, text=True, env={**os.environ, "XDG_CACHE_HOME": scratch})
    if done.returncode not in (0, 3):
        sys.exit(f"finetune {' '.join(arguments)}: {done.stderr[-500:]}")
    return done.stdout


def torch(*arguments):
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "torch_unfreezing.py")
    done = subprocess.run([sys.executable, script, *arguments], check=True, stdout=subprocess.PIPE, text=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def forms(folder):
    """The base's forms: the file that finetune reads, the weights that PyTorch reads, and PyTorch's flags."""
    weights = os.path.join(folder, "plain.safetensors")
    made = {"plain": (options.base, weights, [])}
    wanted = options.forms.split(",")
    # A base that came folded has no such weights, and PyTorch no network for it.
    if recipes or wanted != ["plain"]:
        finetune("convert", options.base, weights)
    if "caffe" in wanted or "both" in wanted:
        rescaled, read = os.path.join(folder, "caffe.safetensors"), os.path.join(folder, "caffe.h5")
        scale_stem(weights, rescaled)
        finetune("convert", rescaled, read, "--recipe", "caffe", "--size", str(options.size))
        made["caffe"] = (read, rescaled, ["--caffe"])
    for name, source in (("folded", "plain"), ("both", "caffe")):
        if name in wanted:
            path, tensors, flags = made[source]
            folded = os.path.join(folder, name + ".h5")
            finetune("convert", path, folded, "--fold", "--to", "keras")
            made[name] = (folded, tensors, flags + ["--fold"])
    return {name: made[name] for name in wanted}


def scale_stem(source, target):
    """The same network for BGR from 0 to 255 less its mean: filters take over the division by 255 and by the deviation."""
    import torch
    from safetensors.torch import load_file, save_file
    state = {name: tensor for name, tensor in load_file(source).items()}
    deviation = torch.tensor([0.229, 0.224, 0.225]).reshape(1, 3, 1, 1)
    state["conv1.weight"] = (state["conv1.weight"] / (255 * deviation)).flip(1).contiguous()
    save_file(state, target)


def accuracies(path):
    """By strategy, one a division."""
    hits = {}
    with open(path, newline="") as file:
        for row in csv.DictReader(file):
            hits.setdefault(row["strategy"], {}).setdefault(int(row["division"]), []).append(row["label"] == row["prediction"])
    return {name: [statistics.mean(each[number]) for number in sorted(each)] for name, each in hits.items()}


def splits(data, folder):
    """A table of each division, which depends on the images and the seed alone."""
    tables = []
    for seed in range(options.peer_divisions):
        run = os.path.join(folder, f"split-{seed}")
        finetune("train", "--data", data, "--val", "0.2", "--test", "0.2", "--seed", str(seed), "--out", run)
        tables.append(os.path.join(run, "split.csv"))
    return tables


def line(side, values, interval="", seconds=None, note=""):
    each = " ".join(f"{value * 100:5.1f}" for value in values)
    time = f"{seconds:8.1f}" if seconds is not None else " " * 8
    print(f"  {side:<22}{statistics.mean(values) * 100:6.1f} %  {interval:<18}{time}  {each}  {note}", flush=True)


with tempfile.TemporaryDirectory() as scratch:
    bases = forms(scratch)
    for data in options.data:
        tables = splits(data, os.path.join(scratch, os.path.basename(os.path.normpath(data)))) if recipes else []
        for form, (base, weights, flags) in bases.items():
            run = os.path.join(scratch, f"run-{form}-{os.path.basename(os.path.normpath(data))}")
            done = json.loads(finetune(
                "compare", "--base", base, "--data", data, "--strategies", options.strategies, "--seeds",
                str(options.divisions), "--out", run, "--threads", options.threads, "--json", *options.flags.split()).splitlines()[-1])
            print(f"{os.path.basename(options.base)} {form}, {os.path.basename(os.path.normpath(data))}: "
                  f"{done['train_images']} learn, {done['scored_images']} scored; mean, interval, seconds, each division")
            each = accuracies(os.path.join(run, "predictions.csv"))
            for strategy in done["strategies"]:
                low, high = strategy["accuracy_ci"]
                line(f"finetune {strategy['name']}", each[strategy["name"]], f"{low * 100:.1f} to {high * 100:.1f}",
                     strategy["seconds"], strategy.get("failure") or "")
            for unfreeze in ("last", "all") if recipes else ():
                results = {recipe: [] for recipe in recipes}
                for seed, table in enumerate(tables):
                    for result in torch(
                            "--weights", weights, "--size", str(options.size), "--data", data, "--split", table, "--unfreeze",
                            unfreeze, "--recipes", options.recipes, "--epochs", str(options.epochs), "--seed", str(seed),
                            "--precision", options.precision, "--threads", options.threads, *flags):
                        results[result["recipe"]].append(result)
                for recipe, runs in results.items():
                    line(f"PyTorch {unfreeze} {recipe}", [run["accuracy"] for run in runs], "",
                         statistics.mean(run["seconds"] for run in runs))
