"""Stops runs in every phase by SIGINT, SIGTERM and SIGKILL, resumes them, and compares what comes out with a run that
was never stopped. Called by scripts/check-resume."""

import collections
import json
import os
import random
import signal
import sys
import time
from dataclasses import dataclass
from typing import Callable

from common import BASE, Findings, Run, command, empty, folder, names, run, table, write_idx

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGKILL]
findings = Findings("check-resume")


# MARK: Phases, as far as the run's lines and files tell them


def events(text):
    """JSON lines; the last one may be cut."""
    found = []
    for line in text.split(b"\n"):
        try:
            found.append(json.loads(line))
        except ValueError:
            pass
    return [event for event in found if isinstance(event, dict)]


def log(out):
    """The run's own log, which has the events of earlier lives, too."""
    try:
        return events((out / "events.jsonl").read_bytes())
    except OSError:
        return []


def train_phase(out, lines):
    """The phase of a training, by the events of this life and the checkpoint."""
    keys = {key for line in lines for key in line}
    if "plan" not in keys:
        return "listing"
    if "calibration" in keys:
        return "writing"
    if "computed" not in keys:
        return "features"
    is_resumed = (out / "last.checkpoint.h5").exists()
    epochs = [line for line in (log(out) if is_resumed else lines) if line.get("event") == "epoch"]
    if epochs:
        done, total = epochs[-1]["epoch"], epochs[-1]["epochs"]
        return "scoring" if done == total else f"epoch {done + 1}"
    return "epoch 1" if is_resumed or "losses" in keys else "head, learning rate"


def compare_phase(out, lines):
    """The phase of a comparison: which training it is at."""
    if not any("design" in line for line in lines):
        return "features" if (out / "parts").exists() else "listing"
    # The trainings that are over, as files.
    done = [part for part in ("head", "last", "all") if (out / "parts" / f"{part}.json").exists()]
    if len(done) == 3:
        return "writing"
    part = ("head", "last", "all")[len(done)]
    return f"training {part}"


def extract_phase(out, lines):
    if out.exists():
        return "writing"
    return "features" if os.path.exists(f"{out}.features") else "listing"


# MARK: Comparing


def same_bytes(*files):
    """Compares files byte by byte."""
    def differing(whole, other):
        return [name for name in files if (whole / name).read_bytes() != (other / name).read_bytes()]
    return differing, files


# The checksum of a part is that of its times, too.
TIMES = {"seconds", "cpu_seconds", "peak_rss_mb", "checksum"}
# The recommendation may follow the costs; the arguments have --resume.
OTHERS = {"advice", "recommended", "p_value", "arguments"}


def without_times(value, dropped=TIMES | OTHERS):
    if isinstance(value, dict):
        return {key: without_times(item, TIMES) for key, item in value.items() if key not in dropped}
    return [without_times(item, TIMES) for item in value] if isinstance(value, list) else value


def same_comparison():
    files = ["run/predictions.csv", "run/comparison.json", "run/parts/head.json", "run/parts/last.json", "run/parts/all.json"]

    def differing(whole, other):
        def content(path):
            return without_times(json.loads(path.read_bytes())) if path.suffix == ".json" else path.read_bytes()
        return [name for name in files if content(whole / name) != content(other / name)]
    return differing, files


# MARK: Jobs


@dataclass
class Job:
    name: str
    arguments: list
    out: str  # below the folder `out` of a run
    phase: Callable
    compared: tuple  # a function that names the files that differ, and all names
    always: tuple = ()  # flags that the first life has, too


def jobs(path, scale):
    """Runs of 20 s or more; `scale` is this processor's speed beside the one for which the numbers were chosen."""
    def data(train, test):
        return write_idx(path / f"data-{train}", max(100, int(scale * train)), max(50, int(scale * test)))

    train = ["train", "--base", BASE, "--cache", "cache", "--checkpoint-every", "0.2"]
    trained = [f"run/{name}" for name in ("model.h5", "predictions.csv", "confusion.csv", "split.csv", "evaluation.json")]
    # A head that is solved has no steps, and takes no flag about them.
    solved = [word for word in train if word not in ("--checkpoint-every", "0.2")]
    return [
        Job("frozen", [*solved, "--data", data(5500, 1500)], "run", train_phase, same_bytes(*trained)),
        Job("lp-ft", [*train, "--data", data(600, 200), "--unfreeze", "stage2", "--strategy", "lp-ft", "--epochs", "4",
                      "--ema", "0.99", "--dropout", "0.2", "--early-stop", "0"], "run", train_phase, same_bytes(*trained)),
        Job("mlp", [*train, "--data", data(3200, 800), "--head", "mlp:64", "--epochs", "80", "--batch", "4",
                    "--early-stop", "0"], "run",
            train_phase, same_bytes(*trained)),
        Job("compare", ["compare", "--base", BASE, "--data", data(420, 150), "--strategies", "head,last,all", "--epochs", "2",
                        "--checkpoint-every", "0.2"], "run", compare_phase, same_comparison()),
        Job("extract-npz", ["extract", "--base", BASE, "--data", data(6500, 1000)], "f.npz", extract_phase,
            same_bytes("f.npz"), ("--resume",)),
        Job("extract-h5", ["extract", "--base", BASE, "--data", data(6500, 1000)], "f.h5", extract_phase, same_bytes("f.h5"),
            ("--resume",)),
    ]


class Life:
    """One start of a job's command in a folder."""

    def __init__(self, job, place, resumes):
        self.job, self.out = job, place / "out" / job.out
        self.arguments = [*job.arguments, "--out", f"out/{job.out}", "--threads", "1", "--json", *job.always]
        if resumes and "--resume" not in job.always:
            self.arguments.append("--resume")
        self.run = Run(self.arguments, folder=place, cache=place / "cache")

    def phase(self):
        return self.job.phase(self.out, events(self.run.text()))

    def handles(self, number):
        """Whether the program has made itself ready for the signal."""
        try:
            with open(f"/proc/{self.run.pid}/status") as file:
                mask = next(line for line in file if line.startswith("SigCgt:"))
        except (OSError, StopIteration):
            return False
        return bool(int(mask.split()[1], 16) >> (number - 1) & 1)

    def stop(self, number, begins, after):
        """Sends the signal so many seconds after the start, or after a phase begins; None where the run ended before."""
        until = self.run.started + after
        while begins or time.monotonic() < until:
            if begins and self.phase() == begins:
                begins, until = None, time.monotonic() + after
            if self.run.has_ended():
                return None
            time.sleep(0.01 if begins else min(0.01, max(0, until - time.monotonic())))
        was_ready = self.handles(number)
        phase = self.phase()
        if self.run.has_ended():
            return None
        sent = time.monotonic()
        # Ctrl-C on a terminal reaches all processes of the group, the reading helper, too.
        (os.killpg if number == signal.SIGINT else os.kill)(self.run.pid, number)
        return phase, was_ready, sent


def whole_run(job, place):
    """A run that is never stopped: how long it takes, and when its phases begin."""
    empty(place / "out")
    life = Life(job, place, resumes=False)
    begins = []
    while not life.run.has_ended():
        phase = life.phase()
        if not begins or begins[-1][1] != phase:
            begins.append((time.monotonic() - life.run.started, phase))
        time.sleep(0.05)
    ended = life.run.wait()
    if ended.code != 0:
        findings.add(f"{job.name}, never stopped: {ended.words}: {ended.err.strip()}")
        return None
    times = [begin for begin, _ in begins] + [ended.seconds]
    return ended.seconds, [(phase, times[at], times[at + 1]) for at, (_, phase) in enumerate(begins)]


def kind(phase):
    """Epochs are one row of the table."""
    return "epochs" if phase.startswith("epoch ") else phase


class Check:
    """Stops a job's runs so many times; the last one then comes to its end."""

    def __init__(self, job, path, random_numbers):
        self.job, self.path, self.random = job, path, random_numbers
        self.hits = collections.Counter()
        self.finished = self.compared = self.differing = self.renewed = 0
        self.slowest = 0.0
        self.story = []  # what happened to the present run

    def compare(self):
        self.finished += 1
        expected, found = names(self.path / "whole" / "out"), names(self.path / "stopped" / "out")
        if found - expected:
            findings.add(f"{self.job.name}: left over: {', '.join(sorted(found - expected))}")
        if expected - found:
            findings.add(f"{self.job.name}: missing: {', '.join(sorted(expected - found))}")
            return
        differing, files = self.job.compared
        wrong = differing(self.path / "whole" / "out", self.path / "stopped" / "out")
        print(f"{self.job.name}: finished, {len(wrong)} of {len(files)} files differ", flush=True)
        self.compared += len(files)
        self.differing += len(wrong)
        if wrong:
            findings.add(
                f"{self.job.name}: differs from the run that was never stopped: {', '.join(wrong)}\n"
                f"    after {', '.join(self.story)}")

    def begin(self):
        for name in ("out", "cache"):
            empty(self.path / "stopped" / name)

    def lengths(self, whole, phases):
        """When lives end. A run's first one ends in a phase that is drawn, so that late ones have their turn; of the
        others most are short, and some long enough for a phase of which nothing is kept."""
        deck, count = [], 0
        while True:
            if count == 0:
                if not deck:
                    deck = sorted({kind(phase) for phase, _, _ in phases})
                    self.random.shuffle(deck)
                chosen = deck.pop()
                phase, begin, end = self.random.choice([phase for phase in phases if kind(phase[0]) == chosen])
                is_new = yield phase, 0.9 * self.random.uniform(0, end - begin)
            else:
                is_new = yield None, self.random.uniform(0.05, whole / (2 if count % 4 == 0 else 7))
            count = 0 if is_new else count + 1

    def go(self, stops, turn):
        measured = whole_run(self.job, self.path / "whole")
        if not measured:
            return
        whole, phases = measured
        told = ", ".join(f"{phase} {end - begin:.1f}" for phase, begin, end in phases if not phase.startswith("epoch "))
        print(f"{self.job.name}: {whole:.1f} s when never stopped ({told})", flush=True)
        place = self.path / "stopped"
        self.begin()
        lengths = self.lengths(whole, phases)
        moment = next(lengths)
        resumes, has_kept, stopped, failures = False, False, 0, 0
        while True:
            number = SIGNALS[(turn + stopped) % 3]
            life = Life(self.job, place, resumes)
            is_last = stopped >= stops
            hit = None if is_last else life.stop(number, *moment)
            try:
                ended = life.run.wait(900 if hit is None else 60)
            except TimeoutError as error:
                findings.add(f"{self.job.name}: {error} after {number.name if hit else 'its start'}: {life.arguments}")
                resumes, failures = True, failures + 1
                if failures > 3:
                    return
                continue
            if hit is None or ended.code == 0:
                # It came to its end by itself.
                if ended.code == 66 and resumes and not has_kept and "--resume" not in self.job.always:
                    self.renewed += 1
                    resumes = False
                    continue
                if ended.code == 0:
                    self.compare()
                else:
                    failures += 1
                    findings.add(
                        f"{self.job.name}: {ended.words} without a signal: {ended.err.strip()[-400:]}\n"
                        f"    after: {command(life.arguments)}\n    its folder had {sorted(names(place / 'out'))}")
                if is_last or failures > 3:
                    return
                self.begin()
                self.story = []
                resumes = has_kept = False
                moment = lengths.send(True)
                continue
            phase, was_ready, sent = hit
            took = time.monotonic() - sent
            stopped += 1
            self.story.append(f"{number.name} in {phase}")
            self.hits[kind(phase), number.name] += 1
            if number != signal.SIGKILL:
                self.slowest = max(self.slowest, took)
            if ended.code == 130 and has_kept:
                findings.add(f"{self.job.name}: {number.name} ({phase}): exit code 130 (nothing kept), after an earlier stop "
                             f"of this run kept its work (75)\n    after {', '.join(self.story)}")
            has_kept = has_kept or ended.code == 75
            print(f"{self.job.name}: {number.name} after {sent - life.run.started:.2f} s ({phase}): {ended.words} "
                  f"{took:.2f} s later", flush=True)
            self.judge(ended, number, phase, was_ready, life)
            resumes = True
            moment = lengths.send(False)

    def judge(self, ended, number, phase, was_ready, life):
        """A stopped run says 75 or 130; before it is ready for signals they end it as usual."""
        if ended.code in (75, 130) and number != signal.SIGKILL or ended.code == -number == -signal.SIGKILL:
            return
        if ended.code == -number and not was_ready:
            # To a shell this is 130 after SIGINT. What handles no SIGTERM may only do so before anything was begun.
            if number == signal.SIGINT or phase == "listing":
                return
        findings.add(
            f"{self.job.name}: {number.name} ({phase}): {ended.words}, expected 75 or 130: {ended.err.strip()[-400:]}\n"
            f"    command: {command(life.arguments)}")


def main():
    stops = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    seed = int(os.environ.get("SEED", "1"))
    only = os.environ.get("JOBS")
    with folder() as path:
        write_idx(path / "first", 600, 0)
        timing = run(["extract", "--base", BASE, "--data", path / "first", "--out", path / "first.npy", "--threads", "1",
                      "--json"], cache=path / "first-cache")
        if timing.code != 0:
            findings.add(f"extract: {timing.words}: {timing.err.strip()}")
            findings.end()
        scale = events(timing.out)[-1]["images_per_second"] / 370
        chosen = [job for job in jobs(path, scale) if not only or job.name in only.split(",")]
        checks = []
        for number, job in enumerate(chosen):
            place = path / job.name
            for name in ("whole", "stopped"):
                (place / name).mkdir(parents=True)
            checks.append(Check(job, place, random.Random(seed * 1000 + number)))
            checks[-1].go(stops // len(chosen) + (number < stops % len(chosen)), number)
            empty(place)
        print()
        rows = [["job, phase", *(number.name for number in SIGNALS)]]
        for check in checks:
            for phase in sorted({phase for phase, _ in check.hits}):
                rows.append([f"{check.job.name}, {phase}", *(check.hits[phase, number.name] for number in SIGNALS)])
        table(rows)
        print()
        table([["job", "stops", "begun anew after 66", "finished runs", "files compared", "differing", "slowest stop"]] + [
            [check.job.name, sum(check.hits.values()), check.renewed, check.finished, check.compared, check.differing,
             f"{check.slowest:.2f} s"] for check in checks])
        findings.end()


if __name__ == "__main__":
    main()
