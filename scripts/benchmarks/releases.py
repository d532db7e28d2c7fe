"""One program on two releases of Debian, so by two releases of oneDNN: what is built for each, in turn, on this machine.

    python releases.py --data FOLDER [--rounds 5] [--only TEXT] [--limit 96]

Takes root, and the roots in which scripts/check-machines --packages has installed each release's package. Prints medians of
seconds, and of the rounds' ratios: above 1 the newer release is faster. The network is a ResNet-50 of random numbers at 224 pixels,
which the program itself makes; arithmetic takes as long on these as on any.
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time

PROJECT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
RELEASES = ("bookworm", "trixie")
PROGRAM = "finetune"
parser = argparse.ArgumentParser()
parser.add_argument("--data", required=True, help="photographs: a folder a class")
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--only", default="", help="only measurements whose name contains TEXT")
parser.add_argument("--limit", default="96", help="images that a training learns from")
options = parser.parse_args()
roots = os.path.abspath(os.environ.get("FINETUNE_ROOTS", os.path.join(PROJECT, ".build-roots")))
if os.environ.get("FINETUNE_NAMESPACE") != str(os.getpid()):
    # What is mounted in the roots is mounted for this run alone.
    os.environ["FINETUNE_NAMESPACE"] = str(os.getpid())
    os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", sys.executable, *sys.argv])


def inside(release, *command):
    """Runs a command in a release's root, below /bench; gives its seconds, and the last JSON line that it printed."""
    shutil.rmtree(os.path.join(roots, f"{release}-plain", "bench/.cache"), ignore_errors=True)  # Clears the cache, so that no features are reused.
    started = time.monotonic()
    run = subprocess.run(
        ["chroot", os.path.join(roots, f"{release}-plain"), "env", "-i", "-C", "/bench", "PATH=/usr/bin:/bin", "HOME=/bench", "SWIFT_BACKTRACE=enable=no", *command],
        stdout=subprocess.PIPE, text=True)
    seconds = time.monotonic() - started
    if run.returncode != 0:
        sys.exit(f"{release}: {' '.join(command)} ended with {run.returncode}")
    lines = [line for line in run.stdout.splitlines() if line.startswith("{")]
    return seconds, json.loads(lines[-1]) if lines else {}


def extract(release, flags):
    """Seconds from start to end, and of processor time that the network took, without decoding."""
    seconds, done = inside(release, PROGRAM, "extract", "--base", "base.safetensors", "--recipe", "torch", "--data", "data", "--out", "out.npy", "--json", *flags)
    return {"whole command": seconds, "processor time of the network": done["cpu_seconds"]["network"]}


def train(release, flags):
    seconds, _ = inside(
        release, PROGRAM, "train", "--base", "base.safetensors", "--recipe", "torch", "--data", "data", "--epochs", "2", "--batch", "16", "--lr", "0.001",
        "--early-stop", "0", "--limit", f"{options.limit},stratified", "--cache", "off", "--out", "run", "--force", "--json", *flags)
    return {"whole command": seconds}


for release in RELEASES:
    if not os.path.exists(os.path.join(roots, f"{release}-plain", "usr/bin/finetune")):
        sys.exit(f"{release} has no package installed. First: scripts/check-machines --packages")
    root = os.path.join(roots, f"{release}-plain")
    for folder, kind in (("proc", ["-t", "proc", "proc"]), ("dev", ["--bind", "/dev"])):
        subprocess.run(["mount", *kind, os.path.join(root, folder)], check=True)
    bench = os.path.join(root, "bench")
    shutil.rmtree(bench, ignore_errors=True)
    shutil.copytree(options.data, os.path.join(bench, "data"), symlinks=False)
# One base for both: made once, by the older release.
inside(RELEASES[0], PROGRAM, "train", "--strategy", "scratch", "--architecture", "resnet50", "--size", "224", "--data", "data", "--limit",
       "8,stratified", "--epochs", "1", "--batch", "4", "--lr", "0.001", "--cache", "off", "--out", "made", "--force", "--json")
# What a training has changed is computed in the precision that it learned in; a file of weights alone has no such part.
inside(RELEASES[0], PROGRAM, "convert", "made/model.h5", "base.safetensors", "--to", "safetensors")
for release in RELEASES[1:]:
    shutil.copy(os.path.join(roots, f"{RELEASES[0]}-plain/bench/base.safetensors"), os.path.join(roots, f"{release}-plain/bench"))

processor = inside(RELEASES[0], PROGRAM, "doctor", "--json")[1]
libraries = [next(l["version"] for l in inside(r, PROGRAM, "doctor", "--json")[1]["libraries"] if l["name"] == "oneDNN") for r in RELEASES]
print(f"{processor['processor']}; oneDNN {libraries[0]} ({RELEASES[0]}) and {libraries[1]} ({RELEASES[1]}), {options.rounds} rounds")
works = [("extract, fp32", extract, ["--precision", "fp32"])]
works += [(f"extract, {p}", extract, ["--precision", p]) for p in ("bf16", "int8") if p in processor["precisions"]]
works += [("train --unfreeze stage4", train, ["--unfreeze", "stage4"]), ("train --unfreeze all", train, ["--unfreeze", "all"]),
          ("train --unfreeze all --batch-norm train", train, ["--unfreeze", "all", "--batch-norm", "train"])]
for name, work, flags in works:
    if options.only not in name:
        continue
    values = {}
    for _ in range(options.rounds):
        for release in RELEASES:
            for what, seconds in work(release, flags).items():
                values.setdefault(what, {}).setdefault(release, []).append(seconds)
    for what, sides in values.items():
        older, newer = (sides[release] for release in RELEASES)
        ratios = sorted(a / b for a, b in zip(older, newer))
        print(f"{name}, {what}: {statistics.median(older):.2f} s, {statistics.median(newer):.2f} s, ratio "
              f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})", flush=True)
