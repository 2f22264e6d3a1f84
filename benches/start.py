"""What comes before the first step and around it: plans, imports, data larger than memory should be."""

import pickle
import re
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

import machine
import transfer

EXPERIMENTS = 1000


def plan(arguments) -> None:
    """`graft plan` on a directory of experiments that share data and source model."""
    directory = fresh(arguments, "plan")
    transfer.write_images(directory / "train.h5", 1000, 64)
    transfer.write_images(directory / "test.h5", 200, 64)
    transfer.write_convolutions(directory / "source.safetensors")
    many = directory / "many"
    many.mkdir()
    text = transfer.EXPERIMENT.format(
        name="", epochs=10, seeds="[1]", rate=0.001, batch=32, head=[256]
    )
    (many / "base.toml").write_text(text.replace('name                     = ""\n', ""))
    for place in range(EXPERIMENTS):
        rate = 0.0001 * (1 + place % 10)
        own = f'extends = "base.toml"\nseed = {place}\n[optimizer]\nlearning_rate = {rate}\n'
        (many / f"e{place:04}.toml").write_text(own)
    program = machine.build("build", "--release", "--bin", "graft")
    figures = [Command.measured([program, "plan", "many"], directory) for _ in range(arguments.rounds)]
    machine.table([f"`graft plan`, {EXPERIMENTS:,} experiments", *HEADERS], [row("graft", figures)])


def pickles(arguments) -> None:
    """A neon pickle of VGG-16's size: Python's `pickle.load`, `graft inspect` and an import."""
    directory = fresh(arguments, "pickles")
    write_pickle(directory / "VGG_D.p")
    size = (directory / "VGG_D.p").stat().st_size
    transfer.write_images(directory / "train.h5", 1, 224)
    (directory / "import.toml").write_text(IMPORT)
    program = machine.build("build", "--release", "--bin", "graft")
    load = "import pickle; pickle.load(open('VGG_D.p', 'rb'))"
    commands = {
        "`pickle.load` alone": [sys.executable, "-c", load],
        "`graft inspect`: values, and SHA-256 of the file": [program, "inspect", "VGG_D.p"],
        "`graft features`: besides, SHA-256 of each tensor, a network, its first layer on an image": [
            *(program, "features", "import.toml", "--layer", "conv1_1"),
            *("--out", "out.npz", "--force"),
        ],
    }
    figures = {name: [] for name in commands}
    for _ in range(arguments.rounds):
        for name, command in commands.items():
            figures[name].append(Command.measured(command, directory))
    rows = [row(name, figures[name], size) for name in commands]
    title = f"Importing {size / 1e6:,.0f} MB"
    machine.table([title, *HEADERS, "memory / file"], rows)


def large(arguments) -> None:
    """An epoch on a file of many gigabytes: memory, and the share of time spent waiting for it."""
    directory = fresh(arguments, "large")
    images = int(arguments.gigabytes * 1e9 / (3 * 224 * 224))
    transfer.write_images(directory / "train.h5", images, 224)
    transfer.write_images(directory / "test.h5", 100, 224)
    (directory / "tiny.toml").write_text(TINY)
    program = machine.build("build", "--release", "--bin", "graft")
    figures = [Command.measured([program, "run", "tiny.toml"], directory)]
    machine.table([f"An epoch on {arguments.gigabytes:g} GB", *HEADERS], [row("`graft run`", figures)])
    log = (directory / "results/tiny/log.txt").read_text()
    print(re.search("epoch 1: .*", log)[0], flush=True)
    shutil.rmtree(directory)


HEADERS = ["time", "processor time", "memory"]


# Runs a command and prints its seconds, its processor's seconds and the most bytes that it held. In a
# process of its own: what a parent holds counts as held by its child.
WRAPPER = """
import os, subprocess, sys, time
started = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
print(time.perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)
sys.exit(status != 0)
"""


class Command:
    """What a command took."""

    def __init__(self, seconds: float, processor: float, peak: float):
        self.seconds, self.processor, self.peak = seconds, processor, peak

    @staticmethod
    def measured(command: list, directory: Path) -> "Command":
        wrapped = [sys.executable, "-I", "-S", "-c", WRAPPER, *map(str, command)]
        done = subprocess.run(wrapped, cwd=directory, capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(done.stderr[:2000])
        return Command(*map(float, done.stdout.split()))


def row(name: str, figures: list[Command], size: int | None = None) -> list[str]:
    """Medians; of the memory, the most."""
    of = lambda what: statistics.median(getattr(figure, what) for figure in figures)  # noqa: E731
    peak = max(figure.peak for figure in figures)
    ratio = [f"{peak / size:.2f}"] if size else []
    return [name, f"{of('seconds'):.2f} s", f"{of('processor'):.2f} s", f"{peak / 1e6:,.0f} MB", *ratio]


def fresh(arguments, name: str) -> Path:
    directory = arguments.work / name
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    return directory


def write_pickle(path: Path) -> None:
    """A model as neon saved it, with random weights of VGG-16's sizes. (Protocol 4: Python 2, under
    which neon ran, wrote bytes as they are in any protocol, Python 3 does from 3 on.)"""
    import numpy as np
    import vgg

    random = np.random.default_rng(1)
    layers, channels = [], 3

    def add(name: str, kind: str, values: np.ndarray) -> None:
        config = {"name": name}
        layers.append(
            {"type": f"neon.layers.layer.{kind}", "config": config, "params": {"W": values}}
        )

    shapes = []
    for width in sum(vgg.WIDTHS, []):
        shapes.append(("Convolution", (channels * 9, width), width))
        channels = width
    for inputs, outputs in ((25088, 4096), (4096, 4096), (4096, 1000)):
        shapes.append(("Linear", (outputs, inputs), outputs))
    names = [name for name in vgg.NAMES if name.startswith("conv")] + ["fc6", "fc7", "fc8"]
    for name, (kind, shape, outputs) in zip(names, shapes, strict=True):
        values = random.standard_normal(shape, np.float32)
        add(name, kind, values / np.float32(np.sqrt(values.size / outputs)))
        add(f"{name}_bias", "Bias", np.zeros((outputs, 1), np.float32))
    sequential = {"type": "neon.layers.container.Sequential", "config": {"layers": layers}}
    with path.open("wb") as file:
        pickle.dump({"model": sequential, "epoch_index": 1}, file, protocol=4)


IMPORT = """
source_model = "VGG_D.p"

[data]
train = "train.h5"
test  = "train.h5"

[model]
architecture = "vgg16"
head_names   = ["fc6", "fc7"]
classifier   = "new"

[source]
coverage = 0.95
"""

TINY = """
epochs     = 1
batch_size = 32

[data]
train = "train.h5"
test  = "test.h5"

[model]
layers = [
    { name = "conv1", type = "convolution", channels = 8, kernel = 7, stride = 4, bias = true },
    { name = "relu1", type = "relu" },
    { name = "pool1", type = "global_average_pooling" },
    { name = "fc2",   type = "linear", bias = true },
    { name = "soft",  type = "softmax" },
]

[optimizer]
algorithm     = "momentum"
learning_rate = 0.001
"""
