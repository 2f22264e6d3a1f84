"""VGG-16 in graft and in PyTorch: whole network, single convolutions, memory."""

import copy
import subprocess
import sys
import time
from pathlib import Path

import machine
import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import nn

WIDTHS = [[64, 64], [128, 128], [256] * 3, [512] * 3, [512] * 3]
BATCH = {224: 10, 64: 32}
BATCHES = 5
# The rate is small enough that five steps from random weights go down, and rounding stays rounding.
LEARNING_RATE, MOMENTUM, WEIGHT_DECAY = 1e-6, 0.9, 0.0005
# graft's, of the layers with weights.
NAMES = [f"conv{b}_{i}" for b, widths in enumerate(WIDTHS, 1) for i in range(1, len(widths) + 1)]
NAMES += ["fc6_new", "fc7_new", "classifier"]
LAYOUTS = {"contiguous": torch.contiguous_format, "channels last": torch.channels_last}


def network(arguments) -> None:
    """Forward pass and training step, in turns; the losses of both."""
    torch.set_num_threads(arguments.threads)
    rows = []
    for size in arguments.size:
        case = Case(arguments, size)
        contestants = {"graft": case.graft()}
        if not arguments.only_graft:
            contestants |= {
                name: Torch(copy.deepcopy(case.model), case.pixels, case.labels, layout)
                for name, layout in LAYOUTS.items()
            }
        for work in ("forward", "step"):
            turns = {name: getattr(one, work) for name, one in contestants.items()}
            rows.append(row(f"{size}x{size}, batch {case.batch}: {work}", arguments, turns))
        if not arguments.only_graft:
            differences(case, contestants)
        for contestant in contestants.values():
            contestant.close()
    machine.table(["VGG-16, f32", *headers(arguments)], rows)


def layers(arguments) -> None:
    """Each distinct convolution: forward, gradient of the data, gradient of the weights."""
    torch.set_num_threads(arguments.threads)
    for size in arguments.size:
        case = Case(arguments, size)
        rows = []
        graft = case.graft()
        for layer in distinct(graft.ask("layers").split()):
            name, channels, filters, side = layer
            contestants = {"graft": None}
            if not arguments.only_graft:
                shape = (case.batch, channels, filters, side)
                contestants |= {name: Convolution(*shape, to) for name, to in LAYOUTS.items()}
            label = f"{name} ({channels} to {filters}, {side}x{side})"
            for work in ("forward", "data", "weight"):
                if work == "data" and name == "conv1_1":
                    continue  # No gradient goes to the images.
                turns = {
                    contestant: (lambda one=one: one.measure(work))
                    if one
                    else (lambda: float(graft.ask(f"layer {name} {work}")))
                    for contestant, one in contestants.items()
                }
                operations = 2 * 9 * case.batch * channels * filters * side * side
                rows.append(row(f"{label}: {work}", arguments, turns, operations))
        graft.close()
        title = f"Convolutions at {size}x{size}, batch {case.batch}"
        machine.table([title, *headers(arguments), "graft GFLOP/s"], rows)


def memory(arguments) -> None:
    """Peak of a process that takes two training steps, from its start."""
    rows = []
    for size in arguments.size:
        case = Case(arguments, size)
        graft = case.graft()
        for index in range(2):
            graft.ask(f"step {index}")
        peaks = [int(graft.ask("peak"))]
        graft.close()
        cells = [mebibytes(peaks[0])]
        for name in [] if arguments.only_graft else LAYOUTS:
            command = [sys.executable, __file__, arguments.threads, case.directory, size, name]
            peak, libraries = map(int, machine.output([str(part) for part in command]).split())
            peaks.append(peak)
            cells.append(f"{mebibytes(peak)}, of which {mebibytes(libraries)} libraries")
        ratio = [] if arguments.only_graft else [f"{peaks[0] / min(peaks[1:]):.2f}"]
        rows.append([f"{size}x{size}, batch {case.batch}", *cells, *ratio])
    ratio = [] if arguments.only_graft else ["graft / best"]
    machine.table(["Peak memory of two steps", *names(arguments), *ratio], rows)


def mebibytes(count: int) -> str:
    return f"{count / 2**20:,.0f} MiB"


def names(arguments) -> list[str]:
    torchs = [] if arguments.only_graft else [f"PyTorch, {name}" for name in LAYOUTS]
    return ["graft", *torchs]


def headers(arguments) -> list[str]:
    ratio = [] if arguments.only_graft else ["best PyTorch / graft"]
    return [*names(arguments), *ratio]


def row(label: str, arguments, turns: dict, operations: float | None = None) -> list[str]:
    """Medians, and how many times as fast as the best of PyTorch's graft is."""
    medians = machine.in_turns(turns, arguments.rounds)
    cells = [machine.milliseconds(median) for median in medians.values()]
    rest = [median for name, median in medians.items() if name != "graft"]
    ratio = [f"{min(rest) / medians['graft']:.2f}"] if rest else []
    rate = [f"{operations / medians['graft'] / 1e9:,.0f}"] if operations else []
    return [label, *cells, *ratio, *rate]


def distinct(layers: list[str]) -> list[tuple]:
    """The first of each shape, of `name,channels,filters,side`."""
    seen = {}
    for layer in layers:
        name, *shape = layer.split(",")
        seen.setdefault(tuple(shape), (name, *map(int, shape)))
    return list(seen.values())


def differences(case: "Case", contestants: dict) -> None:
    """Prints five steps' losses side by side, and how far the outputs before them are apart."""
    for one in contestants.values():
        one.restart(case.model)
    others = [name for name in contestants if name != "graft"]
    outputs = {name: one.outputs() for name, one in contestants.items()}
    scale = abs(outputs[others[0]]).max()
    worst = max(abs(outputs["graft"] - outputs[name]).max() / scale for name in others)
    losses = {name: [one.loss(index) for index in range(BATCHES)] for name, one in contestants.items()}
    rows = []
    for index in range(BATCHES):
        row = [losses[name][index] for name in contestants]
        worst_here = max(abs(row[0] - other) / abs(other) for other in row[1:])
        rows.append([str(index + 1), *(f"{loss:.7f}" for loss in row), f"{worst_here:.1e}"])
    torchs = [f"PyTorch, {name}" for name in others]
    machine.table([f"Loss at {case.size}x{case.size}, step", "graft", *torchs, "largest relative difference"], rows)
    print(f"Largest difference of outputs, relative to the largest output: {worst:.1e}", flush=True)


class Case:
    """Weights and batches of one size on disk, for both."""

    def __init__(self, arguments, size: int):
        self.size, self.batch = size, BATCH[size]
        self.threads = arguments.threads
        self.directory = arguments.work / f"vgg-{size}"
        self.directory.mkdir(exist_ok=True)
        torch.manual_seed(1)
        self.model = vgg16(size)
        write_for_graft(self.model, self.directory / "weights.safetensors")
        random = np.random.default_rng(1)
        shape = (BATCHES * self.batch, 3, size, size)
        # As of photographs less their mean: what neon's preprocessing gives.
        pixels = random.integers(0, 256, shape, dtype=np.uint8)
        self.pixels = ((pixels.astype(np.float32) - 127) / 64).reshape(BATCHES, self.batch, *shape[1:])
        self.labels = random.integers(0, 2, (BATCHES, self.batch), dtype=np.uint32)
        self.pixels.tofile(self.directory / "pixels.f32")
        self.labels.tofile(self.directory / "labels.u32")
        (self.directory / "vgg.toml").write_text(EXPERIMENT.format(directory=self.directory))

    def graft(self) -> "Graft":
        return Graft(self)


EXPERIMENT = f"""
[data]
train = "unused"
test  = "unused"

[model]
architecture    = "vgg16"
head            = [4096, 4096]
classes         = 2
dropout         = 0.0
initial_weights = "{{directory}}/weights.safetensors"

[optimizer]
algorithm     = "momentum"
learning_rate = {LEARNING_RATE}
momentum      = {MOMENTUM}
weight_decay  = {WEIGHT_DECAY}
"""


def vgg16(size: int) -> nn.Sequential:
    """As torchvision's, without dropout and without pooling the last maps to 7x7."""
    layers, channels = [], 3
    for widths in WIDTHS:
        for width in widths:
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
            channels = width
        layers.append(nn.MaxPool2d(2))
    flat = channels * (size // 32) ** 2
    layers += [nn.Flatten(), nn.Linear(flat, 4096), nn.ReLU(inplace=True)]
    layers += [nn.Linear(4096, 4096), nn.ReLU(inplace=True), nn.Linear(4096, 2)]
    for layer in layers:
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
    return nn.Sequential(*layers)


def with_weights(model: nn.Sequential) -> list[nn.Module]:
    return [layer for layer in model if isinstance(layer, (nn.Conv2d, nn.Linear))]


def write_for_graft(model: nn.Sequential, path: Path) -> None:
    """The weights under graft's names."""
    tensors = {}
    for name, layer in zip(NAMES, with_weights(model), strict=True):
        tensors[f"{name}.weight"] = layer.weight.detach()
        tensors[f"{name}_bias.bias"] = layer.bias.detach()
    safetensors.torch.save_file(tensors, path)


class Graft:
    """graft's side: a process that answers line by line."""

    def __init__(self, case: Case):
        self.case = case
        self.program = machine.build("bench", "--no-run", "--bench", "vgg")
        self.steps = 0
        self.start()

    def start(self) -> None:
        case = self.case
        files = [case.directory / name for name in ("vgg.toml", "pixels.f32", "labels.u32")]
        command = [self.program, files[0], str(case.size), str(case.batch), *files[1:]]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=machine.environment(case.threads),
            cwd=case.directory,
        )
        assert self.process.stdout.readline().strip() == "ready", "graft did not start"

    def ask(self, line: str) -> str:
        print(line, file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline().strip()
        if not answer:
            raise SystemExit(f"graft gave no answer to `{line}`")
        return answer

    def forward(self) -> float:
        return float(self.ask("forward 0").split()[0])

    def outputs(self) -> np.ndarray:
        values = self.ask("forward 0").split()[1:]
        return np.array(values, dtype=np.float32).reshape(self.case.batch, -1)

    def step(self) -> float:
        self.steps += 1
        return float(self.ask(f"step {self.steps % BATCHES}").split()[0])

    def loss(self, index: int) -> float:
        return float(self.ask(f"step {index}").split()[1])

    def restart(self, _: nn.Sequential) -> None:
        """From the initial weights."""
        self.close()
        self.start()

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


class Torch:
    """PyTorch's side."""

    def __init__(
        self,
        model: nn.Sequential,
        pixels: np.ndarray,
        labels: np.ndarray,
        layout: torch.memory_format,
    ):
        self.layout = layout
        self.inputs = [torch.from_numpy(batch).to(memory_format=layout) for batch in pixels]
        self.labels = [torch.from_numpy(batch.astype(np.int64)) for batch in labels]
        self.steps = 0
        self.start(model)

    def start(self, model: nn.Sequential) -> None:
        self.model = model.to(memory_format=self.layout)
        self.optimizer = torch.optim.SGD(
            model.parameters(), LEARNING_RATE, MOMENTUM, weight_decay=WEIGHT_DECAY
        )

    def restart(self, initial: nn.Sequential) -> None:
        """From the initial weights."""
        self.model = self.optimizer = None
        self.start(copy.deepcopy(initial))

    def forward(self) -> float:
        started = time.perf_counter()
        self.outputs()
        return time.perf_counter() - started

    def outputs(self) -> np.ndarray:
        with torch.inference_mode():
            return self.model(self.inputs[0]).numpy()

    def step(self) -> float:
        self.steps += 1
        started = time.perf_counter()
        self.loss(self.steps % BATCHES)
        return time.perf_counter() - started

    def loss(self, index: int) -> float:
        loss = nn.functional.cross_entropy(self.model(self.inputs[index]), self.labels[index])
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def close(self) -> None:
        self.model = self.optimizer = None


class Convolution:
    """A single one in PyTorch."""

    def __init__(self, batch: int, channels: int, filters: int, side: int, layout: torch.memory_format):
        def made(*shape: int) -> torch.Tensor:
            return (torch.rand(shape) * 2 - 1).to(memory_format=layout)

        self.input = made(batch, channels, side, side)
        self.weight = made(filters, channels, 3, 3)
        self.gradient = made(batch, filters, side, side)

    def measure(self, work: str) -> float:
        """Seconds of one pass, after one that does not count: the other side does so, too."""
        self.once(work)
        started = time.perf_counter()
        self.once(work)
        return time.perf_counter() - started

    def once(self, work: str) -> None:
        needed = (work == "data", work == "weight", False)
        with torch.inference_mode():
            if work == "forward":
                nn.functional.conv2d(self.input, self.weight, padding=1)
            else:
                torch.ops.aten.convolution_backward(
                    self.gradient, self.input, self.weight, None,
                    [1, 1], [1, 1], [1, 1], False, [0, 0], 1, needed,
                )  # fmt: skip


def two_steps(directory: str, size: str, layout: str) -> None:
    """Prints the peak memory of a process that takes two steps, from the weights and batches in
    `directory`; then what of it PyTorch's libraries take before anything is loaded."""
    libraries = machine.peak()
    size, directory = int(size), Path(directory)
    with torch.device("meta"):
        model = vgg16(size)
    layers = with_weights(model)
    with safetensors.safe_open(directory / "weights.safetensors", "pt") as file:
        for name, layer in zip(NAMES, layers, strict=True):
            weight = file.get_tensor(f"{name}.weight").clone()
            if weight.dim() == 4:
                weight = weight.contiguous(memory_format=LAYOUTS[layout])
            layer.weight = nn.Parameter(weight)
            layer.bias = nn.Parameter(file.get_tensor(f"{name}_bias.bias").clone())
    pixels = np.fromfile(directory / "pixels.f32", np.float32)
    pixels = pixels.reshape(BATCHES, BATCH[size], 3, size, size)
    labels = np.fromfile(directory / "labels.u32", np.uint32).reshape(BATCHES, -1)
    torch_side = Torch(model, pixels, labels, LAYOUTS[layout])
    for index in range(2):
        torch_side.loss(index)
    print(machine.peak(), libraries)


if __name__ == "__main__":
    torch.set_num_threads(int(sys.argv[1]))
    two_steps(*sys.argv[2:])
