"""What the checks share: running the program, small files of pictures and arrays, tables."""

import contextlib
import gzip
import os
import re
import resource
import shlex
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PROGRAM = os.environ.get("FINETUNE", str(ROOT / ".build/release/finetune"))
BASE = str(ROOT / "pretrained/resnet18-tiny-imagenet.h5")
FASHION = Path("/usr/share/datasets/fashion-mnist")
# The exit codes that the program's documentation names.
DOCUMENTED = {0, 3, 64, 65, 66, 69, 70, 73, 74, 75, 130}


# MARK: Running the program


@dataclass
class Ended:
    """How a run ended."""

    code: int  # negative: the signal that killed it
    out: bytes
    err: str
    seconds: float
    megabytes: float  # the most memory that it, or its helper, had at a time

    @property
    def words(self):
        return f"exit code {self.code}" if self.code >= 0 else f"killed by {signal.Signals(-self.code).name}"

    @property
    def errors(self):
        """The lines on standard error that report an error, with the lines that follow them."""
        lines = self.err.splitlines()
        first = next((number for number, line in enumerate(lines) if line.startswith(("finetune: ", "Error: "))), None)
        return [] if first is None else [line for line in lines[first:] if line.strip()]


class Run:
    """A started run, in a process group of its own; its output goes to files."""

    def __init__(self, arguments, folder=None, cache=None, out=None, memory=None):
        self.arguments = [str(argument) for argument in arguments]
        self.started = time.monotonic()
        self.out = out or tempfile.TemporaryFile()
        self.err = tempfile.TemporaryFile()
        environment = dict(os.environ, SWIFT_BACKTRACE="enable=no")
        if cache:
            environment["XDG_CACHE_HOME"] = str(cache)

        def limits():
            os.nice(5)
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            if memory:
                resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))

        self.process = subprocess.Popen(
            [PROGRAM, *self.arguments], cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=self.out,
            stderr=self.err, start_new_session=True, preexec_fn=limits)

    @property
    def pid(self):
        return self.process.pid

    def has_ended(self):
        """Whether it ended; it is not waited for, so that its number stays its own."""
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def text(self):
        """Standard output so far."""
        return os.pread(self.out.fileno(), 1 << 26, 0)

    def wait(self, limit=600):
        """Waits for the end; after `limit` seconds it is killed, and a `TimeoutError` is thrown."""
        late = threading.Event()

        def end():
            late.set()
            os.killpg(self.pid, signal.SIGKILL)

        timer = threading.Timer(limit, end)
        timer.start()
        _, status, usage = os.wait4(self.pid, 0)
        timer.cancel()
        self.process.returncode = os.waitstatus_to_exitcode(status)
        self.err.seek(0)
        ended = Ended(
            self.process.returncode, self.text() if self.out.readable() else b"",
            self.err.read().decode(errors="replace"), time.monotonic() - self.started, usage.ru_maxrss / 1024)
        if late.is_set():
            raise TimeoutError(f"still running after {limit} s")
        return ended


def run(arguments, limit=600, **options):
    return Run(arguments, **options).wait(limit)


def command(arguments, cache=None):
    """A command line to paste into a shell."""
    before = f"XDG_CACHE_HOME={shlex.quote(str(cache))} " if cache else ""
    return before + shlex.join([PROGRAM, *map(str, arguments)])


# MARK: Findings


class Findings:
    """What was not as it should be: printed at once, counted for the exit code."""

    def __init__(self, script):
        self.script = script
        self.count = 0

    def add(self, text):
        self.count += 1
        print(f"{self.script}: {text}", file=sys.stderr, flush=True)

    def end(self):
        print("no findings" if self.count == 0 else f"{self.count} findings", flush=True)
        sys.exit(1 if self.count else 0)


def table(rows):
    """Prints rows of texts; the first column to the left, all others to the right."""
    rows = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = [row[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
        print("  ".join(cells).rstrip(), flush=True)


# MARK: Files


@contextlib.contextmanager
def folder():
    """A folder for this run of the script; it is removed at the end, also after Ctrl-C or SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="finetune-check-") as path:
        yield Path(path)


def names(path):
    """All files below a folder, by their names in it. TensorBoard's file has the time and the process in its name."""
    files = (str(file.relative_to(path)) for file in Path(path).rglob("*") if not file.is_dir())
    return {re.sub(r"(events\.out\.tfevents)\..*", r"\1", name) for name in files}


def fashion(part, count):
    """The first images of Fashion-MNIST and their labels, as bytes."""
    def read(name, size):
        with gzip.open(FASHION / name) as file:
            return file.read(size)

    images = read(f"{part}-images-idx3-ubyte.gz", 16 + 784 * count)[16:]
    return images, read(f"{part}-labels-idx1-ubyte.gz", 8 + count)[8:]


def idx(shape, content):
    """An IDX file of bytes."""
    return struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape) + content


def write_idx(path, train, test, copies=1):
    """A folder with Fashion-MNIST's first images, as MNIST's four files; each image several times if asked."""
    path = Path(path)
    path.mkdir(parents=True, exist_ok=True)
    for part, count in (("train", train), ("t10k", test)):
        if count:
            images, labels = fashion(part, count)
            (path / f"{part}-images-idx3-ubyte").write_bytes(idx((copies * count, 28, 28), images * copies))
            (path / f"{part}-labels-idx1-ubyte").write_bytes(idx((copies * count,), labels * copies))
    return path


def npy(shape, content, kind="|u1"):
    """NumPy's format 1.0."""
    text = "{'descr': '%s', 'fortran_order': False, 'shape': %s, }" % (kind, tuple(shape))
    text += " " * (-(len(text) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + content


def npz(arrays, method=zipfile.ZIP_STORED):
    """An archive of arrays that are given as bytes in NumPy's format."""
    with tempfile.TemporaryFile() as file:
        with zipfile.ZipFile(file, "w", method) as archive:
            for name, content in arrays.items():
                archive.writestr(zipfile.ZipInfo(f"{name}.npy"), content, method)
        file.seek(0)
        return file.read()


def bmp(gray, side):
    """A BMP of 24 bits of a square gray picture; its rows are turned, as the format wants it."""
    rows = [b"".join(bytes([v, v, v]) for v in gray[y * side:(y + 1) * side]) for y in range(side)]
    pixels = b"".join(row + b"\0" * (-len(row) % 4) for row in reversed(rows))
    return b"BM" + struct.pack("<IIIIiiHHIIiiII", 54 + len(pixels), 0, 54, 40, side, side, 1, 24, 0, len(pixels),
                               2835, 2835, 0, 0) + pixels


def write_pictures(path, count):
    """A folder of BMP files with Fashion-MNIST's first test images."""
    path = Path(path)
    path.mkdir(parents=True)
    images, _ = fashion("t10k", count)
    for number in range(count):
        (path / f"{number:04}.bmp").write_bytes(bmp(images[784 * number:784 * (number + 1)], 28))
    return path


def empty(path):
    """A folder with nothing in it."""
    shutil.rmtree(path, ignore_errors=True)
    Path(path).mkdir(parents=True)
    return Path(path)
