"""Networks of the real libraries with random weights and batch-norm statistics that real activations have."""
import h5py
import numpy as np
import torch

try:
    import tvshim  # noqa: F401  (lets a CPU torch load a torchvision that was built for CUDA)
except ImportError:
    pass
import keras
import timm
import torchvision

rng = np.random.default_rng(5)


def settle(model, x):
    """One pass in training mode gives every batch norm the statistics of what reaches it."""
    torch.manual_seed(1)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, 0, 0.1)
    # As in trained networks, a block changes what passes it a little; otherwise rounding grows from block to block.
    for name, module in model.named_modules():
        last = "bn3" if hasattr(model.layer1[0], "bn3") else "bn2"
        if name.startswith("layer") and name.endswith(last):
            torch.nn.init.uniform_(module.weight, 0.1, 0.3)
    with torch.no_grad():
        model.train()(x)
    return model.eval()


def save_torch(model, path):
    if path.endswith(".h5"):
        with h5py.File(path, "w") as f:
            for name, tensor in model.state_dict().items():
                f.create_dataset(name, data=tensor.numpy())
    else:
        torch.save(model.state_dict(), path)


def torch_network(make, size, classes=7):
    model = make(num_classes=classes)
    x = torch.from_numpy(rng.normal(size=(4, 3, size, size)).astype(np.float32))
    settle(model, x)
    with torch.no_grad():
        return model, x.permute(0, 2, 3, 1).numpy(), model(x).numpy()


def keras_network(make, size, classes=7):
    model = make(weights=None, input_shape=(size, size, 3), classes=classes, classifier_activation=None)
    x = rng.normal(size=(4, size, size, 3)).astype(np.float32)
    for layer in model.layers:
        if layer.weights:
            layer.set_weights([np.asarray(w) + 0.02 * rng.normal(size=w.shape) for w in layer.get_weights()])
        if isinstance(layer, keras.layers.BatchNormalization):
            reached = keras.ops.convert_to_numpy(keras.Model(model.inputs, layer.input)(x))
            gamma, beta, _, _ = layer.get_weights()
            if layer.name.endswith("_3_bn"):
                gamma *= 0.2
            layer.set_weights([gamma, beta, reached.mean((0, 1, 2)), reached.var((0, 1, 2))])
    return model, x, keras.ops.convert_to_numpy(model(x))


def cifar_resnet(blocks):
    """ResNet-20 and its kin with the parameterless shortcut (He et al. 2015, option A)."""

    class Block(torch.nn.Module):
        def __init__(self, inputs, outputs, stride):
            super().__init__()
            self.conv1 = torch.nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
            self.bn1 = torch.nn.BatchNorm2d(outputs)
            self.conv2 = torch.nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
            self.bn2 = torch.nn.BatchNorm2d(outputs)
            self.stride, self.missing = stride, outputs - inputs

        def forward(self, x):
            y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
            half = self.missing // 2
            x = torch.nn.functional.pad(x[:, :, ::self.stride, ::self.stride], (0, 0, 0, 0, half, self.missing - half))
            return torch.relu(x + y)

    class Network(torch.nn.Module):
        def __init__(self, num_classes):
            super().__init__()
            self.conv1, self.bn1 = torch.nn.Conv2d(3, 16, 3, 1, 1, bias=False), torch.nn.BatchNorm2d(16)
            inputs = 16
            for index, outputs in enumerate((16, 32, 64)):
                stage = []
                for block in range(blocks):
                    stage.append(Block(inputs, outputs, 2 if index > 0 and block == 0 else 1))
                    inputs = outputs
                setattr(self, f"layer{index + 1}", torch.nn.Sequential(*stage))
            self.linear = torch.nn.Linear(64, num_classes)

        def forward(self, x):
            x = torch.relu(self.bn1(self.conv1(x)))
            x = self.layer3(self.layer2(self.layer1(x)))
            return self.linear(x.mean((2, 3)))

    return lambda num_classes: Network(num_classes)


TORCH = {
    "torchvision resnet18": (torchvision.models.resnet18, 97),
    "torchvision resnet50": (torchvision.models.resnet50, 97),
    "torchvision wide_resnet50_2": (torchvision.models.wide_resnet50_2, 64),
    "torchvision resnext50_32x4d": (torchvision.models.resnext50_32x4d, 64),
    "timm resnet18d": (lambda num_classes: timm.create_model("resnet18d", num_classes=num_classes), 97),
    "timm seresnet50": (lambda num_classes: timm.create_model("seresnet50", num_classes=num_classes), 64),
    "CIFAR resnet20": (cifar_resnet(3), 32),
}
KERAS = {
    "keras ResNet50": (keras.applications.ResNet50, 97),
    "keras ResNet50V2": (keras.applications.ResNet50V2, 97),
}
