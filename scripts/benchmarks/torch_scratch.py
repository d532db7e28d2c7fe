"""PyTorch's training of a CIFAR-style ResNet-20 (He et al. 2015) on Fashion-MNIST, from nothing: the recipe of
`finetune train --strategy scratch --architecture resnet20 --size 28` with the flags that scratch.py gives it.

    python torch_scratch.py IDX_FOLDER [--epochs 24] [--run 3] [--lr 0.1] [--precision bf16|fp32] [--workers 2]

Prints a line of JSON an epoch. The schedule is that of `--epochs`; training ends after `--run` of them.
"""
import argparse
import gzip
import json
import math
import time

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F
from torchvision import transforms

parser = argparse.ArgumentParser()
parser.add_argument("folder")
parser.add_argument("--epochs", type=int, default=24)
parser.add_argument("--run", type=int, default=3)
parser.add_argument("--lr", type=float, default=0.1)
parser.add_argument("--precision", default="bf16", choices=["fp32", "bf16"])
parser.add_argument("--workers", type=int, default=2)
parser.add_argument("--threads", type=int, default=2)
options = parser.parse_args()
BATCH, MOMENTUM, L2, SIDE = 128, 0.9, 5e-4, 28
torch.manual_seed(0)
torch.set_num_threads(options.threads)


class Block(nn.Module):
    """Two convolutions beside a shortcut that subsamples and pads with zeros (option A)."""

    def __init__(self, channels, filters):
        super().__init__()
        self.stride, self.padding = filters // channels, (filters - channels) // 2
        self.conv1 = nn.Conv2d(channels, filters, 3, self.stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(filters)
        self.conv2 = nn.Conv2d(filters, filters, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(filters)

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        shortcut = x[:, :, ::self.stride, ::self.stride]
        return F.relu(y + F.pad(shortcut, (0, 0, 0, 0, self.padding, self.padding)))


class Images(torch.utils.data.Dataset):
    def __init__(self, name, transform):
        def read(kind, header):
            with gzip.open(f"{options.folder}/{name}-{kind}-ubyte.gz") as file:
                return np.frombuffer(file.read()[header:], np.uint8)
        self.labels = read("labels-idx1", 8).astype(np.int64)
        self.pixels = read("images-idx3", 16).reshape(-1, SIDE, SIDE)
        self.transform = transform

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        return self.transform(Image.fromarray(self.pixels[index]).convert("RGB")), self.labels[index]


normalize = [transforms.ToTensor(), transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))]
augment = [transforms.RandomResizedCrop(SIDE, (0.7, 1), (0.9, 1.1)), transforms.RandomHorizontalFlip()]
keeps = options.workers > 0
training = torch.utils.data.DataLoader(
    Images("train", transforms.Compose(augment + normalize)), BATCH, shuffle=True, drop_last=True,
    num_workers=options.workers, persistent_workers=keeps)
test = torch.utils.data.DataLoader(
    Images("t10k", transforms.Compose(normalize)), BATCH, num_workers=options.workers, persistent_workers=keeps)
widths = [(16, 16)] * 3 + [(16, 32)] + [(32, 32)] * 2 + [(32, 64)] + [(64, 64)] * 2
model = nn.Sequential(
    nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), *(Block(a, b) for a, b in widths),
    nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)).to(memory_format=torch.channels_last)
for module in model.modules():
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out")
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.weight)
        nn.init.zeros_(module.bias)
kernels = [parameter for parameter in model.parameters() if parameter.dim() > 1]
others = [parameter for parameter in model.parameters() if parameter.dim() <= 1]
optimizer = torch.optim.SGD(
    [dict(params=kernels, weight_decay=L2), dict(params=others)], options.lr, MOMENTUM, nesterov=True)


def factor(step):
    epoch = step / len(training)
    return epoch if epoch < 1 else (1 + math.cos(math.pi * (epoch - 1) / (options.epochs - 1))) / 2


def logits(images):
    with torch.autocast("cpu", torch.bfloat16, enabled=options.precision == "bf16"):
        return model(images.to(memory_format=torch.channels_last)).float()


schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
for epoch in range(options.run):
    model.train()
    began, total = time.perf_counter(), 0.0
    for images, labels in training:
        optimizer.zero_grad()
        loss = F.cross_entropy(logits(images), labels)
        loss.backward()
        optimizer.step()
        schedule.step()
        total += loss.item()
    seconds = time.perf_counter() - began
    model.eval()
    with torch.inference_mode():
        hits = sum((logits(images).argmax(1) == labels).sum().item() for images, labels in test)
    print(json.dumps(dict(
        torch=torch.__version__, epoch=epoch + 1, train_loss=total / len(training), seconds=seconds,
        test_accuracy=hits / len(test.dataset))), flush=True)
