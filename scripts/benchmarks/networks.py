"""Random but well-scaled torchvision ResNets, as every side reads them.

    python networks.py make ARCHITECTURE FOLDER      writes FOLDER/ARCHITECTURE.h5, .pth and .onnx
    python networks.py import FILE.h5 FILE.pth       a state dict in HDF5, as `finetune convert` writes it, for PyTorch

What a network computes takes the same time with these weights as with learned ones: filters are as large as their
inputs are many, so that activations stay in range through all stages, and statistics of batch norms are near those of
use.
"""
import os
import sys

import torch

from torch_vision import torchvision


def network(architecture, classes=1000):
    return torchvision.models.get_model(architecture, weights=None, num_classes=classes)


def load(architecture, path):
    """The network whose `.pth` this is, with as many classes as the file has, channels last."""
    state = torch.load(path, weights_only=True)
    model = network(architecture, len(state["fc.bias"]))
    missing, superfluous = model.load_state_dict(state, strict=False)
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    if missing or superfluous:
        sys.exit(f"'{path}' is no {architecture}: {missing[:3]} are missing, {superfluous[:3]} are too many")
    return model.to(memory_format=torch.channels_last)


def randomize(model, seed=0):
    source = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, torch.nn.Conv2d):
                inputs = module.weight[0].numel()
                module.weight.normal_(0, inputs ** -0.5, generator=source)
            elif isinstance(module, torch.nn.BatchNorm2d):
                for positive in (module.weight, module.running_var):
                    positive.uniform_(0.5, 1.5, generator=source)
                for centred in (module.bias, module.running_mean):
                    centred.normal_(0, 0.1, generator=source)
            elif isinstance(module, torch.nn.Linear):
                module.weight.normal_(0, module.in_features ** -0.5, generator=source)
                module.bias.zero_()
    return model.eval()


def write(model, path):
    state = {name: tensor for name, tensor in model.state_dict().items() if not name.endswith("num_batches_tracked")}
    torch.save(state, path + ".pth")
    import h5py  # Not above: the peers, which read only .pth, would wait for it.
    with h5py.File(path + ".h5", "w") as file:
        for name, tensor in state.items():
            file[name] = tensor.numpy()


def export(model, path):
    """The features of `model` for ONNX Runtime and OpenVINO: ready tensors in, any number of them."""
    model.fc = torch.nn.Identity()
    torch.onnx.export(
        model, (torch.zeros(1, 3, 224, 224),), path + ".onnx", input_names=["x"], output_names=["features"],
        dynamic_axes={"x": {0: "images"}}, dynamo=False)


def translate(source, target):
    import h5py
    with h5py.File(source) as file:
        state = {}
        file.visititems(lambda name, item: state.update({name.replace("/", "."): torch.from_numpy(item[()])})
                        if isinstance(item, h5py.Dataset) else None)
    torch.save(state, target)


if __name__ == "__main__":
    action, first, second = sys.argv[1:]
    if action == "import":
        translate(first, second)
    else:
        made, place = randomize(network(first)), os.path.join(second, first)
        write(made, place)
        export(made, place)
