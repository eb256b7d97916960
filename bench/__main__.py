"""`make bench`: every benchmark, one after the other, with the machine named."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path


def machine() -> str:
    """Processor, cores and system, as far as this system tells."""
    names = Path("/proc/cpuinfo")
    lines = names.read_text().splitlines() if names.exists() else []
    model = next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine()
    )
    return f"{model}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"


def main() -> None:
    print(f"Machine: {machine()}")
    for name in (
        "bench.preview",
        "bench.jobs",
        "bench.idle",
        "bench.streams",
        "bench.uploads",
        "bench.claims",
        "bench.ledger",
        "bench.provenance",
        "bench.eta",
        "bench.outputs",
        "bench.quality",
        "bench.portrait",
    ):
        print(f"\n# {name}\n", flush=True)
        subprocess.run([sys.executable, "-m", name], check=True)


if __name__ == "__main__":
    main()
