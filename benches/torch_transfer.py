"""Feature extraction in PyTorch as people write it, on the files that `transfer.py` wrote into the
current directory: `torch_transfer.py MODE EPOCHS THREADS RATE BATCH HEAD…`.

MODE `frozen`: the convolutions need no gradient and run without recording one, in each epoch anew;
`rate-0`: they are trained with a learning rate of 0. Prints seconds: `start`, `epoch` (the median),
`test`. In the layout that is faster on this machine's processors, channels last.
"""

import statistics
import sys
import time

STARTED = time.perf_counter()

import h5py  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
import vgg  # noqa: E402
from safetensors.torch import load_file  # noqa: E402
from torch import nn  # noqa: E402


def main(mode: str, epochs: str, threads: str, rate: str, batch: str, *head: str) -> None:
    torch.set_num_threads(int(threads))
    torch.manual_seed(1)
    frozen, epochs, batch = mode == "frozen", int(epochs), int(batch)
    prefix, rest = layers([int(features) for features in head])
    groups = [{"params": rest.parameters(), "lr": float(rate)}]
    if frozen:
        prefix.requires_grad_(False)
    else:
        groups.append({"params": prefix.parameters(), "lr": 0.0})
    optimizer = torch.optim.SGD(groups, momentum=0.9, weight_decay=0.0005)
    train, test = h5py.File("train.h5"), h5py.File("test.h5")
    print("start", time.perf_counter() - STARTED)
    seconds = []
    for _ in range(epochs):
        started = time.perf_counter()
        for samples in torch.randperm(len(train["input"])).split(batch):
            images, labels = read(train, np.sort(samples.numpy()))
            with torch.set_grad_enabled(not frozen):
                features = prefix(images)
            loss = nn.functional.cross_entropy(rest(features), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        seconds.append(time.perf_counter() - started)
    print("epoch", statistics.median(seconds))
    started = time.perf_counter()
    rest.eval()
    with torch.inference_mode():
        for start in range(0, len(test["input"]), batch):
            images, _ = read(test, slice(start, start + batch))
            rest(prefix(images))
    print("test", time.perf_counter() - started)


def layers(head: list[int]) -> tuple[nn.Sequential, nn.Sequential]:
    """The convolutions with the weights of the source, and a head with dropout."""
    model = vgg.vgg16(64)
    flatten = next(place for place, layer in enumerate(model) if isinstance(layer, nn.Flatten))
    prefix = model[:flatten].to(memory_format=torch.channels_last)
    weights = load_file("source.safetensors")
    names = [name for name in vgg.NAMES if name.startswith("conv")]
    with torch.no_grad():
        for name, layer in zip(names, vgg.with_weights(prefix), strict=True):
            layer.weight.copy_(weights[f"{name}.weight"])
            layer.bias.copy_(weights[f"{name}_bias.bias"])
    sizes = [512 * 7 * 7, *head]
    rest = [nn.Flatten()]
    for inputs, outputs in zip(sizes, sizes[1:]):
        rest += [nn.Linear(inputs, outputs), nn.ReLU(inplace=True), nn.Dropout(0.5)]
    return prefix, nn.Sequential(*rest, nn.Linear(sizes[-1], 2))


def read(file: h5py.File, samples) -> tuple[torch.Tensor, torch.Tensor]:
    """Images as the network gets them, and their classes."""
    pixels = torch.from_numpy(file["input"][samples]).reshape(-1, 3, 224, 224)
    images = (pixels.to(torch.float32) - 127) * 0.015625
    labels = torch.from_numpy(file["output"][samples][:, 0].astype(np.int64))
    return images.to(memory_format=torch.channels_last), labels


if __name__ == "__main__":
    main(*sys.argv[1:])
