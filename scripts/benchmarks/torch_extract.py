"""PyTorch's features of a folder of pictures, from files to numbers.

    python torch_extract.py --base resnet50.pth --data FOLDER [--precision fp32|bf16] [--batch 32] [--workers 0]
        [--threads 2] [--limit N]

The pictures of train/ and val/, Resize 256, CenterCrop 224; channels last, inference mode, bf16 by autocast. Prints one
line of JSON; its seconds are those of the loop, start and import are not in them.
"""
import argparse
import json
import time

import numpy as np
import torch

import networks
import torch_images

parser = argparse.ArgumentParser()
parser.add_argument("--architecture", default="resnet50")
parser.add_argument("--base", required=True)
parser.add_argument("--data", required=True)
parser.add_argument("--precision", default="fp32", choices=["fp32", "bf16"])
parser.add_argument("--batch", type=int, default=32)
parser.add_argument("--workers", type=int, default=0)
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--limit", type=int, default=0)
parser.add_argument("--out", help="an .npy to keep the features in")
options = parser.parse_args()
torch.set_num_threads(options.threads)
model = networks.load(options.architecture, options.base).eval()
model.fc = torch.nn.Identity()
parts = [torch_images.folder(options.data, part) for part in ("train", "val")]
images = torch_images.limited(torch.utils.data.ConcatDataset(parts), options.limit)
features = []
begun = time.perf_counter()
with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=options.precision == "bf16"):
    for x, _ in torch_images.loader(images, options.batch, options.workers):
        features.append(model(x.to(memory_format=torch.channels_last)).float().numpy())
seconds = time.perf_counter() - begun
if options.out:
    np.save(options.out, np.concatenate(features))
print(json.dumps(dict(images=len(images), seconds=seconds, images_per_second=len(images) / seconds)))
