"""Runs a program and measures it from outside: seconds, processor seconds, on request its whole tree's memory."""
import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import tempfile
import threading
import time


class Failed(Exception):
    """A side that could not be measured, and why in a sentence."""


@dataclasses.dataclass
class Run:
    """What a program printed and took.

    `seconds` are from before its start to after its end, `processor_seconds` of all its threads and of the processes
    that it started and waited for, `peak_mebibytes` of all its processes together (None where memory was not sampled).
    """
    lines: list
    seconds: float
    processor_seconds: float
    peak_mebibytes: float | None

    @property
    def result(self):
        return self.lines[-1]

    def events(self, name):
        return [line for line in self.lines if line.get("event") == name]


def run(command, environment=None, memory_every=None, timeout=None):
    """Runs a program to its end. Its standard output is read as JSON lines.

    memory_every: seconds between two samples of memory; None takes none.
    timeout: seconds after which it is killed and counts as failed.
    """
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        begun = time.perf_counter()
        # A session of its own, by which its descendants are found and, where need be, ended.
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, start_new_session=True,
            env={**os.environ, **(environment or {})})
        sampler = _Sampler(process.pid, memory_every) if memory_every else None
        expired = threading.Event()
        timer = threading.Timer(timeout or 0, lambda: (expired.set(), _kill(process.pid)))
        if timeout:
            timer.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - begun
            process.returncode = os.waitstatus_to_exitcode(status)
        finally:
            timer.cancel()
            _kill(process.pid)
            peak = sampler.stop() if sampler else None
        if expired.is_set():
            raise Failed(f"it was stopped after {timeout:.0f} s")
        errors.seek(0)
        if process.returncode != 0:
            raise Failed(f"{_last_words(errors.read())} (exit code {process.returncode})")
        output.seek(0)
        lines = [json.loads(line) for line in output if line.startswith("{")]
        return Run(lines, seconds, usage.ru_utime + usage.ru_stime, peak)


def _kill(session):
    try:
        os.killpg(session, signal.SIGKILL)
    except ProcessLookupError:
        pass


def _last_words(text):
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith("error")]
    return ((errors or lines)[-1] if lines else "it said nothing").removeprefix("Error: ")[:300]


class _Sampler:
    """The peak over time of the memory of all processes of a session, pages that they share counted once."""

    def __init__(self, session, every):
        self.session, self.every, self.peak = session, every, 0
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self._sample, daemon=True)
        self.thread.start()

    def stop(self):
        self.stopped.set()
        self.thread.join()
        return self.peak / 1024

    def _sample(self):
        while not self.stopped.is_set():
            self.peak = max(self.peak, sum(map(_kibibytes, _members(self.session))))
            self.stopped.wait(self.every)


def _members(session):
    for folder in pathlib.Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                # pid (name) state parent group session …, where the name may hold anything.
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == session:
                yield folder


def _kibibytes(folder):
    """A process's share of memory (Pss); where that may not be read, what is resident."""
    for name, key in (("smaps_rollup", "Pss:"), ("status", "VmRSS:")):
        try:
            for line in (folder / name).read_text().splitlines():
                if line.startswith(key):
                    return int(line.split()[1])
        except OSError:
            continue
    return 0
