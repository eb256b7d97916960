"""What the portrait check costs: ms a picture, and the memory that a process keeps for it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from time import perf_counter

ROUNDS = 10
SIDES = (512, 1024, 4096)


def main() -> None:
    import django
    import psutil
    from PIL import Image

    django.setup()

    from tests.generation.safety.test_portrait import head

    process = psutil.Process()
    before = process.memory_info().rss
    from generation.safety.portrait.check import check

    with tempfile.TemporaryDirectory() as folder:
        for side in SIDES:
            path = Path(folder) / f"{side}.png"
            head().resize((side, side), Image.Resampling.LANCZOS).save(path)
        began = perf_counter()
        check(Path(folder) / f"{SIDES[0]}.png")
        print(f"first picture, models loaded: {(perf_counter() - began) * 1000:.0f} ms")
        kept = (process.memory_info().rss - before) / 2**20
        for side in SIDES:
            times = []
            for _ in range(ROUNDS):
                began = perf_counter()
                check(Path(folder) / f"{side}.png")
                times.append(perf_counter() - began)
            print(f"{side} × {side}: {sorted(times)[ROUNDS // 2] * 1000:.0f} ms")
    print(f"kept for it: {kept:.0f} MiB with OpenCV")


if __name__ == "__main__":
    main()
