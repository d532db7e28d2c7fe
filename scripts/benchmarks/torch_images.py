"""Folders of pictures as PyTorch's users read them: ImageFolder, torchvision's transforms, a DataLoader."""
import os

import torch

from torch_vision import torchvision

transforms = torchvision.transforms
NORMALIZE = [transforms.ToTensor(), transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))]
PLAIN = transforms.Compose([transforms.Resize(256), transforms.CenterCrop(224), *NORMALIZE])
AUGMENTED = transforms.Compose([transforms.RandomResizedCrop(224), transforms.RandomHorizontalFlip(), *NORMALIZE])


def folder(path, part, augmented=False):
    return torchvision.datasets.ImageFolder(os.path.join(path, part), AUGMENTED if augmented else PLAIN)


def limited(dataset, count):
    """`count` of the pictures, from all classes; all of them where it is 0."""
    if not 0 < count < len(dataset):
        return dataset
    return torch.utils.data.Subset(dataset, [i * len(dataset) // count for i in range(count)])


def loader(dataset, batch, workers, shuffled=False):
    return torch.utils.data.DataLoader(dataset, batch, shuffle=shuffled, num_workers=workers)
