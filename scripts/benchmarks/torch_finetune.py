"""PyTorch's training from a folder of pictures, as its transfer-learning tutorial has it.

    python torch_finetune.py --base resnet50.pth --data FOLDER --unfreeze head|layer4|all [--epochs 3] [--batch 16]
        [--precision fp32|bf16] [--workers 0] [--threads 2] [--limit N]

SGD with momentum; RandomResizedCrop and mirroring in training, Resize 256 and CenterCrop 224 in validation after each
epoch; channels last, bf16 by autocast. Batch norms are frozen, as finetune's are by default. Prints one line of JSON
with each epoch's seconds, reading included; start and import are not in them.
"""
import argparse
import json
import time

import torch
from torch import nn

import networks
import torch_images

parser = argparse.ArgumentParser()
parser.add_argument("--architecture", default="resnet50")
parser.add_argument("--base", required=True)
parser.add_argument("--data", required=True)
parser.add_argument("--unfreeze", default="head", choices=["head", "layer4", "all"])
parser.add_argument("--epochs", type=int, default=3)
parser.add_argument("--batch", type=int, default=16)
parser.add_argument("--precision", default="fp32", choices=["fp32", "bf16"])
parser.add_argument("--workers", type=int, default=0)
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--limit", type=int, default=0, help="so many training images, and half as many for validation")
options = parser.parse_args()
torch.manual_seed(0)
torch.set_num_threads(options.threads)
whole = torch_images.folder(options.data, "train", augmented=True)
train = torch_images.limited(whole, options.limit)
validation = torch_images.limited(torch_images.folder(options.data, "val"), options.limit // 2)
model = networks.load(options.architecture, options.base)
learning = {"all": "", "layer4": "layer4.", "head": "fc."}[options.unfreeze]
for name, parameter in model.named_parameters():
    parameter.requires_grad = name.startswith(learning)
model.fc = nn.Linear(model.fc.in_features, len(whole.classes))
optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.001, momentum=0.9)
loss_of = nn.CrossEntropyLoss()


def logits(x):
    with torch.autocast("cpu", torch.bfloat16, enabled=options.precision == "bf16"):
        return model(x.to(memory_format=torch.channels_last)).float()


def learn():
    model.train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    for x, y in torch_images.loader(train, options.batch, options.workers, shuffled=True):
        optimizer.zero_grad()
        loss_of(logits(x), y).backward()
        optimizer.step()


def accuracy():
    model.eval()
    with torch.inference_mode():
        batches = torch_images.loader(validation, options.batch, options.workers)
        hits = sum((logits(x).argmax(1) == y).sum().item() for x, y in batches)
    return hits / len(validation)


training, validating = [], []
for _ in range(options.epochs):
    begun = time.perf_counter()
    learn()
    learned = time.perf_counter()
    score = accuracy()
    training.append(learned - begun)
    validating.append(time.perf_counter() - learned)
print(json.dumps(dict(
    training_seconds=training, validation_seconds=validating, accuracy=score,
    images_per_second=(len(train) + len(validation)) * options.epochs / sum(training + validating))))
