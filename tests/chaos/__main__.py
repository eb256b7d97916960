"""`python -m tests.chaos`: the command line, and the order of a suite."""

from __future__ import annotations

import argparse
import secrets
import sys
from dataclasses import replace
from pathlib import Path

from tests.chaos import setting
from tests.chaos.setting import Size

FULL = Size(jobs=300, seconds=300, workers=5, cut_off=60, pause=(2, 8), calm=(6, 20), rounds=12, cap=6)
SHORT = Size(jobs=36, seconds=18, workers=3, cut_off=5, pause=(1, 5), calm=(0.5, 2.5), rounds=4, cap=3)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--short", action="store_true", help="as in `make test`: every fault once or twice")
    parser.add_argument("--seed", type=int, help="repeats the plan of jobs and faults")
    parser.add_argument("--jobs", type=int)
    parser.add_argument("--workers", type=int)
    parser.add_argument("--minutes", type=float, help="of faults")
    parser.add_argument(
        "--var", type=Path, default=setting.BASE / "var" / "chaos", help="folder of the suite's own"
    )
    options = parser.parse_args()
    usual = SHORT if options.short else FULL
    size = replace(
        usual,
        jobs=options.jobs or usual.jobs,
        seconds=options.minutes * 60 if options.minutes else usual.seconds,
        workers=options.workers or usual.workers,
    )
    seed = secrets.randbelow(2**32) if options.seed is None else options.seed
    print(f"seed {seed}: {size}", flush=True)
    with setting.services(options.var.resolve(), size.cap) as services:
        from tests.chaos.suite import run

        return run(services, seed, size)


if __name__ == "__main__":
    sys.exit(main())
