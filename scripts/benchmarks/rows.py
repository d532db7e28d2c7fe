"""What is measured, as a table: the work, the unit of both sides, how they compare, the aim, and who measures it."""
import dataclasses
import typing

import growth
import inference
import learning
from alternating import RATE, SIZE, TIME

PER_PROCESSOR_SECOND, PER_SECOND = "images/processor second", "images/s"
EITHER = ["fp32", "bf16"]


@dataclasses.dataclass(frozen=True)
class Row:
    """`work` may name counts in braces, which the counts of the run fill in."""
    key: str
    work: str
    unit: str
    kind: object
    aim: float
    measure: typing.Callable


def stage4_flags(counts):
    return ["--unfreeze", "stage4", "--epochs", counts["epochs"], "--early-stop", "0", "--batch", learning.BATCH]


ROWS = [
    Row("tensors", "features of ready tensors, default precision", PER_PROCESSOR_SECOND, RATE, 1.0,
        inference.tensors(None, inference.openvino(EITHER), "bf16")),
    Row("tensors-int8", "features of ready tensors, int8, beside bf16", PER_PROCESSOR_SECOND, RATE, 1.7,
        inference.tensors("int8", inference.openvino(EITHER), "bf16")),
    Row("tensors-fp32", "features of ready tensors, fp32", PER_PROCESSOR_SECOND, RATE, 1.15,
        inference.tensors("fp32", inference.onnxruntime() + inference.openvino(["fp32"]), "fp32")),
    Row("extract", "`extract` from JPEG files, default precision", PER_SECOND, RATE, 3,
        inference.extract(None, ["fp32"], "fp32")),
    Row("extract-int8", "`extract` from JPEG files, int8", PER_SECOND, RATE, 5,
        inference.extract("int8", ["fp32"], "fp32")),
    Row("extract-int8-bf16", "`extract` from JPEG files, int8, beside bf16", PER_SECOND, RATE, 2,
        inference.extract("int8", EITHER, "bf16")),
    Row("train-frozen", "`train` with its defaults, beside a head by {tutorial_epochs} epochs", "s", TIME, 40,
        learning.whole("head", ["fp32"], lambda counts: [], lambda counts: counts["tutorial_epochs"])),
    Row("train-stage4", "`train --unfreeze stage4`, {epochs} epochs", "s", TIME, 3,
        learning.whole("layer4", EITHER, stage4_flags, lambda counts: counts["epochs"])),
    Row("train-all", "an epoch of `train --unfreeze all`", "s", TIME, 1.2, learning.one_epoch),
    Row("predict", "`predict` of a photograph from a cold start", "s", TIME, 10, inference.predict()),
    Row("predict-resnet18", "`predict` of it by a ResNet-18", "s", TIME, 10, inference.predict("resnet18")),
    Row("memory", "peak memory of `extract`, all processes", "MiB", SIZE, 0.4, inference.memory),
    Row("growth-memory", "memory at {most:,} images beside {least:,}", "MiB", SIZE, 1.1,
        growth.measured("mebibytes", 1)),
    Row("growth-time", "time an image at {most:,} images beside {least:,}", "ms", SIZE, 1.05,
        growth.measured("seconds_per_image", 1000)),
]


def work(row, counts):
    return row.work.format(**counts, least=min(counts["growth"]), most=max(counts["growth"]))
