"""Writes every output of every command to disks that are too small. Called by scripts/check-resume."""

import collections
import json
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from common import BASE, Ended, Findings, command, folder, names, run, table, write_idx, write_pictures
from stops import without_times

SIZES = 14
PAGE = 4096
findings = Findings("check-resume")


class Disk:
    """A tmpfs. Mounts end with the process, which has them for itself."""

    def __init__(self, path):
        self.path = path
        path.mkdir()

    def mount(self, size):
        self.unmount()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", self.path], check=True)

    def grow(self):
        subprocess.run(["mount", "-o", "remount,size=1g", self.path], check=True)

    def unmount(self):
        while os.path.ismount(self.path):
            subprocess.run(["umount", self.path], check=True)

    def used(self):
        about = os.statvfs(self.path)
        return (about.f_blocks - about.f_bfree) * about.f_frsize


@dataclass
class Case:
    """A command and what it writes."""

    name: str
    arguments: list
    out: str = ""  # on the disk; empty where it is standard output
    companions: tuple = ()  # files that stand beside it
    flag: str = "--out"
    codes: tuple = (0,)  # of a run with enough room
    compared: tuple = ()  # files of a run folder that are the same each time
    passing: tuple = ()  # patterns of files that an unfinished run may keep

    @property
    def is_folder(self):
        return bool(self.compared)

    def complete(self, disk):
        words = [*self.arguments]
        if self.out:
            words += [self.flag, disk / self.out] if self.flag else [disk / self.out]
        return words if self.is_folder else [*words, "--quiet"]


def cases(path):
    few, many = write_idx(path / "few", 250, 100), write_idx(path / "many", 200, 0, copies=3)
    pictures = write_pictures(path / "pictures", 300)
    model = path / "model"
    trained = run(["train", "--base", BASE, "--data", few, "--out", model, "--quiet"], cache=path / "cache")
    if trained.code != 0:
        findings.add(f"train: {trained.words}: {trained.err}")
        findings.end()
    model /= "model.h5"
    extract = ["extract", "--base", BASE, "--data", few]
    train = ["train", "--base", BASE, "--data", few, "--threads", "1", "--json"]
    run_files = ("model.h5", "predictions.csv", "confusion.csv")
    return [
        *(Case(f"extract {kind}", extract, f"f.{kind}", ("f.index.csv",) if kind == "npy" else ())
          for kind in ("npz", "npy", "h5", "csv")),
        *(Case(f"convert {kind}", ["convert", model, "--to", kind], f"m.{ending}", flag="") for kind, ending in
          (("native", "h5"), ("keras", "h5"), ("torch", "h5"), ("safetensors", "safetensors"), ("onnx", "onnx"))),
        Case("train frozen", train, "run", compared=run_files),
        Case("train stage4", [*train, "--unfreeze", "stage4", "--epochs", "2", "--checkpoint-every", "0.1", "--lr", "0.01",
                              "--views", "1"], "run", compared=run_files),
        Case("compare", ["compare", "--base", BASE, "--data", few, "--strategies", "head,last", "--epochs", "1", "--lr",
                         "0.01", "--views", "1", "--threads", "1", "--json", "--checkpoint-every", "0.1"], "run",
             compared=("predictions.csv", "comparison.json"), passing=(r"features/.*", r"parts/.*\.checkpoint\.h5")),
        Case("evaluate --report", ["evaluate", "--model", model, "--data", few], "page.html", flag="--report"),
        Case("check --fix-list", ["check", "--base", BASE, "--data", many], "list.csv", flag="--fix-list"),
        Case("predict > file", ["predict", "--model", model, pictures, "--format", "json", "--top", "3"]),
        Case("inspect > file", ["inspect", BASE, "--json"]),
    ]


# MARK: What is held of a run


def message_faults(err_lines, named):
    """What is wrong with the message about a full disk."""
    text = "\n".join(err_lines)
    if not err_lines:
        return ["no error on standard error"]
    faults = []
    if len(err_lines) > 1:
        faults.append(f"{len(err_lines)} lines on standard error")
    if "No space left on device" not in text:
        faults.append("does not say 'No space left on device'")
    if not any(str(name) in text for name in named):
        faults.append(f"does not name {named[0]}")
    return [f"{fault}: {text}" for fault in faults]


def internals(text):
    """Words of a library, addresses and names of temporary files, which tell a user nothing."""
    found = sorted(set(re.findall(r"0x[0-9a-fA-F]+|\bH5[A-Z]\w*|HDF5|\berrno\b|\S+\.tmp\b", text)))
    return [f"shows '{', '.join(found)}': {text.strip()[-400:]}"] if found else []


def file_faults(path):
    """Whether a file of a run folder ends where such files end."""
    content = path.read_bytes()
    try:
        if path.suffix == ".json":
            json.loads(content)
        elif path.suffix == ".jsonl":
            if content and not content.endswith(b"\n"):
                return ["ends in a part of a line"]
            for line in content.splitlines():
                json.loads(line)
        elif path.suffix == ".html":
            return [] if content.rstrip().endswith(b"</html>") else ["is cut"]
        elif path.suffix == ".csv":
            return [] if content.endswith(b"\n") else ["is cut"]
    except ValueError:
        return ["is no JSON"]
    return []


def equal(case, name, whole, path):
    if name == "comparison.json":
        return without_times(json.loads(whole[name])) == without_times(json.loads((path / name).read_bytes()))
    return whole[name] == (path / name).read_bytes()


class Trial:
    """A case on disks of one size after another."""

    def __init__(self, case, disk, path):
        self.case, self.disk, self.cache = case, disk, path / "cache" / case.name.split()[0]
        self.large = path / "large"
        self.counts = {"74": 0, "0, whole": 0, "resumed": 0}
        self.faults = 0  # disks on which something was wrong
        self.kinds = collections.Counter()

    def start(self):
        case = self.case
        if case.out:
            return run(case.complete(self.disk.path), cache=self.cache)
        with open(self.disk.path / "output", "wb") as file:
            return run(case.complete(self.disk.path), cache=self.cache, out=file)

    def whole(self):
        """What the command writes where there is room, and how much of a disk that takes."""
        self.disk.mount("1g")
        ended = self.start()
        if ended.code not in self.case.codes:
            self.fault("1g", [f"{ended.words} on a large disk: {ended.err.strip()[-400:]}"])
            return None
        self.found = names(self.disk.path)
        place = self.disk.path / self.case.out if self.case.is_folder else self.disk.path
        self.files = {name: (place / name).read_bytes() for name in names(place) if (place / name).is_file()}
        return self.disk.used()

    def fault(self, size, texts):
        self.faults += bool(texts)
        for text in texts:
            # The same fault on another disk is only counted.
            kind = re.sub(r"\d+", "N", re.split(r"[:']", text)[0].strip())
            self.kinds[kind] += 1
            if self.kinds[kind] == 1:
                findings.add(
                    f"{self.case.name} on {size}: {text}\n    mount -t tmpfs -o size={size} tmpfs DISK; "
                    + command(self.case.complete(Path("DISK"))) + ("" if self.case.out else " > DISK/output"))

    def go(self):
        used = self.whole()
        if not used:
            return
        top, low = used - PAGE, min(8192, used // 2)
        sizes = sorted({max(PAGE, round(low * (top / low) ** (at / (SIZES - 1))) // PAGE * PAGE) for at in range(SIZES)})
        self.sizes = f"{sizes[0] // 1024}–{sizes[-1] // 1024} kB"
        for size in sizes:
            self.disk.mount(size)
            self.fault(f"{size // 1024}k", self.faults_of(self.start()))

    def faults_of(self, ended: Ended):
        case, path = self.case, self.disk.path
        if ended.code == 0:
            faults = self.whole_faults(ended)
            self.counts["0, whole"] += not faults
        elif ended.code == 74:
            self.counts["74"] += 1
            named = [path / case.out] if case.out else ["standard output", path / "output"]
            faults = message_faults(ended.errors, named)
        else:
            faults = [f"{ended.words}: {ended.err.strip()[-400:]}"]
        faults += internals(ended.err)
        if not case.out:
            begun = (path / "output").read_bytes()
            return faults + ([] if self.files["output"].startswith(begun) else ["what was written is no beginning of the whole"])
        faults += self.leftovers()
        return faults + self.resume() if case.is_folder else faults

    def whole_faults(self, ended):
        """Where a run says that all is well: nothing is missing but a checkpoint, which it then says."""
        case = self.case
        place = self.disk.path / case.out if case.is_folder else self.disk.path
        missing = sorted(self.found - names(self.disk.path))
        faults = []
        if case.is_folder and [name for name in missing if name.endswith(".checkpoint.h5")]:
            missing = [name for name in missing if not name.endswith(".checkpoint.h5")]
            if "warning" not in ended.err and b'"warning"' not in ended.out:
                faults.append("no warning about the checkpoint that is not there")
        faults += [f"exit code 0, and {name} is missing" for name in missing]
        compared = case.compared or tuple(self.files)
        faults += [f"exit code 0, and {name} differs" for name in compared
                   if (place / name).exists() and not equal(case, name, self.files, place)]
        return faults

    def leftovers(self):
        """Files that no finished run leaves, and those that are not whole."""
        case, path = self.case, self.disk.path
        faults = []
        for name in sorted(names(path)):
            if name not in self.found:
                inside = name.removeprefix(f"{case.out}/")
                if name != f"{case.out}/last.checkpoint.h5" and not any(re.fullmatch(p, inside) for p in case.passing):
                    faults.append(f"left over: {name}")
            elif not case.is_folder and (path / name).read_bytes() != self.files[name]:
                faults.append(f"{name} is left and is not whole")
            elif case.is_folder:
                inside = name.removeprefix(f"{case.out}/")
                file = path / name
                if inside in case.compared and not equal(case, inside, self.files, path / case.out):
                    faults.append(f"{name} is left and differs")
                faults += [f"{name} {fault}" for fault in (file_faults(file) if file.exists() else [])]
        return faults

    def resume(self):
        """With room again, `--resume` comes to the same bytes."""
        case, path = self.case, self.disk.path
        self.disk.grow()
        ended = run([*case.complete(path), "--resume"], cache=self.cache)
        if ended.code == 66:
            ended = run(case.complete(path), cache=self.cache)
        if ended.code != 0:
            return [f"with room again, --resume: {ended.words}: {ended.err.strip()[-400:]}"]
        self.counts["resumed"] += 1
        place = path / case.out
        faults = [f"after --resume {name} differs" for name in case.compared if not equal(case, name, self.files, place)]
        faults += [f"after --resume left over: {name}" for name in sorted(names(path) - self.found)]
        return faults + [f"after --resume missing: {name}" for name in sorted(self.found - names(path))]


def main():
    only = sys.argv[1:]
    with folder() as path:
        disk = Disk(path / "disk")
        try:
            try:
                disk.mount("1m")
            except (subprocess.CalledProcessError, OSError):
                print("check-resume: no tmpfs can be mounted here (root can): the disk is not tested", file=sys.stderr)
                sys.exit(69)
            rows = [["output", "sizes", "74", "0, whole", "resumed", "wrong", "seconds"]]
            for case in cases(path):
                if only and case.name not in only:
                    continue
                trial, started = Trial(case, disk, path), time.monotonic()
                trial.sizes = "none"
                trial.go()
                rows.append([case.name, trial.sizes, *trial.counts.values(), trial.faults, f"{time.monotonic() - started:.0f}"])
                print(f"{case.name}: something wrong on {trial.faults} disks", flush=True)
                for kind, count in trial.kinds.items():
                    print(f"    {count} × {kind}", flush=True)
            print()
            table(rows)
        finally:
            disk.unmount()
        findings.end()


if __name__ == "__main__":
    main()
