"""The first epochs of a ResNet-20 on Fashion-MNIST from nothing, beside PyTorch with the same recipe: loss and seconds.

    python scratch.py FINETUNE [--epochs 24] [--run 3] [--precision bf16|fp32] [--workers 0 2]

PyTorch loads with each number of workers; both sides run in turn, and nothing beside them.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

parser = argparse.ArgumentParser()
parser.add_argument("finetune")
parser.add_argument("--data", default="/usr/share/datasets/fashion-mnist")
parser.add_argument("--epochs", type=int, default=24)
parser.add_argument("--run", type=int, default=3)
parser.add_argument("--lr", type=float, default=0.1)
parser.add_argument("--precision", default="bf16", choices=["fp32", "bf16"])
parser.add_argument("--workers", type=int, nargs="+", default=[0, 2])
options = parser.parse_args()
schedule = ["--epochs", str(options.epochs), "--lr", str(options.lr)]


def ours():
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [options.finetune, "train", "--strategy", "scratch", "--architecture", "resnet20", "--size", "28",
             "--data", options.data, "--val", "0", "--optimizer", "nesterov", *schedule, "--train-precision",
             options.precision, "--out", folder + "/run", "--json"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        rows = []
        for line in process.stdout:
            event = json.loads(line)
            if event["event"] == "epoch":
                rows.append((event["train_loss"], event["train_seconds"]))
                if len(rows) == options.run:
                    process.terminate()
                    break
        process.communicate()
        return rows


def torch(workers):
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "torch_scratch.py")
    lines = subprocess.run(
        [sys.executable, script, options.data, *schedule, "--run", str(options.run), "--precision",
         options.precision, "--workers", str(workers)],
        stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
    return [(row["train_loss"], row["seconds"]) for row in map(json.loads, lines)]


columns = {"finetune": ours()}
for workers in options.workers:
    columns[f"PyTorch, {workers} workers"] = torch(workers)
print("epoch  " + "".join(f"{name:>26}" for name in columns))
for epoch, cells in enumerate(zip(*columns.values()), 1):
    print(f"{epoch:5}  " + "".join(f"{f'loss {loss:.4f}, {seconds:.1f} s':>26}" for loss, seconds in cells))
