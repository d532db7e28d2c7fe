"""Whether trainings end below their start: 60 runs of few images, small and large heads, ten seeds.

    starts.py FINETUNE --data FOLDER [--base FILE] [--seeds 10] [--images 20,100,400] [--heads linear,mlp:512] [--flags "--epochs 3"]

Each run trains on a stratified sample and validates on a fifth of it. The table has the means over seeds of the validation
log-loss before the first step and of the saved model, the largest difference between the two (never above zero, if the
program keeps its word), the accuracy of the saved model, and that of the default head on the same images.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("finetune")
parser.add_argument("--data", required=True)
parser.add_argument("--base")
parser.add_argument("--seeds", type=int, default=10)
parser.add_argument("--images", default="20,100,400")
parser.add_argument("--heads", default="linear,mlp:512")
parser.add_argument("--flags", default="")
options = parser.parse_args()
shared = ["--base", options.base] if options.base else []

with tempfile.TemporaryDirectory() as folder:
    def train(images, seed, *flags):
        command = [os.path.abspath(options.finetune), "train", "--data", options.data, "--limit", f"{images},stratified", "--seed",
                   str(seed), "--out", f"{folder}/run", "--force", "--json", *shared, *flags]
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "XDG_CACHE_HOME": folder})
        if done.returncode not in (0, 3):
            sys.exit(f"{' '.join(command)}: {done.stderr[-500:]}")
        return json.loads(done.stdout.splitlines()[-1])

    worst = []
    print("head       images  log-loss: start   saved  largest rise  accuracy  default head  best epoch 0")
    for head in options.heads.split(","):
        for images in map(int, options.images.split(",")):
            runs = [train(images, seed, "--head", head, *options.flags.split()) for seed in range(options.seeds)]
            heads = [train(images, seed) for seed in range(options.seeds)]
            starts = [run["start"]["saved_log_loss"] for run in runs]
            saved = [run["val"]["log_loss"] for run in runs]
            worst.append(max(after - before for before, after in zip(starts, saved)))
            accuracy, default = (statistics.mean(run["val"]["accuracy"] for run in side) * 100 for side in (runs, heads))
            print(f"{head:<10}{images:>7}{statistics.mean(starts):>17.3f}{statistics.mean(saved):>8.3f}{worst[-1]:>14.6f}"
                  f"{accuracy:>8.1f} %{default:>12.1f} %{sum(run['best_epoch'] == 0 for run in runs):>14}", flush=True)
    print(f"{options.seeds * len(worst)} runs; the largest rise is {max(worst):.6f}.")
