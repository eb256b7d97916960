"""The benchmark of the speed switches, with tiny models: it is run on rented machines, and must not fail there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench import engines


def test_it_runs_through_on_any_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "rows.jsonl"
    command = ["bench.engines", "--tiny", "--models", "ltx-2b", "--steps", "6", "--out", str(out)]
    monkeypatch.setattr(sys, "argv", command)
    engines.main()
    machine, *rows = map(json.loads, out.read_text().splitlines())
    assert machine["machine"]["torch"]
    assert [row["variant"] for row in rows] == [variant.name for variant in engines.VARIANTS]
    assert [row for row in rows if "failed" in row] == []
    assert [row["variant"] for row in rows if "skipped" in row] == [engines.RESTART], "nothing to compile on a CPU"
    repeated = [row for row in rows if "same_twice" in row]
    assert [row["variant"] for row in repeated] == list(engines.REPEATED)
    assert all(row["same_twice"] and row["resumed_same"] for row in repeated)
    by_name = {row["variant"]: row for row in rows}
    assert by_name["+attention"]["latents_off"] == 0
    assert by_name["cache strong"]["latents_off"] > 0
    assert "bound nothing about real pictures" in capsys.readouterr().out


def test_it_names_the_models_there_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["bench.engines", "--models", "ltx-2b,sora"])
    with pytest.raises(SystemExit):
        engines.main()
    assert "wan-a14b" in capsys.readouterr().err


def test_it_needs_nothing_but_what_models_need() -> None:
    """The machines it is rented for have PyTorch and diffusers, and neither Django nor a queue."""
    missing = ("django", "celery", "redis", "environ", "cv2")
    blocked = "".join(f"sys.modules[{name!r}] = None; " for name in missing)
    command = [sys.executable, "-c", f"import sys; {blocked}import bench.engines"]
    subprocess.run(command, check=True, timeout=120, env=os.environ | {"PYTHONPATH": ".:platform"})
