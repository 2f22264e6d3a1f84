"""Holds what graft makes of other tools' models against PyTorch.

    python tests/check_source_models.py --graft target/release/graft --photos data/hymenoptera/test.h5 \
        [--models models] [--samples 24] [--only NAME]

1. For every architecture that torchvision has: a model of random weights and statistics, saved by
   torch.save; its logits for the photographs, and those of graft, which reads the file and names
   nothing else (`graft features`).
2. VGG-16 once more, its weights written in Keras' names and layouts, which turns the inputs of fc6.
3. With --models, the directory of three published files: SqueezeNet 1.1 of Keras, MobileNet v1 0.25 as
   npz, ResNet-20 as a legacy .th: their last features, against the implementations below, which are
   written from the papers on PyTorch's functions and share nothing with graft.

Prints the largest relative deviation of a photograph's values, |graft - PyTorch| / |PyTorch| (2-norms),
and fails above 1e-4. Needs torch, torchvision, numpy and h5py.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import h5py
import numpy as np
import torch
import torch.nn.functional as F
import torchvision

LARGEST = 1e-4
LOGITS = {"squeezenet1_0": "pool10", "squeezenet1_1": "pool10"}
TORCHVISION = (
    ["vgg11", "vgg13", "vgg16", "vgg19", "vgg11_bn", "vgg13_bn", "vgg16_bn", "vgg19_bn", "alexnet"]
    + ["resnet18", "resnet34", "resnet50", "squeezenet1_0", "squeezenet1_1", "mobilenet_v2"]
)
CLASSIFIER = {"alexnet": "fc8", "resnet": "fc", "squeezenet": "conv10", "mobilenet": "fc", "vgg": "fc8"}


def of_family(table, architecture):
    return next(value for family, value in table.items() if architecture.startswith(family))


class Bench:
    """A directory of experiments on some photographs."""

    def __init__(self, graft, photos, samples, directory):
        self.graft, self.directory = Path(graft).resolve(), Path(directory)
        with h5py.File(photos) as file:
            shape = [int(size) for size in file["input"].attrs["lshape"]]
            pixels, labels = file["input"][:samples], file["output"][:samples]
        self.pixels = torch.tensor(pixels.reshape(-1, *shape)).float()
        self.write("photos.h5", pixels, labels, shape)
        small = F.interpolate(self.pixels, 32, mode="area").round()
        self.small = small
        self.write("small.h5", small.numpy().astype("uint8").reshape(len(labels), -1), labels, [3, 32, 32])

    def write(self, name, pixels, labels, shape):
        with h5py.File(self.directory / name, "w") as file:
            file["input"], file["output"] = pixels, labels
            file["input"].attrs["lshape"] = shape
            file["output"].attrs["nclass"] = 2

    def features(self, model, source, layer, data="photos.h5", more=""):
        """What graft's layer gives, with `model` as [model] and `source` as the source model."""
        text = f"""
            backend = "cpu"
            batch_size = 8
            source_model = "{source}"
            learning_rate_multiplier = 0.5
            [data]
            train = "{data}"
            test = "{data}"
            [model]
            {model}
            {more}
        """
        (self.directory / "e.toml").write_text(text)
        out = self.directory / "features.npz"
        command = [self.graft, "features", "e.toml", "--layer", layer, "--out", out, "--force"]
        done = subprocess.run(command, cwd=self.directory, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"graft features: {done.stderr}")
        return np.load(out)["features"]


def randomized(architecture):
    """A model of two classes whose batch norms have statistics, too."""
    torch.manual_seed(2018)
    model = getattr(torchvision.models, architecture)(num_classes=2).eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, 0, 0.1)
            torch.nn.init.normal_(module.running_mean, 0, 0.1)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
        elif isinstance(module, (torch.nn.Conv2d, torch.nn.Linear)) and module.bias is not None:
            torch.nn.init.normal_(module.bias, 0, 0.1)
    return model


def as_torchvision(pixels):
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    return (pixels / 255 - mean.view(1, 3, 1, 1)) / deviation.view(1, 3, 1, 1)


def model_table(architecture):
    lines = [f'architecture = "{architecture}"', f'classifier = "{of_family(CLASSIFIER, architecture)}"']
    if architecture.startswith(("vgg", "alexnet")):
        lines.append('head_names = ["fc6", "fc7"]')
    return "\n".join(lines)


def logits_layer(architecture):
    return LOGITS.get(architecture) or of_family(CLASSIFIER, architecture) + "_bias"


def torchvision_model(bench, architecture):
    model = randomized(architecture)
    torch.save(model.state_dict(), bench.directory / "model.pth")
    ours = bench.features(model_table(architecture), "model.pth", logits_layer(architecture))
    with torch.no_grad():
        theirs = model(as_torchvision(bench.pixels))
    return ours, theirs.numpy()


def keras_vgg16(bench):
    """torchvision's weights under Keras' names and in its layouts; the same pixels on both sides."""
    model = randomized("vgg16")
    names = [f"block{b}_conv{c}" for b, n in enumerate([2, 2, 3, 3, 3], 1) for c in range(1, n + 1)]
    convolutions = [module for module in model.features if isinstance(module, torch.nn.Conv2d)]
    linears = [module for module in model.classifier if isinstance(module, torch.nn.Linear)]
    with h5py.File(bench.directory / "vgg16.h5", "w") as file:
        for name, module in zip(names, convolutions):
            file[f"{name}/{name}/kernel:0"] = module.weight.detach().permute(2, 3, 1, 0).numpy()
            file[f"{name}/{name}/bias:0"] = module.bias.detach().numpy()
        for name, module in zip(["fc1", "fc2", "predictions"], linears):
            weight = module.weight.detach()
            if name == "fc1":
                # Keras flattens (rows, columns, channels).
                weight = weight.view(4096, 512, 7, 7).permute(0, 2, 3, 1).reshape(4096, -1)
            file[f"{name}/{name}/kernel:0"] = weight.T.contiguous().numpy()
            file[f"{name}/{name}/bias:0"] = module.bias.detach().numpy()
    more = '[preprocessing]\npreset = "torchvision"'
    ours = bench.features(model_table("vgg16"), "vgg16.h5", "fc8_bias", more=more)
    with torch.no_grad():
        theirs = model(as_torchvision(bench.pixels))
    return ours, theirs.numpy()


def tensor(array):
    return torch.tensor(np.asarray(array))


def squeezenet(bench, models):
    """Iandola et al. 2016, version 1.1, without padding but in the 3x3 expansions, as Keras has it."""
    path = models / "squeezenet_weights_tf_dim_ordering_tf_kernels_notop.h5"
    weights = {}

    def collect(name, node):
        if isinstance(node, h5py.Dataset):
            steps = name.split("/")
            layer = "/".join(steps[:2]) if steps[0].startswith("fire") else steps[0]
            weights.setdefault(layer, {})[node.ndim] = tensor(node[()])

    with h5py.File(path) as file:
        file.visititems(collect)

    def convolution(x, name, **options):
        kernel, bias = weights[name][4].permute(3, 2, 0, 1), weights[name][1]
        return F.relu(F.conv2d(x, kernel, bias, **options))

    def fire(x, number):
        x = convolution(x, f"fire{number}/squeeze1x1")
        parts = [convolution(x, f"fire{number}/expand1x1")]
        parts.append(convolution(x, f"fire{number}/expand3x3", padding=1))
        return torch.cat(parts, 1)

    x = bench.pixels.flip(1) - torch.tensor([103.939, 116.779, 123.68]).view(1, 3, 1, 1)
    x = F.max_pool2d(convolution(x, "conv1", stride=2), 3, 2)
    x = F.max_pool2d(fire(fire(x, 2), 3), 3, 2)
    x = F.max_pool2d(fire(fire(x, 4), 5), 3, 2)
    for number in [6, 7, 8, 9]:
        x = fire(x, number)
    model = 'architecture = "squeezenet1_1"\nclassifier = "new"'
    return bench.features(model, path.resolve(), "fire9_concat"), x.numpy()


def mobilenet(bench, models):
    """Howard et al. 2017; TensorFlow pads an even image by one row and column behind it at stride 2."""
    path = models / "mobilenet_v1_0.25_224.npz"
    weights = np.load(path)

    def norm(x, name):
        of = lambda part: tensor(weights[f"{name}.{part}"])
        x = F.batch_norm(x, of("moving_mean"), of("moving_variance"), of("gamma"), of("beta"), eps=1e-3)
        return F.relu6(x)

    def padded(x, stride):
        return F.pad(x, (0, 1, 0, 1) if stride == 2 else (1, 1, 1, 1))

    x = bench.pixels / 127.5 - 1
    kernel = tensor(weights["conv1.kernel"]).permute(3, 2, 0, 1)
    x = norm(F.conv2d(padded(x, 2), kernel, stride=2), "conv1_bn")
    for number in range(1, 14):
        stride = 2 if number in (2, 4, 6, 12) else 1
        kernel = tensor(weights[f"conv_dw_{number}.depthwise_kernel"]).permute(2, 3, 0, 1)
        x = F.conv2d(padded(x, stride), kernel, stride=stride, groups=x.shape[1])
        x = norm(x, f"conv_dw_{number}_bn")
        kernel = tensor(weights[f"conv_pw_{number}.kernel"]).permute(3, 2, 0, 1)
        x = norm(F.conv2d(x, kernel), f"conv_pw_{number}_bn")
    model = 'architecture = "mobilenet_v1"\nwidth = 0.25\nclassifier = "new"'
    return bench.features(model, path.resolve(), "conv_pw_13_relu"), x.numpy()


def resnet20(bench, models):
    """He et al. 2016, section 4.2, with shortcuts of option A: all up to the logits of ten classes."""
    path = models / "resnet20-12fca82f.th"
    state = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
    state = {name.removeprefix("module."): values for name, values in state.items()}

    def norm(x, name):
        of = lambda part: state[f"{name}.{part}"]
        return F.batch_norm(x, of("running_mean"), of("running_var"), of("weight"), of("bias"))

    x = as_torchvision(bench.small)
    x = F.relu(norm(F.conv2d(x, state["conv1.weight"], padding=1), "bn1"))
    for layer in [1, 2, 3]:
        for block in [0, 1, 2]:
            name = f"layer{layer}.{block}"
            stride = 2 if layer > 1 and block == 0 else 1
            y = F.conv2d(x, state[f"{name}.conv1.weight"], padding=1, stride=stride)
            y = F.relu(norm(y, f"{name}.bn1"))
            y = norm(F.conv2d(y, state[f"{name}.conv2.weight"], padding=1), f"{name}.bn2")
            if stride == 2:
                more = y.shape[1] // 4
                x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, more, more))
            x = F.relu(x + y)
    model = 'architecture = "resnet20"\nclassifier = "new"'
    return bench.features(model, path.resolve(), "layer3_2_relu", data="small.h5"), x.numpy()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--graft", default="target/release/graft")
    parser.add_argument("--photos", required=True)
    parser.add_argument("--models", type=Path)
    parser.add_argument("--samples", type=int, default=24)
    parser.add_argument("--only", help="one of the names that are printed")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        bench = Bench(arguments.graft, arguments.photos, arguments.samples, directory)
        cases = {name: lambda name=name: torchvision_model(bench, name) for name in TORCHVISION}
        cases["vgg16 in Keras' layout"] = lambda: keras_vgg16(bench)
        if arguments.models:
            cases["SqueezeNet 1.1 of Keras"] = lambda: squeezenet(bench, arguments.models)
            cases["MobileNet v1 0.25, npz"] = lambda: mobilenet(bench, arguments.models)
            cases["ResNet-20, legacy .th"] = lambda: resnet20(bench, arguments.models)
        failed = False
        print(f"{'model':26} {'values a photograph':>20} {'largest deviation':>18}")
        for name, case in cases.items():
            if arguments.only not in (None, name):
                continue
            ours, theirs = case()
            ours, theirs = ours.reshape(len(ours), -1), theirs.reshape(len(theirs), -1)
            deviation = np.linalg.norm(ours - theirs, axis=1) / np.linalg.norm(theirs, axis=1)
            failed |= not deviation.max() <= LARGEST
            print(f"{name:26} {theirs.shape[1]:>20} {deviation.max():>18.1e}", flush=True)
    sys.exit(f"above {LARGEST}" if failed else 0)


if __name__ == "__main__":
    main()
