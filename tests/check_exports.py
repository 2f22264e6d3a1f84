#!/usr/bin/env python3
"""Shows that Python opens what `graft export` writes, and computes with it what the run did.

    python tests/check_exports.py RECORD [--torchvision vgg11]

RECORD is a record's directory, or a model file that graft wrote. It is exported to every format, into a
directory that is deleted again (or kept: --keep DIR), and then

    safetensors    holds what the record's model holds,
    neon           is loaded by pickle, and holds the same values in neon's layouts,
    npz            is loaded by numpy without pickle, and holds the same arrays,
    pytorch-names  as .safetensors and as .pt (weights_only=True): load_state_dict(strict=True) takes it
                   in modules made after the model's description, which then compute the confidences,
    --torchvision  the same with the torchvision model of this name,
    onnx           passes onnx's checker, and onnxruntime computes the confidences.

Confidences are compared with the record's outputs.csv, within --tolerance. The raw pixels are read from
--pixels FILE.npy (samples, channels, height, width), in the order of outputs.csv, or with h5py from the
record's test file; where there are none, onnxruntime is compared with PyTorch on random pixels.
Needs only numpy; whatever needs a package that is missing is skipped, which is said. Not part of
`cargo test` but where Python is there: GRAFT_PYTHON, or python3.
"""
import math
import argparse
import csv
import importlib
import json
import os
import pickle
import struct
import subprocess
import sys
import tempfile

FAILED = []
RANDOM_SAMPLES = 20


def say(word, text):
    print("%s: %s" % (word, text), flush=True)
    if word == "FAILED":
        FAILED.append(text)


def package(name):
    """The module, or None, which is said."""
    try:
        return importlib.import_module(name)
    except ImportError:
        say("skipped", "no %s in %s" % (name, os.path.basename(sys.executable)))
        return None


numpy = package("numpy")
if numpy is None:
    sys.exit(0)


def read_safetensors(path):
    """(metadata, arrays by name); bf16 becomes f32."""
    with open(path, "rb") as file:
        content = file.read()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8:8 + length])
    metadata = header.pop("__metadata__", {})
    types = {"F16": "<f2", "F32": "<f4", "F64": "<f8", "I64": "<i8", "BF16": "<u2"}
    arrays = {}
    for name, entry in header.items():
        start, end = entry["data_offsets"]
        raw = content[8 + length + start:8 + length + end]
        array = numpy.frombuffer(raw, types[entry["dtype"]]).reshape(entry["shape"])
        if entry["dtype"] == "BF16":
            array = (array.astype("<u4") << 16).view("<f4")
        arrays[name] = array
    return metadata, arrays


class Network:
    """The model's description of itself: layers, their inputs, what happens to pixels."""

    def __init__(self, metadata):
        self.spec = json.loads(metadata["graft.model"])["network"]
        self.pixels = json.loads(metadata["graft.input"])
        self.layers = self.spec["layers"]
        for index, layer in enumerate(self.layers):
            before = [self.layers[index - 1]["name"]] if index else [None]
            layer["inputs"] = layer.get("inputs") or before
            kind = layer["operation"]
            layer["kind"], layer["settings"] = (kind, {}) if isinstance(kind, str) else next(iter(kind.items()))
        self.by_name = {layer["name"]: layer for layer in self.layers}
        read = [name for layer in self.layers for name in layer["inputs"]]
        for layer in self.layers:
            before = self.by_name.get(layer["inputs"][0])
            layer["biased"] = (layer["kind"] == "bias" and before is not None
                               and before["kind"] in ("convolution", "linear")
                               and read.count(before["name"]) == 1)
            if layer["biased"]:
                before["bias"] = layer["name"]

    def shapes(self, layer):
        return {p["role"]: p["shape"] for p in layer["parameters"]}

    def prepared(self, raw):
        """What the first layer gets of raw pixels (samples, channels, height, width)."""
        def spread(values):
            values = numpy.asarray(values, "f4")
            shape = tuple(self.pixels["shape"])
            return values.reshape(shape if values.size == numpy.prod(shape) else (-1, 1, 1))
        if self.pixels.get("channel_order", "rgb") != "rgb":
            raw = raw[:, ::-1]
        if self.pixels.get("mean"):
            raw = raw - spread(self.pixels["mean"])
        raw = raw * numpy.float32(self.pixels["scale"])
        if self.pixels.get("deviation"):
            raw = raw / spread(self.pixels["deviation"])
        return numpy.ascontiguousarray(raw)


def modules(torch, network):
    """A module tree that has the parameters of the network under PyTorch's names, and by layer."""
    root, by_layer = torch.nn.Module(), {}
    for layer in network.layers:
        shapes, settings = network.shapes(layer), layer["settings"]
        if not shapes or layer["biased"]:
            continue
        if layer["kind"] == "convolution":
            filters, channels, *kernel = shapes["weight"]
            groups = settings.get("groups", 1)
            module = torch.nn.Conv2d(channels * groups, filters, kernel, settings["stride"],
                                     groups=groups, bias="bias" in layer)
        elif layer["kind"] == "linear":
            outputs, inputs = shapes["weight"]
            module = torch.nn.Linear(inputs, outputs, bias="bias" in layer)
        elif layer["kind"] == "batch_norm":
            norm = torch.nn.BatchNorm2d if len(layer["output"]) == 3 else torch.nn.BatchNorm1d
            module = norm(shapes["scale"][0], eps=settings["epsilon"])
        else:
            module = torch.nn.Module()
            module.bias = torch.nn.Parameter(torch.zeros(shapes["bias"]))
        foreign = [n["name"] for n in layer.get("names", []) if n["convention"] == "torchvision"]
        *path, last = (foreign + [layer["name"]])[0].split(".")
        place = root
        for step in path:
            if not hasattr(place, step):
                place.add_module(step, torch.nn.Module())
            place = getattr(place, step)
        place.add_module(last, module)
        by_layer[layer["name"]] = module
    return root, by_layer


def computed(torch, network, by_layer, pixels):
    """Confidences, layer by layer as the description says, by PyTorch's operations."""
    F = torch.nn.functional
    values = {None: torch.from_numpy(network.prepared(pixels))}
    for layer in network.layers:
        inputs = [values[name] for name in layer["inputs"]]
        x, kind, s, module = inputs[0], layer["kind"], layer["settings"], by_layer.get(layer["name"])
        if kind == "convolution":
            padding = s["padding"]
            top, bottom, left, right = padding if isinstance(padding, list) else [padding] * 4
            y = module(F.pad(x, (left, right, top, bottom)))
        elif kind == "linear":
            y = module(x.flatten(1))
        elif kind == "bias":
            y = x if layer["biased"] else x + module.bias.reshape(-1, *[1] * (x.dim() - 2))
        elif kind == "batch_norm":
            y = module(x)
        elif kind == "max_pooling":
            y = F.max_pool2d(x, s["kernel"], s["stride"], s["padding"], ceil_mode=s["ceil"])
        elif kind == "average_pooling":
            y = F.avg_pool2d(x, s["kernel"], s["stride"], s["padding"], ceil_mode=s["ceil"],
                             count_include_pad=False)
        elif kind == "global_average_pooling":
            y = x.mean((2, 3))
        elif kind == "add":
            y = sum(inputs)
        elif kind == "concatenate":
            y = torch.cat(inputs, 1)
        elif kind == "subsample":
            y = F.pad(x[:, :, ::s["stride"], ::s["stride"]], (0, 0, 0, 0, s["before"], s["behind"]))
        elif kind == "dropout":
            y = x * (1 - s["rate"]) if s["scaling"] == "inference" else x
        else:
            y = {"relu": F.relu, "tanh": torch.tanh, "sigmoid": torch.sigmoid,
                 "leaky_relu": lambda x: F.leaky_relu(x, s["slope"]),
                 "limited_relu": lambda x: x.clamp(0, s["limit"]),
                 "elu": lambda x: F.elu(x, s["alpha"]),
                 "softmax": lambda x: torch.softmax(x.flatten(1), 1)}[kind](x)
        assert list(y.shape[1:]) == layer["output"] or kind == "softmax", (layer["name"], y.shape)
        values[layer["name"]] = y
    return y.numpy()


class Check:
    """One model, its exports and what they should give."""

    def __init__(self, arguments, directory):
        self.arguments, self.directory = arguments, directory
        record = arguments.record
        self.model = os.path.join(record, "model.safetensors") if os.path.isdir(record) else record
        metadata, arrays = read_safetensors(self.model)
        self.network = Network(metadata)
        self.arrays = {n: a for n, a in arrays.items() if not n.startswith("optimizer.")}
        self.pixels = self.read_pixels()
        self.expected = self.read_outputs() if self.pixels is not None else None
        if self.pixels is None:
            say("skipped", "no pixels of the test data: random ones are used, and no outputs.csv")
            shape = (RANDOM_SAMPLES, *self.network.spec["input"])
            self.pixels = numpy.random.RandomState(1).randint(0, 256, shape).astype("f4")

    def read_outputs(self):
        path = os.path.join(self.arguments.record, "outputs.csv")
        if not os.path.exists(path):
            return None
        with open(path) as file:
            rows = list(csv.reader(file))[1:][:len(self.pixels)]
        return numpy.array([[float(value) for value in row[3:]] for row in rows])

    def read_pixels(self):
        if self.arguments.pixels:
            return numpy.load(self.arguments.pixels).astype("f4")
        path = os.path.join(self.arguments.record, "record.json")
        if not os.path.exists(path):
            return None
        with open(path) as file:
            test = json.load(file)["data"]["test"]["path"]
        h5py = package("h5py")
        if h5py is None or not os.path.exists(test):
            return None
        with h5py.File(test) as file:
            rows = file["input"][:self.arguments.samples]
        if rows.shape[1] != math.prod(self.network.spec["input"]):
            say("skipped", "outputs: graft resizes the images; give them resized with --pixels")
            return None
        return rows.reshape(-1, *self.network.spec["input"]).astype("f4")

    def export(self, name, to):
        """The path of the file, or None if graft has refused, which is said."""
        path = os.path.join(self.directory, name)
        command = [self.arguments.graft, "export", self.arguments.record, "--to", to, "--out", path, "--force"]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if done.returncode == 0:
            return path
        word = "skipped" if to == "neon" and "neon" in done.stderr else "FAILED"
        say(word, "%s: %s" % (to, done.stderr.strip()))
        return None

    def same_arrays(self, what, found, wanted):
        for name in sorted(set(found) | set(wanted)):
            if name not in found or name not in wanted:
                return say("FAILED", "%s: %s is on one side only" % (what, name))
            if found[name].shape != wanted[name].shape or not (found[name] == wanted[name]).all():
                return say("FAILED", "%s: %s is different" % (what, name))
        say("ok", "%s: %d arrays are the model's" % (what, len(wanted)))

    def same_confidences(self, what, found, wanted, of_whom):
        worst = abs(found - wanted).max()
        good = found.shape == wanted.shape and worst <= self.arguments.tolerance
        text = "%s: %d samples differ from %s by at most %.2g" % (what, len(wanted), of_whom, worst)
        say("ok" if good else "FAILED", text)

    def safetensors(self):
        path = self.export("model.safetensors", "safetensors")
        if path:
            found = {n: a for n, a in read_safetensors(path)[1].items() if not n.startswith("optimizer.")}
            self.same_arrays("safetensors", found, self.arrays)

    def npz(self):
        path = self.export("model.npz", "npz")
        if path:
            with numpy.load(path, allow_pickle=False) as file:
                found = {name: file[name] for name in file.files}
            about = json.loads(str(found.pop("__graft__")))
            assert len(about["network"]["layers"]) == len(self.network.layers)
            self.same_arrays("npz", found, self.arrays)

    def neon(self):
        path = self.export("model.prm", "neon")
        if not path:
            return
        with open(path, "rb") as file:
            model = pickle.load(file, encoding="latin1")
        roles = {"scale": "gamma", "shift": "beta", "mean": "gmean", "variance": "gvar"}
        found, wanted = {}, {}
        for layer in model["model"]["config"]["layers"]:
            for role, array in layer.get("params", {}).items():
                found[layer["config"]["name"] + "." + role] = array
        for name, array in self.arrays.items():
            layer, role = name.rsplit(".", 1)
            if array.ndim != 2:
                # Convolutions as (channels, rows, columns; filters), all else as columns.
                array = array.reshape(array.shape[0], -1)
                array = array.T if role == "weight" else array
            wanted[layer + "." + roles.get(role, "W")] = array
        self.same_arrays("neon", found, wanted)

    def pytorch(self):
        """Confidences by PyTorch, or None."""
        archive = self.export("model.pt", "pytorch-names")
        path = self.export("model.pytorch.safetensors", "pytorch-names")
        torch = package("torch")
        if torch is None or not archive or not path:
            return None
        states = {"archive": torch.load(archive, weights_only=True)}
        try:
            states["safetensors"] = importlib.import_module("safetensors.torch").load_file(path)
        except ImportError:
            say("skipped", "no safetensors in Python: the file is read by hand")
            arrays = read_safetensors(path)[1]
            states["safetensors"] = {n: torch.tensor(a.copy()) for n, a in arrays.items()}
        for form, state in states.items():
            root, by_layer = modules(torch, self.network)
            root.load_state_dict(state, strict=True)
            root.eval()
            with torch.no_grad():
                found = computed(torch, self.network, by_layer, self.pixels)
            what = "pytorch-names (%s), load_state_dict(strict=True)" % form
            if self.expected is not None:
                self.same_confidences(what, found, self.expected, "outputs.csv")
            else:
                say("ok", what)
        if self.arguments.torchvision:
            self.torchvision(torch, states["archive"])
        return found

    def torchvision(self, torch, state):
        name, torchvision = self.arguments.torchvision, package("torchvision")
        if torchvision is None:
            return
        classes = self.network.layers[-1]["output"][0]
        settings = {"init_weights": False} if name.startswith(("vgg", "googlenet")) else {}
        model = getattr(torchvision.models, name)(num_classes=classes, **settings)
        model.load_state_dict(state, strict=True)
        model.eval()
        pixels = torch.from_numpy(self.network.prepared(self.pixels))
        with torch.no_grad():
            logits = torch.cat([model(batch) for batch in pixels.split(20)])
        what = "torchvision's %s, load_state_dict(strict=True)" % name
        if self.expected is None:
            return say("ok", what)
        self.same_confidences(what, torch.softmax(logits, 1).numpy(), self.expected, "outputs.csv")

    def onnx(self, by_pytorch):
        path = self.export("model.onnx", "onnx")
        if not path:
            return
        onnx = package("onnx")
        if onnx:
            onnx.checker.check_model(path, full_check=True)
            say("ok", "onnx: the checker finds nothing")
        runtime = package("onnxruntime")
        if runtime is None:
            return
        session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
        # In batches of several sizes: the graph must not depend on it.
        batches = numpy.split(self.pixels, [1, min(20, len(self.pixels))])
        found = [session.run(["confidences"], {"pixels": batch})[0] for batch in batches if len(batch)]
        found = numpy.concatenate(found)
        if self.expected is not None:
            self.same_confidences("onnx", found, self.expected, "outputs.csv")
        if by_pytorch is not None:
            self.same_confidences("onnx", found, by_pytorch, "PyTorch")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("record", metavar="RECORD")
    parser.add_argument("--graft", default="graft", help="the program, by default the one on PATH")
    parser.add_argument("--pixels", metavar="FILE.npy")
    parser.add_argument("--samples", type=int, default=200, help="that are read from the test file")
    parser.add_argument("--torchvision", metavar="NAME")
    parser.add_argument("--tolerance", type=float, default=1e-5)
    parser.add_argument("--keep", metavar="DIR")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        check = Check(arguments, arguments.keep or temporary)
        check.safetensors()
        check.npz()
        check.neon()
        check.onnx(check.pytorch())
    return 1 if FAILED else 0


if __name__ == "__main__":
    sys.exit(main())
