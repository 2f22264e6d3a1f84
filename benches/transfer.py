"""Feature extraction through real commands: `graft run` with and without what it keeps of the frozen
layers, and PyTorch (`torch_transfer.py`) as people write it. One run, then fifteen of them."""

import filecmp
import shutil
import subprocess
import sys
import time
from pathlib import Path

import machine

SIZE, CLASSES, BATCH, TEST = 224, 2, 32, 100
# Small: the images are noise, and the features of random weights large.
LEARNING_RATE = 1e-5
RATES, SEEDS = [5e-6, 1e-5, 2e-5], [1, 2, 3, 4, 5]


def features(arguments) -> None:
    """One run: graft against PyTorch with frozen layers and with a rate of 0; and `cmp`."""
    case = Case(arguments)
    epochs = arguments.epochs
    case.write("frozen", epochs, [1], LEARNING_RATE)
    graft = case.graft("frozen")
    rows = [["graft, outputs of frozen layers kept", machine.duration(graft), "1.0"]]
    for name, mode in [
        ("PyTorch, frozen layers, computed in each epoch", "frozen"),
        ("PyTorch, trained with a rate of 0", "rate-0"),
    ]:
        measured = min(arguments.torch_epochs, epochs)
        seconds = case.torch(mode, measured)
        total = seconds["start"] + epochs * seconds["epoch"] + seconds["test"]
        scaled = "" if measured == epochs else f" ({measured} of {epochs} epochs measured, scaled)"
        rows.append([name + scaled, machine.duration(total), f"{total / graft:.1f}"])
    title = f"{epochs} epochs on {arguments.images:,} images, 3x{SIZE}x{SIZE}, batch {BATCH}"
    machine.table([title, "time", "times graft's"], rows)
    case.write("compared", arguments.compared_epochs, [1], LEARNING_RATE)
    print(f"Weights after {arguments.compared_epochs} epochs with and without the cache: ", end="")
    print(same(case.kept_and_not("compared")), flush=True)


def many(arguments) -> None:
    """Fifteen runs together, and one after another without anything kept."""
    case = Case(arguments)
    names = [f"rate_{place}" for place in range(len(RATES))]
    for name, rate in zip(names, RATES):
        case.write(name, arguments.epochs, SEEDS, rate, "many")
    together = case.graft("", below="many")
    runs = len(RATES) * len(SEEDS)
    case.write("solo", arguments.epochs, [SEEDS[0]], RATES[0])
    alone = []
    for _ in range(arguments.solo_runs):
        case.forget("solo")
        alone.append(case.graft("solo", "--set", "cache=false"))
    each = sum(alone) / len(alone)
    rows = [
        [f"{runs} runs together, outputs of frozen layers kept", machine.duration(together), "1.0"],
        [
            f"one after another without ({len(alone)} of {runs} measured, scaled)",
            machine.duration(each * runs),
            f"{each * runs / together:.1f}",
        ],
    ]
    title = f"{len(SEEDS)} seeds x {len(RATES)} rates, {arguments.epochs} epochs, "
    machine.table([title + f"{arguments.images:,} images", "time", "times the first"], rows)
    models = [case.model("solo"), case.results / names[0] / f"seed-{SEEDS[0]}/model.safetensors"]
    print(f"The run without anything kept, and the same one of the {runs}: ", end="")
    print(same(models), flush=True)


def same(models: list[Path]) -> str:
    return "the same bytes" if filecmp.cmp(*models, shallow=False) else "NOT the same bytes"


class Case:
    """Data, weights of VGG-16's convolutions, experiments and records in a directory of its own."""

    def __init__(self, arguments):
        self.directory = arguments.work / "transfer"
        self.results = self.directory / "results"
        self.threads = arguments.threads
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir()
        self.head = arguments.head
        for name, count in (("train", arguments.images), ("test", TEST)):
            write_images(self.directory / f"{name}.h5", count, SIZE)
        write_convolutions(self.directory / "source.safetensors")
        self.program = machine.build("build", "--release", "--bin", "graft")

    def write(self, name: str, epochs: int, seeds: list[int], rate: float, below: str = ".") -> None:
        text = EXPERIMENT.format(
            name=name, epochs=epochs, seeds=seeds, rate=rate, batch=BATCH, head=self.head
        )
        (self.directory / below).mkdir(exist_ok=True)
        (self.directory / below / f"{name}.toml").write_text(text)

    def graft(self, name: str, *more: str, below: str = ".") -> float:
        """Seconds of `graft run` from its start to its records."""
        path = f"{below}/{name}.toml" if name else below
        started = time.perf_counter()
        command = [str(self.program), "run", path, *more]
        done = subprocess.run(
            command,
            cwd=self.directory,
            env=machine.environment(self.threads),
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            raise SystemExit(done.stderr)
        return time.perf_counter() - started

    def torch(self, mode: str, epochs: int) -> dict[str, float]:
        """Seconds before the first epoch, of an epoch, and after the last one."""
        script = Path(__file__).with_name("torch_transfer.py")
        settings = [mode, epochs, self.threads, LEARNING_RATE, BATCH, *self.head]
        command = [sys.executable, str(script), *map(str, settings)]
        done = subprocess.run(
            command, cwd=self.directory, check=True, capture_output=True, text=True
        )
        return {name: float(value) for name, value in map(str.split, done.stdout.splitlines())}

    def model(self, name: str) -> Path:
        return self.results / name / "model.safetensors"

    def forget(self, name: str) -> None:
        shutil.rmtree(self.results / name, ignore_errors=True)

    def kept_and_not(self, name: str) -> list[Path]:
        """The model of a run with, and of one without what is kept."""
        models = []
        for setting in ("true", "false"):
            self.forget(name)
            self.graft(name, "--set", f"cache={setting}")
            model = self.directory / f"{name}-{setting}.safetensors"
            shutil.copyfile(self.model(name), model)
            models.append(model)
        return models


EXPERIMENT = """
name                     = "{name}"
seeds                    = {seeds}
epochs                   = {epochs}
batch_size               = {batch}
source_model             = "source.safetensors"
learning_rate_multiplier = 0
cache_directory          = "features"

[data]
train = "train.h5"
test  = "test.h5"

[model]
architecture = "vgg16"
head         = {head}
dropout      = 0.5

[preprocessing]
mean  = [127.0]
scale = 0.015625

[optimizer]
algorithm     = "momentum"
learning_rate = {rate}
momentum      = 0.9
weight_decay  = 0.0005

[evaluation]
every = {epochs}
"""


def write_images(path: Path, count: int, size: int) -> None:
    """So many images of noise as HDF5 in neon's layout, a block at a time."""
    import h5py
    import numpy as np

    random = np.random.default_rng(count)
    with h5py.File(path, "w") as file:
        images = file.create_dataset("input", (count, 3 * size * size), np.uint8)
        images.attrs["lshape"] = np.array([3, size, size])
        for start in range(0, count, 500):
            rows = min(500, count - start)
            images[start : start + rows] = random.integers(
                0, 256, (rows, 3 * size * size), dtype=np.uint8
            )
        labels = random.integers(0, CLASSES, (count, 1), dtype=np.uint8)
        file.create_dataset("output", data=labels).attrs["nclass"] = CLASSES


def write_convolutions(path: Path) -> None:
    """Random weights of VGG-16's convolutions, under graft's names."""
    import torch
    import vgg
    from safetensors.torch import save_file

    torch.manual_seed(1)
    model = vgg.vgg16(64)
    tensors = {}
    for name, layer in zip(vgg.NAMES, vgg.with_weights(model), strict=True):
        if name.startswith("conv"):
            tensors[f"{name}.weight"] = layer.weight.detach()
            tensors[f"{name}_bias.bias"] = layer.bias.detach()
    save_file(tensors, path)
