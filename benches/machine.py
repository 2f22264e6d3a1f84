"""The machine, the programs, and the tables of `run.py`."""

import json
import os
import platform
import re
import shlex
import statistics
import subprocess
import sys
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def environment(threads: int) -> dict[str, str]:
    """Of graft's processes: this one's, with so many threads."""
    return os.environ | {"RAYON_NUM_THREADS": str(threads)}


def description(threads: int) -> str:
    """Processor, threads, versions, command."""
    commit = output(["git", "rev-parse", "--short", "HEAD"]).strip()
    changed = "" if output(["git", "status", "--porcelain", "src"]) == "" else " with changes"
    rust = output(["rustc", "--version"]).split()[1]
    lines = [
        f"Processor: {processor()}, {os.cpu_count()} cores, {threads} threads",
        f"graft {commit}{changed}, Rust {rust}; PyTorch {version('torch')}, Python "
        f"{platform.python_version()}, {platform.system()} {platform.release()}",
        f"Command: `python benches/run.py {shlex.join(sys.argv[1:])}`",
    ]
    return "\n".join(f"- {line}" for line in lines)


def processor() -> str:
    """Its name, and which of the vector instructions that matter it has."""
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    name = re.search(r"model name\s*: (.*)", text)
    flags = re.search(r"flags\s*: (.*)", text)
    vectors = [flag for flag in ("avx512f", "avx2") if flags and flag in flags[1].split()]
    family = re.search(r"cpu family\s*: (.*)\n(?:model\s*: (.*)\n)?", text)
    numbers = f" (family {family[1]}, model {family[2]})" if family else ""
    return f"{name[1] if name else platform.processor()}{numbers}, {' '.join(vectors[:1])}"


def version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def output(command: list[str]) -> str:
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def build(*arguments: str) -> Path:
    """Builds a program of graft's, the last of the arguments, and returns where it is."""
    command = ["cargo", *arguments, "--message-format=json-render-diagnostics"]
    messages = map(json.loads, output(command).splitlines())
    made = (one for one in messages if one.get("target", {}).get("name") == arguments[-1])
    return Path([one["executable"] for one in made if one.get("executable")][-1])


def table(headers: list[str], rows: list[list[str]]) -> None:
    """Prints a Markdown table; all columns but the first are figures."""
    print("\n| " + " | ".join(headers) + " |")
    print("| --- |" + " ---: |" * (len(headers) - 1))
    for row in rows:
        print("| " + " | ".join(row) + " |", flush=True)
    print(flush=True)


def in_turns(contestants: dict, rounds: int) -> dict[str, float]:
    """Calls each of the functions, one after the other, `rounds` times over, after a first call that
    does not count. Each returns its seconds; this, their medians."""
    taken = {name: [] for name in contestants}
    for turn in range(rounds + 1):
        for name, function in contestants.items():
            seconds = function()
            if turn > 0:
                taken[name].append(seconds)
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:,.0f} ms" if seconds >= 0.1 else f"{seconds * 1e3:,.1f} ms"


def duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes} min {seconds} s"


def peak() -> int:
    """Most memory that this process has held so far, in bytes."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(re.search(r"VmHWM:\s+(\d+) kB", status)[1])
