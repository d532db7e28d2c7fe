"""One photograph's label by PyTorch, from the start of Python to the answer.

    python torch_predict.py --architecture resnet50 --model model.pth --picture photo.jpg [--threads 2]
"""
import argparse
import json

import torch
from PIL import Image

import networks
import torch_images

parser = argparse.ArgumentParser()
parser.add_argument("--architecture", default="resnet50")
parser.add_argument("--model", required=True)
parser.add_argument("--picture", required=True)
parser.add_argument("--threads", type=int, default=2)
options = parser.parse_args()
torch.set_num_threads(options.threads)
model = networks.load(options.architecture, options.model).eval()
pixels = torch_images.PLAIN(Image.open(options.picture).convert("RGB"))[None]
with torch.inference_mode():
    probability, label = model(pixels.to(memory_format=torch.channels_last)).softmax(1)[0].max(0)
print(json.dumps(dict(label=label.item(), probability=probability.item())))
