"""The benchmark of a whole worker, with a tiny model: it is run on rented machines, and must not fail there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BASE_DIR = Path(__file__).resolve().parents[2]
OWN = ("DATABASE_URL", "REDIS_URL", "MUTOSCOPE_VAR", "MODELS_FOLDER", "CATALOG_FOLDERS")
"""Where the tests' own services and models are: the benchmark brings its own."""


@pytest.mark.processes
def test_it_runs_through_on_any_machine(tmp_path: Path) -> None:
    out = tmp_path / "rows.jsonl"
    command = ["-m", "bench.worker", "--tiny", "--jobs", "3", "--steps", "8,4", "--out", str(out)]
    environment = {name: value for name, value in os.environ.items() if name not in OWN}
    environment["PYTHONPATH"] = f"{BASE_DIR}:{BASE_DIR / 'platform'}"
    done = subprocess.run(
        [sys.executable, *command],
        cwd=BASE_DIR, env=environment, capture_output=True, text=True, timeout=400, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    machine, first, again, job, *rows = map(json.loads, out.read_text().splitlines())
    assert machine["weights_gib"] > 0
    for start in (first, again):
        stages = [start[stage] for stage in ("worker", "packages", "weights", "warm_up")]
        assert min(stages) > 0
        assert sum(stages) <= start["ready"], "no second is counted twice"
    assert (job["width"], job["height"], job["frames"]) == (64, 64, 9)
    assert job["words"] + job["denoise"] + job["decode"] + job["hand_over"] == pytest.approx(job["engine"])
    assert job["begin"] + job["engine"] + job["publish"] == pytest.approx(job["whole"])
    assert [(row["steps"], row["jobs"], len(row["gaps"])) for row in rows] == [(8, 3, 2), (4, 3, 2)]
    assert all(gap > 0 for row in rows for gap in row["gaps"]), "an engine serves one request at a time"
    assert "## Between two jobs in a row" in done.stdout
