"""`python -m tests.chaos`: the command line, and the order of a suite."""

from __future__ import annotations

import argparse
import random
import secrets
import sys
from dataclasses import replace
from pathlib import Path

from tests.chaos import setting
from tests.chaos.setting import Size

FULL = Size(jobs=300, seconds=300, workers=6, cut_off=60, pause=(2, 8), calm=(6, 20), rounds=12, families=2, cap=6)
SHORT = Size(jobs=36, seconds=18, workers=3, cut_off=5, pause=(1, 5), calm=(0.5, 2.5), rounds=4, families=1, cap=3)

EACH_MODEL = 2
"""Models that always take part: the scripted one and `preview`."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--short", action="store_true", help="as in `make test`: every fault once or twice")
    parser.add_argument("--seed", type=int, help="repeats the plan of jobs and faults")
    parser.add_argument("--jobs", type=int)
    parser.add_argument("--workers", type=int)
    parser.add_argument("--minutes", type=float, help="of faults")
    parser.add_argument(
        "--families", nargs="+", choices=setting.FAMILIES, help="models with weights that take part"
    )
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
    if size.workers < (least := EACH_MODEL + len(options.families or ())):
        parser.error(f"each model needs a worker: --workers must be at least {least}, but is {size.workers}")
    size = replace(size, families=min(size.families, size.workers - EACH_MODEL))
    seed = secrets.randbelow(2**32) if options.seed is None else options.seed
    families = options.families or random.Random(seed).sample(sorted(setting.FAMILIES), size.families)
    print(f"seed {seed}: {size} with {', '.join(families)}", flush=True)
    with setting.services(options.var.resolve(), size.cap, families) as services:
        from tests.chaos.suite import run

        return run(services, seed, size, families)


if __name__ == "__main__":
    sys.exit(main())
