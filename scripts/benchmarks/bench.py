"""What all rows share: the options, the program under test, and what both sides are given, made when first needed."""
import functools
import itertools
import os
import sys

import processes
from processes import Failed

HERE = os.path.dirname(os.path.abspath(__file__))


class Bench:
    """One run of the benchmark, whose files are all in `folder` and end with it."""

    def __init__(self, options, folder, results, native_bf16):
        self.options, self.folder, self.results, self.native_bf16 = options, folder, results, native_bf16
        self.counts, self.rounds, self.threads = options.counts, options.rounds, options.threads
        self.numbers = itertools.count()

    def say(self, text):
        print(text, file=sys.stderr, flush=True)

    def place(self, name):
        """A path that nothing has."""
        return os.path.join(self.folder, f"{next(self.numbers)}-{name}")

    def finetune(self, *arguments, cache=None, threads=True, **measured):
        """Runs the program. Without `cache`, a folder of an earlier call, it finds nothing that an earlier run kept."""
        try:
            return processes.run(
                [self.options.finetune, *map(str, arguments), *(["--threads", str(self.threads)] if threads else [])],
                {"XDG_CACHE_HOME": cache or self.place("cache")}, **measured)
        except Failed as failure:
            raise Failed(f"finetune {arguments[0]}: {failure}") from None

    def script(self, name, *arguments, **measured):
        """Runs a script of this folder in this Python, with as many threads as the program."""
        try:
            return processes.run([sys.executable, os.path.join(HERE, name), *map(str, arguments)], **measured)
        except Failed as failure:
            raise Failed(f"{name}: {failure}") from None

    def peer(self, name, *arguments, **measured):
        return self.script(name, *arguments, "--threads", self.threads, **measured)

    @functools.cache
    def network(self, architecture="resnet50"):
        """The path of a network of random weights, without its ending: .h5, .pth, .onnx."""
        self.script("networks.py", "make", architecture, self.folder)
        return os.path.join(self.folder, architecture)

    @functools.cache
    def tensors(self, count):
        """An archive of `count` ready inputs of a ResNet."""
        import numpy as np
        path = self.place(f"{count}-inputs.npz")
        random = np.random.default_rng(0)
        np.savez(path, inputs=random.standard_normal((count, 224, 224, 3), dtype=np.float32))
        return path

    @functools.cached_property
    def data(self):
        """The folder of photographs, with train/ and val/."""
        if self.options.data:
            return self.options.data
        import pictures
        path = self.place("photographs")
        pictures.photographs(path, self.counts["train"], self.counts["val"])
        return path

    @functools.cached_property
    def photographs(self):
        """The paths of all photographs."""
        return sorted(
            os.path.join(folder, file) for part in ("train", "val")
            for folder, _, files in os.walk(os.path.join(self.data, part)) for file in files)

    @functools.cached_property
    def adapted(self):
        """A ResNet-50 that the program adapted to the photographs: its `model.h5`, and the same network for PyTorch."""
        run = self.place("adapted")
        self.finetune("train", "--base", self.network() + ".h5", "--data", self.data, "--out", run, "--json")
        state = self.place("adapted.h5")
        self.finetune("convert", os.path.join(run, "model.h5"), state, "--to", "torch", threads=False)
        self.script("networks.py", "import", state, state + ".pth")
        return os.path.join(run, "model.h5"), state + ".pth"
