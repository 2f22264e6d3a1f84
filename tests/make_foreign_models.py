"""Writes the small models in tests/data/foreign/: one network in every format that graft reads.

    python tests/make_foreign_models.py [DIRECTORY]

Needs torch, numpy, h5py and onnx. Values are multiples of 1/8, which every precision holds exactly:
element i of tensor t of the network is ((7 i + 3 t) mod 31 - 15) / 8. tests/graft and src/source
compute the same. Writing twice gives the same models.
"""

import collections
import io
import json
import os
import struct
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper


def values(tensor, shape, dtype=np.float32):
    count = int(np.prod(shape))
    flat = ((7 * np.arange(count) + 3 * tensor) % 31 - 15) / 8
    return flat.reshape(shape).astype(dtype)


# A convolution with batch normalization and a linear layer, as PyTorch calls and lays them out.
NETWORK = [
    ("features.0.weight", (4, 3, 3, 3)),
    ("features.0.bias", (4,)),
    ("features.1.weight", (4,)),
    ("features.1.bias", (4,)),
    ("features.1.running_mean", (4,)),
    ("features.1.running_var", (4,)),
    ("classifier.weight", (2, 16)),
    ("classifier.bias", (2,)),
]


def state_dict(dtype=torch.float32):
    state = collections.OrderedDict()
    for index, (name, shape) in enumerate(NETWORK):
        state[name] = torch.from_numpy(values(index, shape)).to(dtype)
        if name.endswith("running_var"):
            state["features.1.num_batches_tracked"] = torch.tensor(7)
    return state


class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.features = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
        self.classifier = torch.nn.Linear(16, 2)
        self.load_state_dict(state_dict())

    def forward(self, x):
        return self.classifier(self.features(x).flatten(1))


def pytorch(directory):
    def save(name, value, **arguments):
        torch.save(value, directory / name, **arguments)

    save("flat.pt", state_dict())
    for dtype in ["float64", "float16", "bfloat16"]:
        save(f"{dtype}.pt", state_dict(getattr(torch, dtype)))
    parallel = collections.OrderedDict((f"module.{k}", v) for k, v in state_dict().items())
    optimizer = {"state": {0: {"momentum_buffer": torch.ones(4, 3, 3, 3)}}, "param_groups": [{"lr": 0.1, "params": [0]}]}
    checkpoint = {
        "epoch": 12,
        "best_acc1": torch.tensor(76.5),
        "best_loss": np.float64(0.25),
        "meta": {"CLASSES": ("cat", "dog"), "config": "optimizer = dict(\n  type='SGD')", "seed": 0},
        "optimizer": optimizer,
        "state_dict": parallel,
    }
    save("nested.pth", checkpoint)
    save("nested_legacy.th", checkpoint, _use_new_zipfile_serialization=False)
    save("flat_legacy.bin", state_dict(), _use_new_zipfile_serialization=False)
    save("module.pt", Network())
    save("only_one.pt", {"generator": state_dict(), "lr": 0.1})
    save("two.pt", {"generator": state_dict(), "discriminator": state_dict()})
    save("no_weights.pt", {"optimizer": optimizer, "epoch": 3})
    base = torch.from_numpy(values(0, (6, 8)))
    views = {
        "view.transposed": base.t(),
        "view.part": base[1:5, 2:7:2],
        "view.column": base[:, 3],
        "view.repeated": base[2, :3].expand(2, 3),
        "view.whole": base,
        "view.parameter": torch.nn.Parameter(base[0]),
        "view.integers": torch.arange(5),
        "view.flags": torch.tensor([True, False]),
        "view.empty": torch.zeros(0, 3),
    }
    save("views.pt", views)
    save("views_legacy.pt", views, _use_new_zipfile_serialization=False)
    # Big-endian: the storages' bytes turned around.
    with zipfile.ZipFile(directory / "flat.pt") as flat, zipfile.ZipFile(directory / "big_endian.pt", "w") as big:
        for entry in flat.infolist():
            content = flat.read(entry)
            if entry.filename.endswith("byteorder"):
                content = b"big"
            elif "/data/" in entry.filename:
                size = 8 if len(content) == 8 and content[0] == 7 else 4
                content = np.frombuffer(content, f"<u{size}").byteswap().tobytes()
            # As some archivers do that pack it again.
            big.writestr(entry.filename, content, zipfile.ZIP_DEFLATED)


def npz(directory):
    arrays = {
        "conv1.kernel": values(0, (3, 3, 3, 4)),
        "conv1_bn.gamma": values(2, (4,)),
        "conv1_bn.beta": values(3, (4,)),
        "conv1_bn.moving_mean": values(4, (4,)),
        "conv1_bn.moving_variance": values(5, (4,)),
        "fc.kernel": np.asfortranarray(values(6, (16, 2))),
        "fc.bias": values(7, (2,)).astype(">f8"),
        "fc.half": values(8, (3,)).astype("<f2"),
        "step": np.int64(7),
    }
    np.savez(directory / "stored.npz", **arrays)
    np.savez_compressed(directory / "deflated.npz", **arrays)
    with zipfile.ZipFile(directory / "versions.npz", "w") as archive:
        for version in [1, 2, 3]:
            content = io.BytesIO()
            np.lib.format.write_array(content, values(version, (5,)), version=(version, 0))
            archive.writestr(f"v{version}.weight.npy", content.getvalue())
    np.savez(directory / "objects.npz", **{"a.weight": np.array([{}], dtype=object)})


def keras(directory):
    kernel, bias = values(0, (3, 3, 3, 4)), values(1, (4,))
    norm = [("gamma", 2), ("beta", 3), ("moving_mean", 4), ("moving_variance", 5)]
    depthwise = values(8, (3, 3, 4, 1))
    dense, dense_bias = values(6, (16, 2)), values(7, (2,))

    def layered(group):
        for layer, weights in [
            ("conv2d", [("kernel", kernel), ("bias", bias)]),
            ("batch_normalization", [(name, values(t, (4,))) for name, t in norm]),
            ("depthwise_conv2d", [("depthwise_kernel", depthwise)]),
            ("block/dense", [("kernel", dense), ("bias", dense_bias)]),
        ]:
            inner = group.create_group(layer)
            inner.attrs["weight_names"] = [f"{layer}/{name}:0".encode() for name, _ in weights]
            for name, value in weights:
                inner[f"{layer}/{name}:0"] = value
        group.create_group("activation")

    with h5py.File(directory / "keras2_whole.h5", "w") as file:
        file.attrs["backend"], file.attrs["keras_version"] = "tensorflow", "2.4.0"
        layered(file.create_group("model_weights"))
        file["optimizer_weights/Adam/iter:0"] = np.int64(3)
        file["optimizer_weights/Adam/conv2d/kernel/m:0"] = kernel
    with h5py.File(directory / "keras2_weights.h5", "w") as file:
        file.attrs["layer_names"] = [b"conv2d", b"batch_normalization"]
        file.attrs["backend"], file.attrs["keras_version"] = np.bytes_("tensorflow"), np.bytes_("2.4.0")
        layered(file)
    with h5py.File(directory / "keras1.h5", "w") as file:
        file["conv1/conv1_b"], file["conv1/uniform1"] = bias, kernel
        file["block/dense/uniform2"], file["block/dense/block/dense_b"] = dense, dense_bias
        for name, tensor in [("gamma", 2), ("beta", 3), ("running_mean", 4), ("running_std", 5)]:
            file[f"bn/bn_{name}"] = values(tensor, (4,))
    with h5py.File(directory / "keras3.weights.h5", "w") as file:
        file["layers/conv2d/vars/0"], file["layers/conv2d/vars/1"] = kernel, bias
        for index, (_, tensor) in enumerate(norm):
            file[f"layers/batch_normalization/vars/{index}"] = values(tensor, (4,))
        file["layers/depthwise_conv2d/vars/0"] = depthwise
        file.create_dataset("layers/dense/vars/0", data=dense.astype("f8"), compression="gzip", chunks=(4, 2))
        file["layers/dense/vars/1"] = dense_bias.astype("f2")
        file["layers/dropout/seed_generator/vars/0"] = np.array([1, 2], "u4")
        file["optimizer/vars/0"] = np.int64(3)
    with h5py.File(directory / "circles.h5", "w") as file:
        layered(file)
        file["conv2d/again"] = file["/"]
        file["soft"] = h5py.SoftLink("/soft")
        file["external"] = h5py.ExternalLink("no_such_file.h5", "/")
    with h5py.File(directory / "no_weights.h5", "w") as file:
        file["readings"] = np.zeros(3)


def onnx_graph(nodes, initializers, name, **more):
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 4, 4])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, name, [x], [y], initializers, **more)
    return helper.make_model(graph, producer_name="made by hand", ir_version=8, opset_imports=[helper.make_opsetid("", 13)])


def onnx_models(directory):
    def raw(name, tensor, shape, dtype=np.float32):
        return numpy_helper.from_array(values(tensor, shape, dtype), name)

    telling = [raw(name, index, shape) for index, (name, shape) in enumerate(NETWORK)]
    n = [name for name, _ in NETWORK]
    nodes = [
        helper.make_node("Conv", ["x", n[0], n[1]], ["c"], name="/features/0/Conv"),
        helper.make_node("BatchNormalization", ["c", *n[2:6]], ["b"]),
        helper.make_node("Flatten", ["b"], ["f"]),
        helper.make_node("Gemm", ["f", n[6], n[7]], ["y"], transB=1),
    ]
    onnx.save(onnx_graph(nodes, telling, "telling"), directory / "telling.onnx")
    # Names that say nothing; typed fields instead of raw data; a bias that is added; a weight that is a
    # Constant; one that two nodes share through Identity; what is no weight.
    w = values(6, (16, 2))
    typed = [
        helper.make_tensor("p0", TensorProto.FLOAT, (4, 3, 3, 3), values(0, (4, 3, 3, 3)).ravel()),
        helper.make_tensor("p1", TensorProto.DOUBLE, (4, 1, 1), values(1, (4, 1, 1)).ravel()),
        helper.make_tensor("p2", TensorProto.FLOAT16, (4,), values(2, (4,), np.float16)),
        helper.make_tensor("shape", TensorProto.INT64, (2,), [1, 16]),
        helper.make_tensor("p7", TensorProto.FLOAT, (1, 2), values(7, (1, 2)).ravel()),
        helper.make_tensor("two", TensorProto.FLOAT, (), [2.0]),
    ]
    nodes = [
        helper.make_node("Conv", ["x", "p0"], ["c"], name="conv"),
        helper.make_node("Add", ["c", "p1"], ["cb"]),
        helper.make_node("Identity", ["p2"], ["p2_again"]),
        helper.make_node("BatchNormalization", ["cb", "p2", "p2", "p2_again", "p2_again"], ["b"], name="bn"),
        helper.make_node("Reshape", ["b", "shape"], ["r"]),
        helper.make_node("Constant", [], ["p6"], value=numpy_helper.from_array(w)),
        helper.make_node("MatMul", ["r", "p6"], ["m"]),
        helper.make_node("Add", ["p7", "m"], ["s"]),
        helper.make_node("Mul", ["s", "two"], ["y"]),
    ]
    onnx.save(onnx_graph(nodes, typed, "typed"), directory / "typed.onnx")
    external = raw(n[0], 0, (4, 3, 3, 3))
    onnx.external_data_helper.set_external_data(external, "weights.bin")
    external.ClearField("raw_data")
    node = helper.make_node("Conv", ["x", n[0]], ["y"])
    onnx.save(onnx_graph([node], [external], "external"), directory / "external.onnx")
    quantized = [
        numpy_helper.from_array(np.ones((4, 3, 3, 3), np.int8), "w_q"),
        helper.make_tensor("scale", TensorProto.FLOAT, (), [0.1]),
    ]
    nodes = [
        helper.make_node("DequantizeLinear", ["w_q", "scale"], ["w"]),
        helper.make_node("Conv", ["x", "w"], ["y"]),
    ]
    onnx.save(onnx_graph(nodes, quantized, "quantized"), directory / "quantized.onnx")


def safetensors(directory):
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name, tensor in state_dict().items():
        content = tensor.numpy().tobytes()
        dtype = "I64" if tensor.dtype == torch.int64 else "F32"
        header[name] = {"dtype": dtype, "shape": list(tensor.shape), "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    text = json.dumps(header).encode()
    (directory / "pytorch.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)


class Command:
    """What a hostile file holds: a call, which unpickling would make."""

    def __reduce__(self):
        return os.system, ("touch hacked",)


def hostile(directory):
    for name, legacy in [("command.pt", False), ("command_legacy.pt", True)]:
        state = {"state_dict": state_dict(), "hook": Command()}
        torch.save(state, directory / name, _use_new_zipfile_serialization=not legacy)
    # An array that unpacks to a thousand times the file.
    with zipfile.ZipFile(directory / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        content = io.BytesIO()
        np.lib.format.write_array(content, np.zeros(12_000_000, np.float32))
        archive.writestr("a.weight.npy", content.getvalue())
    with h5py.File(directory / "bomb.h5", "w") as file:
        file.create_dataset("a/kernel:0", (1 << 40, 4), "f4", chunks=(1024, 4), compression="gzip")


def main():
    directory = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent / "data/foreign")
    directory.mkdir(parents=True, exist_ok=True)
    for make in [pytorch, npz, keras, onnx_models, safetensors, hostile]:
        make(directory)


if __name__ == "__main__":
    main()
