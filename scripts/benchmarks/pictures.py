"""Pictures from a seed, so that every machine measures the same ones: photographs' size, detail and bytes."""
import os

import numpy as np
from PIL import Image

from processes import Failed

CLASSES = ("amber", "blue")
SMALL_CLASSES, SMALL_BASES = 10, 300


def picture(random, width, height, tint):
    """Structure of all sizes, larger ones stronger, as photographs have it; a few shapes with edges; a little grain."""
    pixels = np.full((height, width, 3), 128, np.float32) + tint
    cells = 3
    while cells < width:
        coarse = random.standard_normal((max(2, cells * height // width), cells, 3)).astype(np.float32)
        coarse += 2 * coarse.mean(2, keepdims=True)
        planes = [Image.fromarray(coarse[..., c]).resize((width, height), Image.Resampling.BICUBIC) for c in range(3)]
        pixels += np.stack([np.asarray(plane) for plane in planes], 2) * (55 / cells ** 0.75)
        cells *= 2
    rows, columns = np.ogrid[:height, :width]
    for _ in range(4):
        y, x, size = random.uniform(0, height), random.uniform(0, width), random.uniform(0.05, 0.25) * width
        inside = ((rows - y) / size) ** 2 + ((columns - x) / (size * random.uniform(0.5, 2))) ** 2 < 1
        pixels[inside] += random.uniform(-50, 50, 3).astype(np.float32)
    pixels += random.standard_normal((height, width, 1)).astype(np.float32) * 3
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def photographs(folder, train, validation):
    """Class folders with train/ and val/, JPEGs of 500 × 375 pixels and quality 90: `train` and `validation` in all."""
    random = np.random.default_rng(0)
    for part, count in (("train", train), ("val", validation)):
        for name in CLASSES:
            os.makedirs(os.path.join(folder, part, name))
        for index in range(count):
            label = index % len(CLASSES)
            tint = np.array([(18, 4, -14), (-14, 4, 18)][label], np.float32)
            path = os.path.join(folder, part, CLASSES[label], f"{index:04}.jpg")
            picture(random, 500, 375, tint).save(path, quality=90)


def small(folder, counts):
    """For each of `counts` a folder of so many JPEGs of 64 × 64 pixels, no two with the same bytes.

    A few hundred pictures, each again and again with another number in a comment. Smaller sets are the first of the
    largest.
    """
    need = max(counts)
    os.makedirs(folder)
    space = os.statvfs(folder)
    if space.f_bavail * space.f_frsize < need * 12_000 + (200 << 20) or 0 < space.f_files and space.f_favail < need * 2:
        raise Failed(
            f"'{folder}' lacks space for {need:,} small pictures and their features. Set TMPDIR to another disk")
    random = np.random.default_rng(1)
    base = os.path.join(folder, "base.jpg")
    bases = []
    for _ in range(min(need, SMALL_BASES)):
        picture(random, 64, 64, random.uniform(-30, 30, 3).astype(np.float32)).save(base, quality=90)
        with open(base, "rb") as file:
            bases.append(file.read())
    os.remove(base)
    for count in counts:
        for label in range(SMALL_CLASSES):
            os.makedirs(os.path.join(folder, str(count), f"class{label}"))
    for index in range(need):
        name = os.path.join(f"class{index % SMALL_CLASSES}", f"{index:06}.jpg")
        plain, comment = bases[index % len(bases)], b"%08d" % index
        path = os.path.join(folder, str(need), name)
        with open(path, "wb") as file:
            # Start of image, then a comment segment: its marker, its length with the two bytes of that, its text.
            file.write(plain[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + plain[2:])
        for count in counts:
            if index < count < need:
                os.link(path, os.path.join(folder, str(count), name))
    return {count: os.path.join(folder, str(count)) for count in counts}
