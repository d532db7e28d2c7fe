"""One run by two ranks of a thread beside one rank of a thread, on this machine, both in turn.

    python ranks.py FINETUNE [--data FOLDER] [--rounds 3] [--images 96] [--only TEXT]

The program must be built with --traits MPI. Each rank has a core of its own. Prints the medians of seconds and of the
rounds' ratios, and how long the exchange of a ResNet-50's gradients takes through shared memory and through TCP.
"""
import argparse
import os
import statistics
import subprocess
import sys
import tempfile

import processes

HERE = os.path.dirname(os.path.abspath(__file__))
parser = argparse.ArgumentParser()
parser.add_argument("finetune")
parser.add_argument("--data", help="photographs: train/ and val/ with a folder a class (default: generated ones)")
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--images", type=int, default=96, help="that a network learns from in an epoch")
parser.add_argument("--only", default="", help="works whose name has this in it")
options = parser.parse_args()
# Open MPI looks for fast networks for 0.2 s unless it is told to take its own protocol.
LAUNCH = ["mpirun", "--allow-run-as-root", "--bind-to", "core", "--mca", "pml", "ob1"]


def launched(ranks, command, *flags):
    return processes.run([*LAUNCH, *flags, "-n", str(ranks), *command])


def extract(folder, ranks, number):
    """Seconds of an extraction, from start to end."""
    run = launched(ranks, [
        options.finetune, "extract", "--base", f"{folder}/resnet50.h5", "--data", options.data, "--out",
        f"{folder}/{number}.npy", "--threads", "1", "--json"])
    return run.seconds


def tune(folder, ranks, number):
    """Seconds of an epoch through all of a ResNet-50, with the validation after it."""
    run = launched(ranks, [
        options.finetune, "train", "--base", f"{folder}/resnet50.h5", "--data", options.data, "--unfreeze", "all",
        "--limit", f"{options.images},stratified", "--epochs", "1", "--batch", "16", "--lr", "0.0001",
        "--early-stop", "0", "--cache", f"{folder}/cache{number}", "--out", f"{folder}/run{number}", "--threads", "1", "--json"])
    epoch = run.events("epoch")[-1]
    return epoch["train_seconds"] + epoch["val_seconds"]


def compare(folder, name, measure):
    if options.only not in name:
        return
    pairs = []
    for number in range(options.rounds):
        pairs.append((measure(folder, 1, f"{name}-1-{number}"), measure(folder, 2, f"{name}-2-{number}")))
        print(f"    {name}: {pairs[-1][0]:.1f} s, {pairs[-1][1]:.1f} s", file=sys.stderr, flush=True)
    one, two = (statistics.median(side) for side in zip(*pairs))
    ratios = sorted(a / b for a, b in pairs)
    print(f"{name}: one rank {one:.1f} s, two ranks {two:.1f} s, ratio {statistics.median(ratios):.2f} "
          f"({ratios[0]:.2f} to {ratios[-1]:.2f})", flush=True)


def exchange(folder):
    if options.only not in "exchange":
        return
    program = f"{folder}/exchange"
    subprocess.run(["mpicc", "-O2", "-o", program, os.path.join(HERE, "exchange.c")], check=True)
    for words, flags in (("shared memory", []), ("TCP", ["--mca", "btl", "tcp,self"])):
        result = launched(2, [program], *flags).result
        # Of two ranks each sends half of the floats, twice, and receives as much.
        rate = result["bytes"] / result["seconds"] / 1e9
        print(f"exchange of {result['bytes'] / 1e6:.0f} MB by {words}: {result['seconds'] * 1000:.0f} ms, {rate:.2f} GB/s "
              "a rank and direction", flush=True)


with tempfile.TemporaryDirectory() as folder:
    os.environ["XDG_CACHE_HOME"] = f"{folder}/cache"  # Nothing that other runs kept is found.
    subprocess.run([sys.executable, os.path.join(HERE, "networks.py"), "make", "resnet50", folder], check=True)
    if not options.data:
        import pictures
        options.data = f"{folder}/photographs"
        pictures.photographs(options.data, 240, 160)
    compare(folder, "extract", extract)
    compare(folder, "unfreeze-all", tune)
    exchange(folder)
