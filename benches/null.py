"""How often `graft compare` claims a difference where there is none: pairs of arms that are the same
experiment with other seeds, none of which two pairs share. Python's standard library only.

    python3 benches/null.py --graft target/release/graft
"""

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

EXPERIMENT = """
epochs = 6
batch_size = 30
[data]
builtin = "drawn_smiles"
[model]
initializer = "kaiming"
layers = [
    { name = "pool1", type = "average_pooling", kernel = 2 },
    { name = "conv1", type = "convolution", channels = 8, kernel = 3, bias = true },
    { name = "relu1", type = "relu" },
    { name = "pool2", type = "max_pooling", kernel = 2 },
    { name = "fc3", type = "linear", bias = true },
    { name = "softmax", type = "softmax" },
]
[preprocessing]
scale = 0.015625
[optimizer]
algorithm = "adam"
learning_rate = 0.005
"""
ARMS = ["one", "other"]
# Runs a command: results.csv is written anew after each, over all records.
TOGETHER = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--graft", type=Path, default=Path("target/release/graft"))
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--runs", type=int, nargs="+", default=[1, 2, 3, 5], help="runs an arm")
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--into", type=Path, help="directory that is kept, and taken up again")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        place = (arguments.into or Path(temporary)).resolve()
        place.mkdir(parents=True, exist_ok=True)
        graft = arguments.graft.resolve()
        train(graft, place, arguments.first_seed, arguments.pairs * max(arguments.runs))
        print("| runs an arm | pairs | claimed to differ | p up to 0.05 |\n| ---: | ---: | ---: | ---: |")
        for runs in arguments.runs:
            claims, small = count(graft, place, arguments.pairs, runs)
            print(f"| {runs} | {arguments.pairs} | {claims} | {small} |", flush=True)


def train(graft: Path, place: Path, start: int, seeds: int) -> None:
    """Trains both arms: `seeds` seeds from `start` on, and as many that follow."""
    (place / "null.toml").write_text(EXPERIMENT)
    for arm, name in enumerate(ARMS):
        for first in range(0, seeds, TOGETHER):
            several = [start + arm * seeds + seed for seed in range(first, min(first + TOGETHER, seeds))]
            # Records of a chunk stand by themselves: each run writes the table of all beside it.
            chunk = place / f"{name}-{first}"
            chunk.mkdir(exist_ok=True)
            if not (chunk / "data").exists():
                (place / "data").mkdir(exist_ok=True)
                (chunk / "data").symlink_to(place / "data")
            settings = ["--set", f"name={name}", "--set", f"seeds={several}"]
            command = [graft, "run", place / "null.toml", *settings]
            subprocess.run(command, cwd=chunk, check=True, capture_output=True)


def count(graft: Path, place: Path, pairs: int, runs: int) -> tuple[int, int]:
    """Of so many pairs: how often the arms are claimed to differ, and how often p is up to 0.05."""
    records = {name: sorted(place.glob(f"{name}-*/results/{name}/seed-*"), key=seed) for name in ARMS}
    claims = small = 0
    for pair in range(pairs):
        chosen = [dir for name in ARMS for dir in records[name][pair * runs : (pair + 1) * runs]]
        command = [graft, "compare", *chosen, "--format", "json"]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        (comparison,) = json.loads(output)["comparisons"]
        assert comparison["runs"] == comparison["reference_runs"] == runs, comparison
        claims += comparison["verdict"] in ("better", "worse")
        small += comparison["p"] <= 0.05
    return claims, small


def seed(record: Path) -> int:
    return int(record.name.removeprefix("seed-"))


if __name__ == "__main__":
    main()
