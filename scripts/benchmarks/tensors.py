"""The clock of the engines that are given ready tensors: processor seconds of a process, threads included, an image."""
import argparse
import json
import statistics
import time

import numpy as np


def options(description):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--network", required=True, help="an .onnx")
    parser.add_argument("--precision", default="fp32", choices=["fp32", "bf16"])
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--images", type=int, default=160)
    return parser.parse_args()


def measure(infer, given):
    """Calls `infer` on a batch until the images are done, after one batch that does not count, and prints the
    median.
    """
    x = np.random.default_rng(0).standard_normal((given.batch, 3, 224, 224), dtype=np.float32)
    infer(x)
    costs = []
    for _ in range(max(2, given.images // given.batch)):
        begun = time.process_time()
        infer(x)
        costs.append(time.process_time() - begun)
    print(json.dumps(dict(precision=given.precision, images_per_second=given.batch / statistics.median(costs))))
