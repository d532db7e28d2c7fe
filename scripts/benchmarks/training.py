"""Training through a ResNet-50 at 224 pixels, beside PyTorch: the same ready tensors' worth of work, the same threads, the
same batch-norm mode, both sides in turn.

    python training.py FINETUNE [--rounds 3] [--threads 2] [--images 64] [--validation 40] [--batch 16]

An epoch is what a user waits for: the training images once, then the validation images. The first one of each run is
not counted. Prints medians of seconds and their ratios.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

import numpy as np

parser = argparse.ArgumentParser()
parser.add_argument("finetune")
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--images", type=int, default=64)
parser.add_argument("--validation", type=int, default=40)
parser.add_argument("--batch", type=int, default=16)
parser.add_argument("--epochs", type=int, default=4)
parser.add_argument("--only", default="", help="cases whose name has this in it")
options = parser.parse_args()
# What learns, our precision, PyTorch's precision, batch norms.
CASES = [
    ("all", "bf16", "bf16", "frozen"), ("all", "bf16", "bf16", "train"),
    ("all", "fp32", "fp32", "frozen"), ("all", "fp32", "fp32", "train"),
    ("stage4", "bf16", "bf16", "frozen"), ("stage4", "bf16", "bf16", "train"),
]
TORCH = os.path.join(os.path.dirname(__file__), "torch_training.py")


def ours(folder, unfreeze, precision, batch_norm, number):
    out = subprocess.run(
        [options.finetune, "train", "--base", f"{folder}/base.h5", "--data", f"{folder}/train.npz", "--val",
         f"{folder}/val.npz", "--unfreeze", unfreeze, "--precision", "bf16" if precision == "bf16" else "fp32",
         "--train-precision", precision, "--batch-norm", batch_norm, "--augment", "none", "--batch",
         str(options.batch), "--epochs", str(options.epochs), "--lr", "0.0001", "--early-stop", "0", "--cache", "off",
         "--checkpoint-every", "100000", "--threads", str(options.threads), "--json", "--out", f"{folder}/run{number}"],
        check=True, capture_output=True, text=True).stdout
    epochs = [event for event in map(json.loads, out.splitlines()) if event["event"] == "epoch"][1:]
    return [e["train_seconds"] for e in epochs], [e["val_seconds"] for e in epochs]


def theirs(unfreeze, precision, batch_norm):
    out = subprocess.run(
        [sys.executable, TORCH, "--arch", "resnet50", "--batch", str(options.batch), "--unfreeze",
         unfreeze.replace("stage", "layer"), "--precision", precision, "--batch-norm", batch_norm, "--threads",
         str(options.threads), "--images", str(options.images), "--validation", str(options.validation), "--epochs",
         str(options.epochs)], check=True, capture_output=True, text=True).stdout
    line = json.loads(out.splitlines()[-1])
    return line["epoch_seconds"], line["validation_seconds"]


def make_inputs(folder):
    random = np.random.default_rng(0)
    for name, count in (("train", options.images), ("val", options.validation)):
        inputs = random.standard_normal((count, 224, 224, 3), dtype=np.float32)
        np.savez(f"{folder}/{name}.npz", inputs=inputs, labels=np.arange(count) % 10)
    # A network of the right shape from the program itself: one step from nothing, on as few images as do.
    small = random.standard_normal((20, 224, 224, 3), dtype=np.float32)
    np.savez(f"{folder}/small.npz", inputs=small, labels=np.arange(20) % 10)
    subprocess.run(
        [options.finetune, "train", "--strategy", "scratch", "--architecture", "resnet50", "--data",
         f"{folder}/small.npz", "--val", "0", "--batch", "20", "--epochs", "1", "--lr", "0.0001", "--augment", "none",
         "--out", f"{folder}/base", "--quiet"], check=True, capture_output=True)
    os.rename(f"{folder}/base/model.h5", f"{folder}/base.h5")


def median(values):
    return statistics.median(value for row in values for value in row)


with tempfile.TemporaryDirectory() as folder:
    make_inputs(folder)
    steps = options.images / options.batch
    print(f"ResNet-50, 224 px, batch {options.batch}, {options.threads} threads; seconds, medians of {options.rounds} "
          f"rounds of {options.epochs - 1} epochs of {options.images} + {options.validation} images")
    print("| learns | batch norm | precision | step, PyTorch | step, finetune | ratio | epoch, PyTorch | epoch, finetune | ratio |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    number = 0
    for unfreeze, precision, peer, batch_norm in CASES:
        if options.only not in f"{unfreeze} {precision} {batch_norm}":
            continue
        mine, other, my_epochs, other_epochs = [], [], [], []
        for _ in range(options.rounds):
            number += 1
            train, validation = ours(folder, unfreeze, precision, batch_norm, number)
            mine.append([t / steps for t in train])
            my_epochs.append([t + v for t, v in zip(train, validation)])
            train, validation = theirs(unfreeze, peer, batch_norm)
            other.append([t / steps for t in train])
            other_epochs.append([t + v for t, v in zip(train, validation)])
        a, b, c, d = median(other), median(mine), median(other_epochs), median(my_epochs)
        print(f"| {unfreeze} | {batch_norm} | {precision} | {a:.3f} | {b:.3f} | {a / b:.2f} | {c:.2f} | {d:.2f} | {c / d:.2f} |",
              flush=True)
