"""graft against PyTorch on this machine: each measurement is taken in turns, A B A B, in the same
minutes, from the same weights, on the same batches, with the same number of threads. Prints Markdown.

    python -m venv venv && venv/bin/pip install torch numpy safetensors h5py
    venv/bin/python benches/run.py vgg

The cases are the first argument; see --help. It builds what it measures (`cargo bench --no-run`,
`cargo build --release`), and writes only below --work, a temporary directory by default.
"""

import argparse
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True
import machine  # noqa: E402
import start  # noqa: E402
import transfer  # noqa: E402
import vgg  # noqa: E402

CASES = {
    "vgg": (vgg.network, "forward pass and training step of VGG-16, and five steps side by side"),
    "layers": (vgg.layers, "each convolution of VGG-16: forward, gradient of data and of weights"),
    "features": (transfer.features, "feature extraction, one run"),
    "many": (transfer.many, "feature extraction, 15 runs together and one after another"),
    "plan": (start.plan, "`graft plan` on 1,000 experiments"),
    "pickles": (start.pickles, "importing a neon pickle of VGG-16's size"),
    "large": (start.large, "an epoch on a large file; takes its size on the disk"),
    "memory": (vgg.memory, "most memory of a process that takes two training steps of VGG-16"),
}


def main() -> None:
    arguments = parse()
    with tempfile.TemporaryDirectory(prefix="graft-bench-") as scratch:
        arguments.work = Path(arguments.work or scratch).resolve()
        arguments.work.mkdir(parents=True, exist_ok=True)
        print(machine.description(arguments.threads), flush=True)
        for case in arguments.cases:
            measure, _ = CASES[case]
            measure(arguments)


def parse() -> argparse.Namespace:
    cases = "\n".join(f"  {name:10} {text}" for name, (_, text) in CASES.items())
    parser = argparse.ArgumentParser(
        description=f"{__doc__}\ncases:\n{cases}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("cases", nargs="+", choices=CASES, metavar="case")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5, help="turns of each contestant")
    parser.add_argument("--size", type=int, nargs="+", default=[224, 64], choices=[224, 64])
    parser.add_argument("--images", type=int, default=1000, help="of features and many")
    parser.add_argument("--epochs", type=int, default=10, help="of features and many")
    parser.add_argument("--torch-epochs", type=int, default=1, help="those measured; scaled")
    parser.add_argument("--compared-epochs", type=int, default=1, help="of the runs for cmp")
    parser.add_argument("--solo-runs", type=int, default=1, help="those measured; scaled")
    parser.add_argument("--head", type=int, nargs="*", default=[4096, 4096])
    parser.add_argument("--gigabytes", type=float, default=8, help="of large")
    parser.add_argument("--only-graft", action="store_true", help="leave PyTorch's turns out")
    parser.add_argument("--work", help="directory for what is written; kept if given")
    return parser.parse_args()


if __name__ == "__main__":
    main()
