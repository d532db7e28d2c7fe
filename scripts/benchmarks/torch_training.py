"""PyTorch's time for training on images that are ready in memory: no files, no augmentation.

    python torch_training.py [--arch resnet50] [--batch 16] [--size 224] [--unfreeze all|layer4|head]
        [--precision fp32|bf16] [--batch-norm frozen|train] [--threads 2] [--images 64] [--validation 0] [--epochs 3]

Channels last, SGD with momentum, bf16 by autocast. Frozen batch norms run in inference mode, and their scale and shift
learn where their layer does. Prints one line of JSON; the first epoch is the warm-up, no other number has it in it.
"""
import argparse
import json
import resource
import statistics
import time

import torch
from torch import nn

from torch_vision import torchvision

CLASSES = 10

parser = argparse.ArgumentParser()
parser.add_argument("--arch", default="resnet50")
parser.add_argument("--batch", type=int, default=16)
parser.add_argument("--size", type=int, default=224)
parser.add_argument("--unfreeze", default="all", choices=["all", "layer4", "head"])
parser.add_argument("--precision", default="fp32", choices=["fp32", "bf16"])
parser.add_argument("--batch-norm", default="frozen", choices=["frozen", "train"])
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--images", type=int, default=64)
parser.add_argument("--validation", type=int, default=0, help="images that are scored after each epoch")
parser.add_argument("--epochs", type=int, default=3)
options = parser.parse_args()
if options.images < options.batch or options.epochs < 2:
    parser.error("it takes a whole batch of images, and an epoch after the warm-up")

torch.manual_seed(0)
torch.set_num_threads(options.threads)
model = torchvision.models.get_model(options.arch, weights=None, num_classes=CLASSES)
learning = {"all": ("",), "layer4": ("layer4.", "fc."), "head": ("fc.",)}[options.unfreeze]
for name, parameter in model.named_parameters():
    parameter.requires_grad = name.startswith(learning)
model = model.to(memory_format=torch.channels_last)
images = torch.randn(options.images, 3, options.size, options.size).to(memory_format=torch.channels_last)
labels = torch.randint(CLASSES, (options.images,))
model.train()
normalizations = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
# Random filters behind norms that know no statistics would overflow: measure them once.
for module in normalizations:
    module.momentum = 1
with torch.no_grad():
    model(images[:options.batch])
for module in normalizations:
    module.momentum = 0.1
if options.batch_norm == "frozen":
    for module in normalizations:
        module.eval()
optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1e-3, momentum=0.9)
loss_of = nn.CrossEntropyLoss()


def step(x, y):
    optimizer.zero_grad()
    with torch.autocast("cpu", torch.bfloat16, enabled=options.precision == "bf16"):
        loss = loss_of(model(x), y)
    loss.backward()
    optimizer.step()
    return loss.item()


def validate(images):
    model.eval()
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=options.precision == "bf16"):
        for start in range(0, len(images), options.batch):
            model(images[start:start + options.batch]).argmax(1)
    model.train()
    for module in normalizations if options.batch_norm == "frozen" else []:
        module.eval()


validation = torch.randn(options.validation, 3, options.size, options.size).to(memory_format=torch.channels_last)
epochs, validations, steps, losses = [], [], [], []
for epoch in range(options.epochs):
    if epoch == 1:
        cpu = time.process_time()
    began = time.perf_counter()
    for start in range(0, options.images - options.batch + 1, options.batch):
        moment = time.perf_counter()
        losses.append(step(images[start:start + options.batch], labels[start:start + options.batch]))
        if epoch > 0:
            steps.append(time.perf_counter() - moment)
    epochs.append(time.perf_counter() - began)
    began = time.perf_counter()
    validate(validation)
    validations.append(time.perf_counter() - began)
print(json.dumps(dict(
    peer="pytorch", torch=torch.__version__, torchvision=torchvision.__version__, **vars(options),
    warmup_seconds=round(epochs[0], 4), epoch_seconds=[round(seconds, 4) for seconds in epochs[1:]],
    validation_seconds=[round(seconds, 4) for seconds in validations[1:]],
    median_step_seconds=round(statistics.median(steps), 4),
    images_per_second=round(len(steps) * options.batch / sum(epochs[1:]), 3),
    cpu_seconds=round(time.process_time() - cpu, 3), first_loss=round(losses[0], 4), last_loss=round(losses[-1], 4),
    peak_rss_mb=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1))))
