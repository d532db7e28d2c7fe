"""Every base into every format and back into the library that the format is for; see scripts/check-interchange."""
import csv
import json
import os
import subprocess
import sys
import tempfile
import warnings

import h5py
import numpy as np
import torch
from networks import KERAS, TORCH, keras, keras_network, save_torch, torch_network, torchvision
from PIL import Image
from safetensors.torch import load_file

import onnx
import onnxruntime
import safetensors

warnings.filterwarnings("ignore", "The structure of `inputs`")
TOLERANCE = 1e-4
ACTIVATIONS = ("relu", "leaky-relu", "elu", "selu", "gelu", "tanh", "sigmoid")
program = os.path.abspath(sys.argv[1])
worst = []


def finetune(*arguments):
    return subprocess.run([program, *arguments], capture_output=True, text=True)


def from_keras(path, x):
    model = keras.models.load_model(path, compile=False)
    if model.layers[-1].activation is keras.activations.softmax:
        model.layers[-1].activation = keras.activations.linear
    return keras.ops.convert_to_numpy(model(x))


def from_torch(model, path, x):
    """Loads the state dict into the library's own class, nothing missing and nothing left over."""
    if path.endswith(".safetensors"):
        state = load_file(path)
    else:
        with h5py.File(path) as f:
            state = {name: torch.from_numpy(f[name][()]) for name in f}
    for parameter in model.parameters():
        torch.nn.init.zeros_(parameter)
    model.load_state_dict(state, strict=True)
    with torch.no_grad():
        return model(torch.from_numpy(np.ascontiguousarray(x)).permute(0, 3, 1, 2)).numpy()


def from_onnx(path, x, output="logits"):
    onnx.checker.check_model(path, full_check=True)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run([output], {"image": x})[0]


def report(base, target, expected, found):
    difference = np.abs(found - expected).max() / np.abs(expected).max()
    worst.append(difference)
    print(f"{base:30s} {target:34s} {difference:.1e}", flush=True)


def refused(base, target, result):
    reason = result.stderr.strip().splitlines()[-1] if result.stderr else f"exit {result.returncode}"
    known = result.returncode == 65 and "PyTorch" in reason or "torchvision" in reason
    if not known:
        worst.append(np.inf)
    print(f"{base:30s} {target:34s} {'refused' if known else 'FAILED'}: {reason.split(': ', 2)[-1]}", flush=True)


def check_base(base, model, saved, x, expected, folder):
    """The recipe is left out of ONNX by converting from formats that take the network's own floats."""
    for target in ("keras", "torch", "safetensors", "native"):
        out = f"{folder}/out.{'safetensors' if target == 'safetensors' else 'h5'}"
        result = finetune("convert", saved, out, "--to", target)
        if result.returncode:
            refused(base, target, result)
            continue
        if target == "keras":
            report(base, "keras: load_model", expected, from_keras(out, x))
            if isinstance(model, keras.Model):
                other = keras.models.clone_model(model)
                other.load_weights(out)
                report(base, "keras: load_weights", expected, keras.ops.convert_to_numpy(other(x)))
            back = f"{folder}/back.npz"
            np.savez(f"{folder}/x.npz", inputs=x)
            finetune("extract", "--base", out, "--data", f"{folder}/x.npz", "--out", back, "--layer", "logits",
                     "--precision", "fp32")
            report(base, "keras and back", expected, np.load(back)["features"])
            if not isinstance(model, keras.Model):
                again = finetune("convert", out, f"{folder}/again.safetensors")
                if again.returncode:
                    refused(base, "keras, then safetensors", again)
                else:
                    report(base, "keras, then safetensors", expected,
                           from_torch(model, f"{folder}/again.safetensors", x))
        elif target == "native":
            np.savez(f"{folder}/x.npz", inputs=x)
            finetune("extract", "--base", out, "--data", f"{folder}/x.npz", "--out", f"{folder}/n.npz", "--layer",
                     "logits", "--precision", "fp32")
            report(base, "native", expected, np.load(f"{folder}/n.npz")["features"])
        else:
            report(base, f"{target}: load_state_dict(strict)", expected, from_torch(model, out, x))
    # Pixels through the graph's own preprocessing; `unit` makes the network's input pixels/255.
    out = f"{folder}/out.onnx"
    result = finetune("convert", saved, out, "--recipe", "unit", "--size", str(x.shape[1]))
    if result.returncode:
        return refused(base, "onnx", result)
    pixels = np.random.default_rng(2).integers(0, 256, x.shape, dtype=np.uint8)
    unit = pixels.astype(np.float32) / 255
    if isinstance(model, keras.Model):
        logits = keras.ops.convert_to_numpy(model(unit))
    else:
        with torch.no_grad():
            logits = model(torch.from_numpy(unit).permute(0, 3, 1, 2)).numpy()
    report(base, "onnx: onnxruntime, onnx.checker", logits, from_onnx(out, pixels))


def check_adapted(name, base, model, folder, flags=()):
    """A model that `train` adapted, as the pixels of a crop in each library, against `predict`."""
    data, side = f"{folder}/data", None
    draw = np.random.default_rng(3)
    run = f"{folder}/run"
    probe = finetune("inspect", base, "--json")
    recipe = json.loads(probe.stdout.splitlines()[-1])["input"]
    side = recipe["height"]
    for label in ("blue", "green"):
        os.makedirs(f"{data}/{label}", exist_ok=True)
        for index in range(12):
            picture = draw.integers(0, 256, (side // 8, side // 8, 3), dtype=np.uint8)
            picture[..., 2 if label == "blue" else 1] |= 128
            Image.fromarray(picture).resize((side, side)).save(f"{data}/{label}/{index}.png")
    result = finetune("train", "--base", base, "--data", data, "--out", run, "--precision", "fp32", "--fit", "squash",
                      "--force", *flags)
    assert result.returncode == 0, result.stderr
    paths = sorted(f"{data}/{label}/{index}.png" for label in ("blue", "green") for index in range(10))
    lines = finetune("predict", "--model", f"{run}/model.h5", *paths, "--format", "csv", "--top", "2").stdout
    expected = np.zeros((20, 2), np.float64)
    for row, line in enumerate(csv.DictReader(lines.splitlines())):
        assert line["path"] == paths[row]
        for label, probability in ((line["label"], line["probability"]), (line["label2"], line["probability2"])):
            expected[row, ["blue", "green"].index(label)] = float(probability)
    pixels = np.stack([np.asarray(Image.open(path)) for path in paths])

    finetune("convert", f"{run}/model.h5", f"{folder}/m.onnx")
    session = onnxruntime.InferenceSession(f"{folder}/m.onnx", providers=["CPUExecutionProvider"])
    metadata = session.get_modelmeta().custom_metadata_map
    assert json.loads(metadata["labels"]) == ["blue", "green"], metadata
    recipe = json.loads(metadata["preprocessing"])
    report(name, "adapted, onnx: probabilities", expected, session.run(["probabilities"], {"image": pixels})[0])

    x = pixels.astype(np.float32)
    if recipe["order"] == "bgr":
        x = x[..., ::-1]
    x = ((x * recipe["scale"] - recipe["mean"]) / recipe["std"]).astype(np.float32)
    finetune("convert", f"{run}/model.h5", f"{folder}/k.h5", "--to", "keras")
    loaded = keras.models.load_model(f"{folder}/k.h5", compile=False)
    report(name, "adapted, keras: probabilities", expected, keras.ops.convert_to_numpy(loaded(x)))
    if model is not None:
        finetune("convert", f"{run}/model.h5", f"{folder}/t.safetensors")
        with safetensors.safe_open(f"{folder}/t.safetensors", "pt") as f:
            assert json.loads(f.metadata()["finetune_classes"]) == ["blue", "green"]
        logits = torch.from_numpy(from_torch(model, f"{folder}/t.safetensors", x))
        report(name, "adapted, pytorch: probabilities", expected, logits.softmax(1).numpy())


def main():
    print(f"torch {torch.__version__}, torchvision {torchvision.__version__}, keras {keras.__version__}, "
          f"onnxruntime {onnxruntime.__version__}, safetensors {safetensors.__version__}")
    with tempfile.TemporaryDirectory() as folder:
        for base, (make, size) in TORCH.items():
            model, x, expected = torch_network(make, size)
            saved = f"{folder}/base.{'pth' if 'timm' in base else 'h5'}"
            save_torch(model, saved)
            check_base(base, model, saved, x, expected, folder)
            if base == "torchvision resnet18":
                check_adapted(base, saved, make(num_classes=2).eval(), folder)
                for activation in ACTIVATIONS:
                    flags = ("--head", "mlp:16,8", "--activation", activation, "--epochs", "5")
                    check_adapted(f"{base}, mlp, {activation}", saved, None, folder, flags)
                check_adapted(f"{base}, rows of length 1", saved, None, folder, ("--feature-scaling", "l2"))
                refused(f"{base}, rows of length 1", "torch",
                        finetune("convert", f"{folder}/run/model.h5", f"{folder}/t.safetensors"))
        for base, (make, size) in KERAS.items():
            model, x, expected = keras_network(make, size)
            saved = f"{folder}/base.keras"
            model.save(saved)
            check_base(base, model, saved, x, expected, folder)
            if base == "keras ResNet50":
                check_adapted(base, saved, None, folder)
    print(f"{len(worst)} comparisons, the largest difference {max(worst):.1e} (at most {TOLERANCE:.0e} of the largest value)")
    sys.exit(0 if max(worst) <= TOLERANCE else 1)


main()
