"""torchvision beside any PyTorch: `from torch_vision import torchvision`.

A torchvision that was built for CUDA lacks its detection operators beside a CPU torch. No ResNet needs them: the two
that the import asks for are declared, and shapes are registered for none.
"""
import sys

import torch


def _declare_operators():
    for name in [name for name in sys.modules if name.startswith("torchvision")]:
        del sys.modules[name]
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return library


try:
    import torchvision  # noqa: F401
except RuntimeError:
    declared, register = _declare_operators(), torch.library.register_fake
    torch.library.register_fake = lambda name, *rest, **named: (
        (lambda function: function) if str(name).startswith("torchvision::") else register(name, *rest, **named))
    import torchvision
    torch.library.register_fake = register
