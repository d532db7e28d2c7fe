"""What was measured on and with: a table's figures mean nothing without it."""
import hashlib
import importlib.metadata
import json
import os
import subprocess
import tempfile

import numpy as np

import processes

FEATURES = {  # In a word, by the names of Linux.
    "AVX2": ["avx2"], "AVX-512": ["avx512f"], "VNNI": ["avx512_vnni", "avx_vnni"], "BF16": ["avx512_bf16"],
    "AMX": ["amx_tile"]}
NATIVE_BF16 = {"avx512_bf16", "amx_bf16"}


def _cpuinfo():
    with open("/proc/cpuinfo") as file:
        pairs = [line.partition(":") for line in file]
    return {name.strip(): value.strip() for name, _, value in pairs}


def processor():
    info = _cpuinfo()
    flags = set(info.get("flags", "").split())
    return dict(
        name=info.get("model name", "unknown"), cores=len(os.sched_getaffinity(0)),
        features=[word for word, names in FEATURES.items() if flags.intersection(names)],
        native_bf16=bool(flags & NATIVE_BF16),
        memory_gib=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2 ** 30)


def versions(finetune, repository):
    def git(*arguments):
        done = subprocess.run(["git", "-C", repository, *arguments], capture_output=True, text=True)
        return done.stdout.strip()
    commit = git("rev-parse", "--short=10", "HEAD") or "unknown"
    program = ["Sources", "Package.swift", ":(exclude)*.docc/*"]  # The page is written among the sources.
    changed = " with changes" if git("status", "--porcelain", "--", *program) else ""
    if not finetune.startswith(os.path.join(repository, "")):
        commit, changed = "of unknown commit", ""
    packages = {"PyTorch": "torch", "OpenVINO": "openvino", "ONNX Runtime": "onnxruntime"}
    return {"finetune": commit + changed, "oneDNN": _onednn(finetune),
            **{name: _package(package) for name, package in packages.items()}}


def fingerprint(path):
    """Which build of a program it is: rows of two builds do not belong in one table."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def _package(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _onednn(finetune):
    """As the program itself writes it into a run's record: a run of no consequence on four images."""
    with tempfile.TemporaryDirectory() as folder:
        images = np.random.default_rng(0).integers(0, 255, (4, 64, 64, 3), np.uint8)
        np.savez(f"{folder}/images.npz", images=images, labels=np.array([0, 0, 1, 1]))
        processes.run(
            [finetune, "train", "--data", f"{folder}/images.npz", "--val", "0.5", "--out", f"{folder}/run", "--quiet"],
            {"XDG_CACHE_HOME": folder})
        with open(f"{folder}/run/run.json") as file:
            return json.load(file)["machine"].partition(",")[0].removeprefix("oneDNN ")
