"""Sends damaged inputs through the program's commands: data sets, descriptions and pictures. Called by
scripts/check-inputs."""

import collections
import gzip
import io
import json
import os
import random
import re
import shutil
import struct
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from common import BASE, DOCUMENTED, ROOT, Findings, command, fashion, folder, idx, npy, npz, run, table, write_pictures

LIMIT = 60  # seconds of a run
MEMORY = 8 << 30  # bytes of a run; what asks for more is refused by the system
BATCH = 50  # pictures of a run
PICTURES = ROOT / "Tests/FinetuneDatasetsTests/Fixtures/pictures"
PHONES = ROOT / "Tests/FinetuneDatasetsTests/Fixtures/phones"
WEIGHTS = ROOT / "Tests/FinetuneCheckpointsTests/Fixtures/situations"
SITUATIONS = sorted({WEIGHTS / case["weights"] for case in json.loads((WEIGHTS / "situations.json").read_text())["cases"]
                     if "refused" not in case and "inputs" not in case and (WEIGHTS / case["weights"]).is_file()})
KEPT = ROOT / ".build-checks"
findings = Findings("check-inputs")


# MARK: Damage


class Draw(random.Random):
    """Random numbers of one input; a sound one is made of the same pieces, and not damaged."""

    def __init__(self, seed, is_sound=False):
        super().__init__(seed)
        self.is_sound = is_sound


def flip_bits(content, draw):
    content = bytearray(content)
    for _ in range(draw.choice((1, 1, 2, 8))):
        content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    return bytes(content)


def change_bytes(content, draw):
    content = bytearray(content)
    for _ in range(draw.choice((1, 1, 2, 8))):
        content[draw.randrange(len(content))] = draw.choice((0, 1, 0x7F, 0x80, 0xFF, draw.randrange(256)))
    return bytes(content)


def cut(content, draw):
    return content[:draw.randrange(len(content))]


def remove_piece(content, draw):
    at = draw.randrange(len(content))
    return content[:at] + content[at + draw.choice((1, 4, 64)):]


def insert(content, draw):
    at = draw.randrange(len(content) + 1)
    return content[:at] + draw.randbytes(draw.choice((1, 2, 4, 64, 4096))) + content[at:]


def repeat_piece(content, draw):
    at = draw.randrange(len(content))
    piece = content[at:at + draw.choice((1, 4, 32, 1024))]
    return content[:at] + piece * draw.choice((2, 3, 100)) + content[at:]


def set_field(content, draw):
    """A number of the header, or one somewhere, becomes 0, 1 or the largest."""
    size = draw.choice((1, 2, 4, 8))
    at = draw.randrange(max(1, min(len(content), 96) if draw.random() < 0.7 else len(content)))
    bits = 8 * size
    value = draw.choice((0, 1, (1 << bits) - 1, (1 << bits - 1) - 1, 1 << bits - 1, 1 << bits - 2))
    return content[:at] + value.to_bytes(size, draw.choice(("little", "big"))) + content[at + size:]


NUMBERS = [b"0", b"-1", b"1e999", b"-1e999", b"1e-320", b"NaN", b"Infinity", b"2147483648", b"9223372036854775807",
           b"9223372036854775808", b"-9223372036854775808", b"99999999999999999999999999", b"0.1", b"4294967296", b"1000000"]


def change_number(content, draw):
    """Another number in the place of one in a text."""
    numbers = list(re.finditer(rb"-?\d+(\.\d+)?([eE]-?\d+)?", content))
    if not numbers:
        return insert(content, draw)
    found = draw.choice(numbers)
    return content[:found.start()] + draw.choice(NUMBERS) + content[found.end():]


def change_word(content, draw):
    """Another value in the place of a text in quotation marks, or of a word."""
    words = list(re.finditer(rb"\"[^\"]*\"|[A-Za-z_]+", content))
    if not words:
        return insert(content, draw)
    found = draw.choice(words)
    value = draw.choice((b"", b'""', b"null", b"true", b"[]", b"{}", b'"' + b"x" * 5000 + b'"', b"[" * 5000, b'{"a":' * 2000,
                         b'"\\ud800"', b'"\xff\xfe"', b"'", b",,,,", b"\n\n", b"\r", b"\0", b"../../x", b"/dev/zero", b"."))
    return content[:found.start()] + value + content[found.end():]


def shuffle_lines(content, draw):
    lines = content.split(b"\n")
    draw.shuffle(lines)
    return b"\n".join(lines)


BINARY = [flip_bits, flip_bits, change_bytes, set_field, set_field, cut, remove_piece, insert, repeat_piece]
TEXT = [change_number, change_number, change_number, change_word, change_word, flip_bits, change_bytes, cut, remove_piece,
        insert, repeat_piece, shuffle_lines]


def damaged(content, kinds, draw):
    """The content after one kind of damage, sometimes after several."""
    if draw.is_sound:
        return content
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        if content:
            content = draw.choice(kinds)(content, draw)
    return content


# MARK: Kinds of inputs


@dataclass
class Kind:
    """A kind of input: how one is made in a folder, and the commands that read it, given the path that `make` returns."""

    name: str
    weight: int
    make: Callable  # (folder, random numbers) -> the path for the command
    commands: Callable  # path -> command lines, one of which is taken
    is_read: bool = True  # whether the program takes such a file at all

    @property
    def is_folder(self):
        """Whether an input is one of many files, which share a run."""
        return self.name.startswith("pictures ")


def data_commands(path):
    base = ["--base", BASE, "--threads", "1"]
    return [
        ["check", "--data", path, *base],
        ["check", "--data", path, *base, "--strict"],
        ["extract", "--data", path, *base, "--out", "OUT/f.npz"],
        ["extract", "--data", path, *base, "--out", "OUT/f.csv", "--layer", "logits"],
        ["train", "--data", path, *base, "--dry-run"],
        ["train", "--data", path, *base, "--dry-run", "--val", "0.5", "--group-by", "([0-9])"],
    ]


def arrays(draw):
    """The members of an .npz in one of the layouts that are read."""
    images, labels = fashion("train", 24)
    floats = b"".join(struct.pack("<f", value / 255) for value in images[:784 * 2] * 3)
    wide = b"".join(struct.pack("<q", label) for label in labels)
    return draw.choice((
        {"images": npy((24, 28, 28), images), "labels": npy((24,), labels)},
        {"images": npy((8, 28, 28, 3), images), "labels": npy((8, 1), wide[:64], "<i8")},
        {"inputs": npy((2, 28, 28, 3), floats, "<f4"), "labels": npy((2,), labels[:2])},
        {"train_images": npy((16, 28, 28), images[:784 * 16]), "train_labels": npy((16, 1), labels[:16]),
         "val_images": npy((8, 28, 28), images[784 * 16:]), "val_labels": npy((8, 1), labels[16:])},
    ))


def make_npz(path, draw):
    method = draw.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    (path / "data.npz").write_bytes(damaged(npz(arrays(draw), method), BINARY, draw))
    return path / "data.npz"


def make_member(path, draw):
    """An archive that is sound, of arrays that are not."""
    members = arrays(draw)
    name = draw.choice(sorted(members))
    # Most of it in the header, which is text.
    if draw.random() < 0.7:
        members[name] = damaged(members[name][:128], TEXT + BINARY, draw) + members[name][128:]
    else:
        members[name] = damaged(members[name], BINARY, draw)
    (path / "data.npz").write_bytes(npz(members, draw.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))))
    return path / "data.npz"


def make_npy(path, draw):
    images, _ = fashion("train", 8)
    (path / "data.npy").write_bytes(damaged(npy((8, 28, 28), images), BINARY, draw))
    return path / "data.npy"


def make_idx(path, draw):
    """MNIST's files; of one, as it is or inside gzip, the content is damaged, or the gzip file itself."""
    files = {}
    for part, count in (("train", 24), ("t10k", 8)):
        images, labels = fashion(part, count)
        files[f"{part}-images-idx3-ubyte"] = idx((count, 28, 28), images)
        files[f"{part}-labels-idx1-ubyte"] = idx((count,), labels)
    broken, way = draw.choice(sorted(files)), draw.choice(("plain", "plain", "inside", "gzip"))
    for name, content in files.items():
        if name == broken and way != "gzip":
            if draw.random() < 0.6:
                content = damaged(content[:16], BINARY, draw) + content[16:]
            else:
                content = damaged(content, BINARY, draw)
        if way == "plain":
            (path / name).write_bytes(content)
        else:
            packed = gzip.compress(content, mtime=0)
            (path / f"{name}.gz").write_bytes(damaged(packed, BINARY, draw) if name == broken and way == "gzip" else packed)
    return path


def without_metadata(content):
    """A safetensors file without our own description, so that the one beside it counts."""
    size, = struct.unpack("<Q", content[:8])
    header = json.loads(content[8:8 + size])
    header.pop("__metadata__", None)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + content[8 + size:]


class Inputs:
    """What several kinds need: pictures, a network as safetensors, sound descriptions."""

    def __init__(self, path, cache):
        self.pictures = write_pictures(path / "pictures", 12)
        self.weights = path / "weights.safetensors"
        small = path / "small"
        run(["train", "--strategy", "scratch", "--architecture", "resnet20,width=4", "--size", "28", "--data",
             make_sound_idx(path / "sound"), "--epochs", "1", "--lr", "0.05", "--out", small, "--quiet"], cache=cache)
        ended = run(["convert", small / "model.h5", self.weights, "--quiet"], cache=cache)
        if ended.code != 0:
            findings.add(f"convert: {ended.words}: {ended.err}")
            findings.end()
        self.weights.write_bytes(without_metadata(self.weights.read_bytes()))
        # Of the fixtures those that the program reads; others are damaged already.
        read = run(["predict", "--model", BASE, PICTURES, PHONES, "--format", "jsonl", "--quiet"], cache=cache)
        self.sound = sorted(Path(json.loads(line)["path"]) for line in read.out.splitlines())
        self.has_config = b"--config" in run(["train", "--help"]).out

    def make_csv(self, path, draw):
        lines = [draw.choice(("path,label", "path,label,split", "path,label,split,group", "label,path"))]
        for number in range(24):
            cells = {"path": f"{self.pictures}/{number % 12:04}.bmp", "label": "ab"[number % 2], "group": f"g{number % 5}",
                     "split": ("train", "train", "val", "test")[number % 4]}
            lines.append(",".join(cells[column] for column in lines[0].split(",")))
        (path / "table.csv").write_bytes(damaged("\n".join(lines).encode() + b"\n", TEXT, draw))
        return path / "table.csv"

    def make_sidecar(self, path, draw):
        """A description beside a state dict, as timm and transformers write them."""
        shutil.copy(self.weights, path / "model.safetensors")
        timm = {"architecture": "resnet20", "num_classes": 10, "label_names": [str(n) for n in range(10)], "global_pool": "avg",
                "model_args": {"layers": [3, 3, 3], "act_layer": "relu", "output_stride": 32, "block_args": {"attn_layer": "se"}},
                "pretrained_cfg": {
                    "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "input_size": [3, 28, 28], "crop_pct": 0.875,
                    "interpolation": "bicubic", "crop_mode": draw.choice(("center", "squash", "border"))}}
        config = {"model_type": "resnet", "hidden_act": "relu", "downsample_in_first_stage": False,
                  "id2label": {str(n): f"class {n}" for n in range(10)}}
        kind = draw.choice(("ConvNext", "ViT", "CLIP", "DeiT", "EfficientNet", "MobileViT", "PoolFormer", "Mine"))
        size = draw.choice(({"shortest_edge": 28}, 28, [28], {"shortest_edge": 20, "longest_edge": 30}))
        processor = {"image_processor_type": f"{kind}ImageProcessor", "image_mean": [0.485, 0.456, 0.406], "size": size,
                     "image_std": [0.229, 0.224, 0.225], "crop_pct": 0.875, "resample": 3, "do_rescale": True, "do_normalize": True,
                     "do_center_crop": True, "crop_size": {"height": 24, "width": 24}, "rescale_factor": 0.00392}
        name, content = draw.choice((("config.json", timm), ("config.json", config), ("preprocessor_config.json", processor)))
        if name == "preprocessor_config.json":
            (path / "config.json").write_text(json.dumps(config))
        (path / name).write_bytes(damaged(json.dumps(content, indent=draw.choice((None, 2))).encode(), TEXT, draw))
        return path / "model.safetensors"

    def make_weights(self, path, draw):
        """Weights as people have them: the file is damaged, or the configuration inside a Keras archive, or an index."""
        file = draw.choice(SITUATIONS)
        if file.name.endswith(".index.json"):
            shutil.copytree(file.parent, path / "shards")
            place = path / "shards" / file.name
            place.chmod(0o644)
            place.write_bytes(damaged(file.read_bytes(), TEXT, draw))
            return path / "shards"
        content = file.read_bytes()
        if file.suffix == ".keras" and draw.random() < 0.7:
            packed = io.BytesIO()
            with zipfile.ZipFile(file) as source, zipfile.ZipFile(packed, "w") as target:
                for name in source.namelist():
                    member = source.read(name)
                    target.writestr(name, damaged(member, TEXT, draw) if name == "config.json" else member)
            content = packed.getvalue()
        else:
            content = damaged(content, BINARY, draw)
        (path / file.name).write_bytes(content)
        return path / file.name

    def make_recipe(self, path, draw):
        recipe = {"size": [64, 64], "order": "rgb", "scale": 0.00392156862745098, "mean": [0.485, 0.456, 0.406],
                  "std": [0.229, 0.224, 0.225], "interpolation": "bilinear", "crop": 0.875}
        (path / "recipe.json").write_bytes(damaged(json.dumps(recipe, indent=2).encode(), TEXT, draw))
        return path / "recipe.json"

    def make_config(self, path, draw):
        config = {"strategy": "lp-ft", "epochs": 2, "batch": 8, "lr": 0.01, "ema": 0.99, "augment": "light", "limit": "20"}
        (path / "train.json").write_bytes(damaged(json.dumps(config, indent=2).encode(), TEXT, draw))
        return path / "train.json"

    def make_pictures(self, suffix):
        """A folder of many damaged pictures of one format, in two classes."""
        sound = [file for file in self.sound if file.suffix == suffix]

        def make(path, draw):
            for number in range(BATCH):
                file = draw.choice(sound)
                place = path / "ab"[number % 2]
                place.mkdir(exist_ok=True)
                (place / f"{number:02}-{file.name}").write_bytes(damaged(file.read_bytes(), BINARY, draw))
            return path
        return make

    def kinds(self):
        network = ["--base", BASE, "--threads", "1"]
        kinds = [
            Kind("npz", 12, make_npz, data_commands),
            Kind("npy in npz", 14, make_member, data_commands),
            Kind("npy", 2, make_npy, data_commands, is_read=False),
            Kind("IDX", 14, make_idx, data_commands),
            Kind("CSV", 14, self.make_csv, data_commands),
            Kind("sidecar", 12, self.make_sidecar, lambda path: [
                ["inspect", path], ["inspect", path, "--json"],
                ["predict", "--model", path, self.pictures, "--format", "json", "--threads", "1"]]),
            Kind("weights", 16, self.make_weights, lambda path: [
                ["inspect", path], ["extract", "--base", path, "--data", self.pictures, "--out", "OUT/f.npz", "--threads", "1"]]),
            Kind("recipe", 12, self.make_recipe, lambda path: [
                ["extract", "--data", self.pictures, *network, "--out", "OUT/f.npz", "--recipe", path],
                ["check", "--data", self.pictures, *network, "--recipe", path]]),
        ]
        if self.has_config:
            kinds.append(Kind("config", 10, self.make_config, lambda path: [
                ["train", "--data", self.pictures.parent / "sound", *network, "--dry-run", "--config", path]]))
        for suffix in (".jpg", ".png", ".webp", ".tif", ".bmp", ".gif", ".ppm", ".heic", ".avif", ".jxl"):
            kinds.append(Kind(f"pictures {suffix}", 10, self.make_pictures(suffix), lambda path: [
                ["predict", "--model", BASE, path, "--format", "json", "--threads", "1"],
                ["check", "--data", path, *network],
                ["extract", "--data", path, *network, "--out", "OUT/f.h5"]]))
        return kinds


def make_sound_idx(path):
    path.mkdir(parents=True)
    images, labels = fashion("train", 60)
    (path / "train-images-idx3-ubyte").write_bytes(idx((60, 28, 28), images))
    (path / "train-labels-idx1-ubyte").write_bytes(idx((60,), labels))
    return path


# MARK: Running


class Largest:
    """The most of something, and by which input."""

    def __init__(self):
        self.value, self.name = 0.0, "none"

    def add(self, value, name):
        if value > self.value:
            self.value, self.name = value, name


class Inspection:
    """Runs inputs and keeps those that end otherwise than documented."""

    def __init__(self, path, seed):
        self.path, self.seed = path, seed
        self.cache = path / "cache"
        self.codes = collections.defaultdict(collections.Counter)
        self.inputs = collections.Counter()
        self.memory, self.time = Largest(), Largest()

    def problem(self, words, name):
        """What is wrong with how a command ended; nil where nothing is."""
        out = self.path / "out"
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        # Each run computes anew: what an earlier one left in the cache would hide the decoders.
        shutil.rmtree(self.cache, ignore_errors=True)
        words = [str(word).replace("OUT/", f"{out}/") for word in words]
        try:
            ended = run(words, limit=LIMIT, memory=MEMORY, cache=self.cache)
        except TimeoutError as error:
            self.time.add(LIMIT, name)
            return str(error), None
        self.memory.add(ended.megabytes, name)
        self.time.add(ended.seconds, name)
        if ended.code not in DOCUMENTED:
            return f"{ended.words}: {ended.err.strip()[-400:]}", None
        if ended.code not in (0, 3) and not ended.errors:
            return f"{ended.words} without a sentence", ended.code
        left = [file.name for file in out.iterdir()] if ended.code not in (0, 3) else []
        return (f"{ended.words}, and {left} is left" if left else None), ended.code

    def check_sound(self, kind):
        """Inputs that are not damaged are taken, or nothing would be learned from the others."""
        for number in range(4):
            draw = Draw(f"{self.seed} {kind.name} {number}", is_sound=True)
            place = self.path / "sound-input"
            place.mkdir()
            words = draw.choice(kind.commands(kind.make(place, draw)))
            problem, code = self.problem(words, f"sound {kind.name}")
            if problem or kind.is_read and code not in (0, 3):
                self.keep(kind, place, words, problem or f"a sound input: exit code {code}")
            shutil.rmtree(place)

    def check(self, kind, number):
        """One input, or a folder of pictures, made anew from its number alone."""
        draw = Draw(f"{self.seed} {kind.name} {number}")
        place = self.path / f"{kind.name.replace(' ', '-').replace('.', '')}-{number}"
        place.mkdir()
        commands = kind.commands(kind.make(place, draw))
        # A folder of pictures is worth the time of all of them.
        for words in commands if kind.is_folder else [draw.choice(commands)]:
            problem, code = self.problem(words, place.name)
            self.codes[kind.name][code if code is not None else "finding"] += 1
            if problem:
                self.keep(kind, place, words, problem)
        shutil.rmtree(place)

    def keep(self, kind, place, words, problem):
        """Copies the input out; of a folder of pictures the one that is to blame, if one alone is."""
        KEPT.mkdir(exist_ok=True)
        kept = KEPT / place.name
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(place, kept)
        again = command([str(word).replace(str(place), str(kept)).replace("OUT/", "/tmp/") for word in words])
        blamed = []
        if kind.is_folder:
            for file in sorted(file for file in kept.rglob("*") if file.is_file()):
                alone = ["predict", "--model", BASE, file, "--threads", "1"]
                if self.problem(alone, f"{place.name}/{file.name}")[0]:
                    blamed.append(f"\n    alone: {command(alone)}")
        findings.add(f"{kind.name}: {problem}\n    {again}{''.join(blamed)}")


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    seed = int(os.environ.get("SEED", "1"))
    only = os.environ.get("KINDS")
    with folder() as path:
        inspection = Inspection(path, seed)
        kinds = Inputs(path, inspection.cache).kinds()
        if only:
            kinds = [kind for kind in kinds if kind.name in only.split(",")]
        weights = sum(kind.weight for kind in kinds)
        for kind in kinds:
            share = max(1, round(count * kind.weight / weights))
            # A folder of pictures counts as many inputs as it has.
            runs = -(-share // BATCH) if kind.is_folder else share
            inspection.check_sound(kind)
            for number in range(runs):
                inspection.check(kind, number)
            inspection.inputs[kind.name] = runs * (BATCH if kind.is_folder else 1)
            print(f"{kind.name}: {inspection.inputs[kind.name]} inputs", flush=True)
        print()
        codes = sorted({code for counter in inspection.codes.values() for code in counter}, key=str)
        table([["kind", "inputs", "runs", *(f"code {code}" if code != "finding" else code for code in codes)]] + [
            [kind.name, inspection.inputs[kind.name], sum(inspection.codes[kind.name].values()),
             *(inspection.codes[kind.name][code] for code in codes)] for kind in kinds])
        print(f"\nmost memory: {inspection.memory.value:.0f} MiB ({inspection.memory.name})")
        print(f"longest: {inspection.time.value:.1f} s ({inspection.time.name})")
        findings.end()


if __name__ == "__main__":
    main()
