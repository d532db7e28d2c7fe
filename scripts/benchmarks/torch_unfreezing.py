"""PyTorch's usual ways to unfreeze a pretrained ResNet, each on the same division as finetune's.

    python torch_unfreezing.py --weights BASE.safetensors --size 64 --data FOLDER --split split.csv --unfreeze last|all
        [--fold] [--caffe] [--recipes sgd,adamw-4,adamw-5] [--epochs N] [--seed 0] [--precision fp32|bf16] [--threads 2]

`sgd`: the transfer-learning tutorial: SGD at 0.001 with momentum 0.9, batches of 4, the rate a tenth after 7 of 25 epochs
and again after 14, batch norms take the batches' statistics. `adamw-4`, `adamw-5`: AdamW at 1e-4 or 1e-5 for the head, each
stage 0.75 of the next, weight decay 0.05, cosine after a tenth of warm-up, batches of 32. Random resized crops and
mirroring. Prints a line of JSON for each recipe, with the accuracy on the test images of the epoch that was best on the
validation images. `--fold` folds batch norms into the convolutions first; `--caffe` feeds BGR from 0 to 255 less its mean.
"""
import argparse
import csv
import json
import math
import os
import time

import torch
from PIL import Image, ImageOps
from torch import nn
from torch.nn import functional as F

from torch_vision import torchvision
from safetensors.torch import load_file

parser = argparse.ArgumentParser()
parser.add_argument("--weights", required=True)
parser.add_argument("--size", type=int, required=True)
parser.add_argument("--data", required=True)
parser.add_argument("--split", required=True)
parser.add_argument("--unfreeze", required=True, choices=["last", "all"])
parser.add_argument("--fold", action="store_true")
parser.add_argument("--caffe", action="store_true")
parser.add_argument("--recipes", default="sgd,adamw-4,adamw-5")
parser.add_argument("--epochs", type=int, default=25)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--precision", default="fp32", choices=["fp32", "bf16"])
parser.add_argument("--threads", type=int, default=2)
options = parser.parse_args()
torch.set_num_threads(options.threads)
transforms = torchvision.transforms


class Residual(nn.Module):
    """torchvision's ResNet of any width and stem, from the shapes of its weights."""

    def __init__(self, state):
        super().__init__()
        filters, _, side, _ = state["conv1.weight"].shape
        stages = 1 + max(int(name[5]) for name in state if name.startswith("layer"))
        is_deep = "layer1.0.conv3.weight" in state
        block = torchvision.models.resnet.Bottleneck if is_deep else torchvision.models.resnet.BasicBlock
        self.conv1 = nn.Conv2d(3, filters, side, 2 if side == 7 else 1, side // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(filters)
        self.pool = nn.MaxPool2d(3, 2, 1) if side == 7 else nn.Identity()
        self.stages, channels = [], filters
        for stage in range(1, stages):
            name = f"layer{stage}"
            blocks = 1 + max(int(key.split(".")[1]) for key in state if key.startswith(name + "."))
            layers = []
            for index in range(blocks):
                width = len(state[f"{name}.{index}.conv1.weight"])
                stride, outputs = 2 if stage > 1 and index == 0 else 1, width * block.expansion
                shortcut = None
                if f"{name}.{index}.downsample.0.weight" in state:
                    shortcut = nn.Sequential(
                        nn.Conv2d(channels, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
                elif channels != outputs:
                    shortcut = Subsampled(stride, outputs - channels)
                layers.append(block(channels, width, stride, shortcut))
                channels = outputs
            self.add_module(name, nn.Sequential(*layers))
            self.stages.append(name)
        self.channels = channels

    def forward(self, x):
        x = self.pool(F.relu(self.bn1(self.conv1(x))))
        for name in self.stages:
            x = getattr(self, name)(x)
        return self.fc(x.mean((2, 3)))


class Subsampled(nn.Module):
    """The shortcut without weights of CIFAR's ResNets (He et al. 2015, option A)."""

    def __init__(self, stride, channels):
        super().__init__()
        self.stride, self.padding = stride, channels // 2

    def forward(self, x):
        return F.pad(x[:, :, ::self.stride, ::self.stride], (0, 0, 0, 0, self.padding, self.padding))


def fold(module):
    """Batch norms become the scales and biases of the convolutions before them."""
    for parent in module.modules():
        pairs = [("conv1", "bn1"), ("conv2", "bn2"), ("conv3", "bn3"), ("0", "1")]
        for convolution, norm in pairs:
            first, second = getattr(parent, convolution, None), getattr(parent, norm, None)
            if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                setattr(parent, convolution, nn.utils.fuse_conv_bn_eval(first.eval(), second.eval()))
                setattr(parent, norm, nn.Identity())


def network(classes):
    state = load_file(options.weights)
    model = Residual(state)
    wanted = {name: tensor for name, tensor in state.items() if not name.startswith(("fc.", "linear."))}
    missing, superfluous = model.load_state_dict(wanted, strict=False)
    assert not superfluous and all(name.endswith("num_batches_tracked") for name in missing), (missing, superfluous)
    if options.fold:
        fold(model)
    model.fc = nn.Linear(model.channels, classes)
    return model.to(memory_format=torch.channels_last)


def pictures():
    """The images of each split in memory, and their labels."""
    classes = sorted(entry.name for entry in os.scandir(options.data) if entry.is_dir())
    splits = {"train": [], "val": [], "test": []}
    with open(options.split, newline="") as file:
        for row in csv.DictReader(file):
            if row["split"] in splits:
                with Image.open(os.path.join(options.data, row["path"])) as image:
                    splits[row["split"]].append(
                        (ImageOps.exif_transpose(image).convert("RGB"), classes.index(row["path"].split("/")[0])))
    return classes, splits


classes, splits = pictures()
normalize = [transforms.ToTensor(), transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))]
if options.caffe:
    normalize = [
        transforms.ToTensor(), lambda x: 255 * x.flip(0), transforms.Normalize((103.939, 116.779, 123.68), (1, 1, 1))]
varied = transforms.Compose(
    [transforms.RandomResizedCrop(options.size), transforms.RandomHorizontalFlip()] + normalize)
plain = transforms.Compose([transforms.Resize(options.size), transforms.CenterCrop(options.size)] + normalize)
scored = {
    split: (torch.stack([plain(image) for image, _ in splits[split]]), torch.tensor([y for _, y in splits[split]]))
    for split in ("val", "test")}


def stage_of(name, model):
    """0 is the stem, and the head is after the last stage."""
    first = name.split(".")[0]
    return model.stages.index(first) + 1 if first in model.stages else len(model.stages) + 1 if first == "fc" else 0


def groups(model, rate, decay):
    last = len(model.stages) + 1
    parameters = {}
    for name, parameter in model.named_parameters():
        stage = stage_of(name, model)
        if options.unfreeze == "last" and stage < last - 1:
            parameter.requires_grad = False
            continue
        parameters.setdefault((stage, parameter.dim() > 1), []).append(parameter)
    return [
        dict(params=members, lr=rate * decay ** (last - stage), weight_decay=0.05 if has_decay and decay < 1 else 0)
        for (stage, has_decay), members in parameters.items()]


def accuracy(model, split):
    model.eval()
    images, labels = scored[split]
    with torch.inference_mode():
        hits = sum((model(x).argmax(1) == y).sum().item() for x, y in zip(images.split(64), labels.split(64)))
    return hits / len(labels)


def train(recipe):
    torch.manual_seed(options.seed)
    model = network(len(classes))
    batch = 4 if recipe == "sgd" else 32
    steps = math.ceil(len(splits["train"]) / batch)
    total = steps * options.epochs
    if recipe == "sgd":
        optimizer = torch.optim.SGD(groups(model, 0.001, 1), momentum=0.9)
        every = max(1, round(options.epochs * 7 / 25))

        def factor(step): return 0.1 ** (step // steps // every)
    else:
        optimizer = torch.optim.AdamW(groups(model, 10.0 ** -int(recipe[-1]), 0.75))

        def factor(step):
            warm = total / 10
            return step / warm if step < warm else (1 + math.cos(math.pi * (step - warm) / (total - warm))) / 2
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    begun, best = time.perf_counter(), (-1.0, 0.0, 0)
    for epoch in range(options.epochs):
        model.train()
        order = torch.randperm(len(splits["train"])).split(batch)
        for places in order:
            # A batch norm cannot take statistics of one image.
            if len(places) == 1:
                continue
            x = torch.stack([varied(splits["train"][place][0]) for place in places])
            y = torch.tensor([splits["train"][place][1] for place in places])
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=options.precision == "bf16"):
                logits = model(x.to(memory_format=torch.channels_last))
            F.cross_entropy(logits.float(), y).backward()
            optimizer.step()
            schedule.step()
        validation = accuracy(model, "val")
        if validation > best[0]:
            best = (validation, accuracy(model, "test"), epoch + 1)
    print(json.dumps(dict(
        recipe=recipe, unfreeze=options.unfreeze, seed=options.seed, accuracy=best[1], validation=best[0],
        best_epoch=best[2], last=accuracy(model, "test"), seconds=time.perf_counter() - begun)), flush=True)


for recipe in options.recipes.split(","):
    train(recipe)
