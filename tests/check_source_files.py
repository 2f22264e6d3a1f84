"""What graft makes of ten published model files: the table in docs/models.md.

    python tests/check_source_files.py --graft target/release/graft --models models

For each file: the format and the origin that `graft inspect` tells, and what `graft plan` would import
into an architecture or, where the file is of none, into a network that is declared below. Trains
nothing. Needs numpy and h5py.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import h5py
import numpy as np


def convolution(name, channels, kernel=3, more=""):
    return f'{{ name = "{name}", type = "convolution", channels = {channels}, kernel = {kernel}, bias = true{more} }},'


def layer(name, kind, more=""):
    return f'{{ name = "{name}", type = "{kind}"{more} }},'


def declared(*layers):
    return "layers = [\n" + "\n".join(layers) + '\n{ name = "softmax", type = "softmax" }]'


MNIST = declared(
    convolution("conv1", 8), convolution("conv2", 16), convolution("conv3", 24),
    layer("norm1", "batch_norm"), layer("relu1", "relu"),
    layer("fc1", "linear", ", features = 32, bias = true"), layer("relu2", "relu"),
    layer("fc2", "linear", ", bias = true"), layer("norm2", "batch_norm"),
)  # fmt: skip
OPT_MNIST = declared(
    convolution("Convolution28", 8, 5, ', padding = "same"'), layer("relu1", "relu"),
    layer("pool1", "max_pooling", ", kernel = 2"),
    convolution("Convolution110", 16, 5, ', padding = "same"'), layer("relu2", "relu"),
    layer("pool2", "max_pooling", ", kernel = 3"),
    layer("Plus214_Output_0", "linear", ", bias = true"),
)  # fmt: skip
PNET = declared(
    convolution("conv1", 10), layer("relu1", "relu"), layer("pool1", "max_pooling", ", kernel = 2"),
    convolution("conv2", 16), layer("relu2", "relu"), convolution("conv3", 32), layer("relu3", "relu"),
    convolution("conv4_1", 2, 1), layer("pool4", "global_average_pooling"),
)  # fmt: skip
YUNET = declared(
    convolution("backbone_model0_conv1", 16, 3, ", stride = 2, padding = 1"),
    layer("backbone_model0_bn1", "batch_norm"), layer("relu1", "relu"),
    convolution("backbone_model0_conv2_conv1", 16, 1),
    convolution("backbone_model0_conv2_conv2", 16, 3, ", padding = 1, groups = 16"),
    layer("backbone_model0_conv2_bn", "batch_norm"), layer("relu2", "relu"),
    layer("pool", "global_average_pooling"), layer("new", "linear", ", bias = true"),
)  # fmt: skip
XCEPTION = declared(
    layer("conv2d_1", "convolution", ", channels = 8, kernel = 3"),
    layer("batch_normalization_1", "batch_norm", ", epsilon = 1e-3"), layer("relu1", "relu"),
    layer("conv2d_2", "convolution", ", channels = 8, kernel = 3"),
    layer("batch_normalization_2", "batch_norm", ", epsilon = 1e-3"), layer("relu2", "relu"),
    layer("pool", "global_average_pooling"), layer("new", "linear", ", bias = true"),
)  # fmt: skip


def keras_resnet():
    """Three stages of one block, as keras.io's example of that time has them: biases, projections."""
    same = ', padding = "same"'

    def norm(number):
        name = "batch_normalization" + (f"_{number}" if number else "")
        return layer(name, "batch_norm", ", epsilon = 1e-3")

    layers = [convolution("conv2d", 16, 3, same), norm(0), layer("relu0", "relu")]
    convolutions, norms, before = iter(range(1, 9)), iter(range(1, 7)), "relu0"
    for stage, channels in enumerate([16, 32, 64], 1):
        stride = ", stride = 2" if stage > 1 else ""
        layers += [convolution(f"conv2d_{next(convolutions)}", channels, 3, same + stride)]
        layers += [norm(next(norms)), layer(f"relu{stage}a", "relu")]
        layers += [convolution(f"conv2d_{next(convolutions)}", channels, 3, same), norm(number := next(norms))]
        shortcut = before
        if stage > 1:
            name = f"conv2d_{next(convolutions)}"
            layers += [convolution(name, channels, 1, f'{same}{stride}, from = "{before}"')]
            shortcut = f"{name}_bias"
        add = f', from = "batch_normalization_{number}", with = ["{shortcut}"]'
        layers += [layer(f"add{stage}", "add", add), layer(f"relu{stage}", "relu")]
        before = f"relu{stage}"
    return declared(*layers, layer("pool", "global_average_pooling"), layer("dense", "linear", ", bias = true"))


# File: what it is imported into, in words and as [model]; shape of a sample, classes.
CASES = {
    "squeezenet_weights_tf_dim_ordering_tf_kernels_notop.h5": (
        "squeezenet1_1, new classifier", 'architecture = "squeezenet1_1"', [3, 224, 224], 2),
    "mobilenet_v1_0.25_224.npz": (
        "mobilenet_v1, its classifier", 'architecture = "mobilenet_v1"\nwidth = 0.25\nclassifier = "conv_preds"',
        [3, 224, 224], 1000),
    "resnet20-12fca82f.th": (
        "resnet20, its classifier", 'architecture = "resnet20"\nclassifier = "linear"', [3, 32, 32], 10),
    "mnist.pt": ("a declared network", MNIST, [1, 28, 28], 10),
    "mnist.safetensors": ("a declared network", MNIST, [1, 28, 28], 10),
    "opt-mnist.onnx": ("a declared network", OPT_MNIST, [1, 28, 28], 10),
    "pretrainedResnet.h5": ("a declared network", keras_resnet(), [3, 32, 32], 10),
    "pnet.pt": ("a declared network, ReLU for PReLU", PNET, [3, 12, 12], 2),
    "yunet_n.pth": ("a declared network of its first layers", YUNET, [3, 64, 64], 2),
    "gender_mini_XCEPTION.21-0.95.hdf5": ("a declared network of its first layers", XCEPTION, [1, 64, 64], 2),
}  # fmt: skip


def run(*command, cwd=None):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, cwd=cwd)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: {done.stderr}{done.stdout}")
    return done.stdout


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--graft", type=Path, default="target/release/graft")
    parser.add_argument("--models", type=Path, default="models")
    arguments = parser.parse_args()
    graft = arguments.graft.resolve()
    print("| file | format | recognized as | layers | imported into | tensors | parameters | multiply-adds |")
    print("|---|---|---|---:|---|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as directory:
        directory = Path(directory)
        for name, (into, model, shape, classes) in CASES.items():
            file = (arguments.models / name).resolve()
            facts = {row["fact"]: row["value"] for row in json.loads(run(graft, "inspect", file, "--format", "json"))["facts"]}
            with h5py.File(directory / "data.h5", "w") as data:
                data["input"] = np.zeros((4, int(np.prod(shape))), "uint8")
                data["output"] = np.arange(4).reshape(-1, 1) % classes
                data["input"].attrs["lshape"], data["output"].attrs["nclass"] = shape, classes
            text = f'source_model = "{file}"\nlearning_rate_multiplier = 0.1\n'
            text += f'[data]\ntrain = "data.h5"\ntest = "data.h5"\n[model]\n{model}\n'
            text += '[preprocessing]\npreset = "none"\n' if "architecture" not in model else ""
            (directory / "e.toml").write_text(text)
            plan = run(graft, "plan", "e.toml", cwd=directory)
            found = re.search(r"(\d+ of \d+) tensors \(.*?, ([\d.]+ %); ([\d.]+ %) of the multiply-adds\)", plan)
            tensors, parameters, work = found.groups()
            origin = facts["origin"].split(" (")[0]
            origin = "–" if origin.startswith("no ") else origin
            print(f"| {name} | {facts['format']} | {origin} | {facts['layers']} | {into} | {tensors} | {parameters} | {work} |")


if __name__ == "__main__":
    main()
