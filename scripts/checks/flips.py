"""Flips single bits of a model and of a checkpoint: a flip must be refused, or change nothing. Called by
scripts/check-resume."""

import collections
import os
import random
import shutil
import signal
import sys
import time

from common import Findings, Run, command, folder, run, table, write_idx, write_pictures

findings = Findings("check-resume")


def train(path, out, *more):
    """A training of a small network, which takes less than a second."""
    return ["train", "--strategy", "scratch", "--architecture", "resnet20,width=4", "--size", "28", "--data", path / "images",
            "--epochs", "2", "--batch", "32", "--lr", "0.05", "--train-precision", "fp32", "--threads", "1",
            "--checkpoint-every", "0.05", "--out", out, "--quiet", *more]


def stopped(path, cache):
    """A run folder of a training that was stopped in its middle."""
    for wait in (0.0, 0.02, 0.05, 0.1, 0.0, 0.05, 0.1, 0.2):
        shutil.rmtree(path / "stopped", ignore_errors=True)
        arguments = [word for word in train(path, path / "stopped") if word != "--quiet"] + ["--json"]
        life = Run(arguments, cache=cache)
        while not life.has_ended() and b'"epoch"' not in life.text():
            time.sleep(0.005)
        time.sleep(wait)
        if not life.has_ended():
            os.kill(life.pid, signal.SIGTERM)
        if life.wait().code == 75:
            return path / "stopped"
    return None


def places(content, count, draw):
    """Bits all over the file; every second one in a neighbourhood with zeros, which is where formats keep their own
    numbers and texts rather than weights."""
    def is_metadata(at):
        near = content[max(0, at - 16):at + 16]
        return near.count(0) >= 8

    positions = [at for at in range(len(content)) if is_metadata(at)]
    bits = []
    for number in range(count):
        # Evenly over the file, each at random within its part.
        chosen = positions if number % 2 and positions else range(len(content))
        begin, end = len(chosen) * number // count, max(len(chosen) * number // count + 1, len(chosen) * (number + 1) // count)
        bits.append((chosen[draw.randrange(begin, min(end, len(chosen)))], draw.randrange(8)))
    return bits


def flipped(content, place):
    at, bit = place
    return content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1:]


def refusal_faults(ended, codes, name):
    """What is wrong with the way in which a file was refused."""
    if ended.code not in codes:
        return [f"{ended.words}: {ended.err.strip()[-300:]}"]
    if not ended.errors or name not in "\n".join(ended.errors):
        return [f"refused without a sentence that names the file: {ended.err.strip()[-300:] or 'nothing on standard error'}"]
    return []


class Tally:
    """What came of the flips in one kind of file."""

    def __init__(self, name):
        self.name = name
        self.counts = collections.Counter()

    def add(self, place, size, ended, is_same, codes, name, repeated):
        if ended.code == 0:
            result = "same" if is_same else "WRONG"
            faults = [] if is_same else ["accepted, and the result differs"]
        else:
            faults = refusal_faults(ended, codes, name)
            result = "WRONG" if faults else "refused"
        self.counts[result] += 1
        at, bit = place
        for fault in faults:
            findings.add(f"{self.name}: bit {bit} of byte {at} (of {size}): {fault}\n    {repeated}")


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    draw = random.Random(int(os.environ.get("SEED", "1")))
    with folder() as path:
        cache = path / "cache"
        write_idx(path / "images", 300, 100)
        pictures = write_pictures(path / "pictures", 10)
        whole = run(train(path, path / "whole"), cache=cache)
        place = stopped(path, cache)
        if whole.code != 0 or place is None:
            findings.add(f"train: {whole.words}: {whole.err}" if whole.code else "a training could not be stopped in its middle")
            findings.end()

        model, expected_model = Tally("model.h5"), (path / "whole/model.h5").read_bytes()
        file = path / "flipped.h5"
        arguments = ["predict", "--model", file, pictures, "--format", "json", "--top", "10", "--threads", "1", "--quiet"]
        file.write_bytes(expected_model)
        expected = run(arguments, cache=cache)
        if expected.code != 0:
            findings.add(f"predict: {expected.words}: {expected.err}")
            findings.end()
        for bit in places(expected_model, count, draw):
            file.write_bytes(flipped(expected_model, bit))
            ended = run(arguments, limit=60, cache=cache)
            model.add(bit, len(expected_model), ended, ended.out == expected.out, {65}, "flipped.h5", command(arguments))

        checkpoint, content = Tally("last.checkpoint.h5"), (place / "last.checkpoint.h5").read_bytes()
        arguments = train(path, path / "resumed", "--resume")
        for bit in [None, *places(content, count, draw)]:
            shutil.rmtree(path / "resumed", ignore_errors=True)
            shutil.copytree(place, path / "resumed")
            if bit:
                (path / "resumed/last.checkpoint.h5").write_bytes(flipped(content, bit))
            ended = run(arguments, limit=60, cache=cache)
            is_same = ended.code == 0 and (path / "resumed/model.h5").read_bytes() == expected_model
            if bit:
                checkpoint.add(bit, len(content), ended, is_same, set(range(64, 76)), "", command(arguments))
            elif not is_same:
                findings.add(
                    f"train --resume from a sound checkpoint: {ended.words}, model.h5 differs or is missing: {ended.err}")
                break
        table([["file", "bytes", "flips", "refused", "same", "WRONG"]] + [
            [tally.name, size, sum(tally.counts.values()), *(tally.counts[key] for key in ("refused", "same", "WRONG"))]
            for tally, size in ((model, len(expected_model)), (checkpoint, len(content)))])
        findings.end()


if __name__ == "__main__":
    main()
