"""The benchmark of whole clips, with tiny models of every family: it is run on rented machines."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench import gpu, ring, table
from bench.random_models.engines import SPECS, TINY
from generation.catalog import models
from generation.catalog.fitting import plan_for

H100_MIB = 81559
PARTS = ("words_seconds", "prepare_seconds", "denoise_seconds", "decode_seconds", "hand_over_seconds")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[dict[str, Any]]]:
    """What a run of all models prints, and its rows."""
    out = tmp_path_factory.mktemp("gpu") / "rows.jsonl"
    command = [sys.executable, "-m", "bench.gpu", "--tiny", "--steps", "3", "--out", str(out)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=600, env=environment())
    return done.stdout, [json.loads(line) for line in out.read_text().splitlines()]


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": ".:platform"}


def test_every_family_makes_its_clips_in_every_way(told: tuple[str, list[dict[str, Any]]]) -> None:
    machine, *rows = told[1]
    assert machine["machine"]["bf16_peak_flops"] > 0
    assert [row for row in rows if "failed" in row] == []
    assert [(row["model"], row["variant"]) for row in rows if "skipped" in row] == [("svd", "fastest")]
    ways = {(row["model"], row["variant"]) for row in rows}
    assert ways == {(name, variant) for name in TINY for variant in gpu.VARIANTS}


def test_seconds_and_shares_are_sensible(told: tuple[str, list[dict[str, Any]]]) -> None:
    rows = [row for row in told[1] if "clip_seconds" in row]
    assert len(rows) == 3 * len(TINY) - 1 + 3 * 2  # SVD has nothing faster; both Wans have a draft, too
    for row in rows:
        assert row["clip_seconds"] == pytest.approx(sum(row[part] for part in PARTS))
        assert min(row[part] for part in PARTS) >= 0
        assert row["words_seconds"] > 0
        assert row["decode_seconds"] > 0
        assert row["denoise_seconds"] > row["step_seconds"] * (row["steps"] - 1) / 2
        assert row["share_of_peak"] > 0
        assert 0 <= row["attention_share"] < 1
        assert (row["hand_over_seconds"] > 0.0001) == (row["variant"] != "stock")
        assert row["steps_measured"] <= 3


def test_a_clip_that_is_not_measured_is_reckoned_by_its_forwards(told: tuple[str, list[dict[str, Any]]]) -> None:
    large = [row for row in told[1] if row.get("model") == "wan-a14b-720p" and row["variant"] == "default"]
    draft, standard = large
    assert (draft["measured"], standard["measured"]) == ("draft", "draft")
    assert standard["step_seconds"] == pytest.approx(2 * draft["step_seconds"])
    assert standard["flops_per_step"] == 2 * draft["flops_per_step"]
    assert standard["guidance"] > draft["guidance"] == 1.0


def test_the_table_comes_last(told: tuple[str, list[dict[str, Any]]]) -> None:
    printed, rows = told
    lines = printed.splitlines()[-len(rows) - 1 :]
    assert lines[0].startswith("| model | clip | variant")
    assert all(line.count("|") == lines[0].count("|") for line in lines)
    assert "(reckoned from the draft)" in printed


def test_when_the_time_is_up_every_row_is_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "rows.jsonl"
    monkeypatch.setattr(
        sys,
        "argv",
        ["bench.gpu", "--tiny", "--models", "ltx-2b,wan-a14b", "--seconds", "0.05", "--out", str(out)],
    )
    gpu.main()
    rows = [json.loads(line) for line in out.read_text().splitlines()][1:]
    assert len(rows) == 6
    assert rows[0]["failed"] == "the time was up"
    assert all(row["skipped"] == "no time left" for row in rows[1:])
    assert capsys.readouterr().out.splitlines()[-1].startswith("| wan-a14b")


def test_what_fails_is_told_and_the_rest_goes_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fails(*_: Any) -> None:
        raise RuntimeError("CUDA out of memory")

    monkeypatch.setattr(gpu.Stock, "load", fails)
    bench = gpu.Bench(TINY["ltx-2b"], gpu.clips_of(TINY["ltx-2b"], 2), tmp_path, 1e9)
    (stock,), (default,) = bench.rows("stock"), bench.rows("default")
    assert stock["failed"] == "RuntimeError: CUDA out of memory"
    assert default["clip_seconds"] > 0
    assert "faster" not in default


def test_a_memory_plan_is_a_variant(tmp_path: Path) -> None:
    spec = TINY["wan-a14b"]
    bench = gpu.Bench(spec, gpu.clips_of(spec, 2), tmp_path, 1e9)
    assert [row["plan"] for row in bench.rows("offload")] == ["offload", "offload"]
    svd = gpu.Bench(TINY["svd"], [], tmp_path, 1e9)
    assert [row["skipped"] for row in svd.rows("fp8")] == ["the model has no memory plan 'fp8'"]


def test_frames_are_read_out_of_the_ring_while_they_are_written() -> None:
    """More of them than it has room for."""
    np = pytest.importorskip("numpy")
    with ring.drained_ring(2048, 2048, 40) as sink:
        for _ in range(40):
            sink.write(np.zeros((2048, 2048, 3), np.uint8))
    assert sink.written == 40


@pytest.mark.parametrize("name", SPECS)
def test_a_worker_takes_the_plan_that_is_measured(name: str) -> None:
    spec = SPECS[name]
    assert spec.plan == plan_for(models()[spec.model], H100_MIB)


def test_estimates_are_of_models_that_are_measured() -> None:
    assert set(table.BRIEF) <= set(SPECS)


def test_it_names_the_models_there_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["bench.gpu", "--models", "ltx-2b,sora"])
    with pytest.raises(SystemExit):
        gpu.main()
    assert "hunyuan-i2v" in capsys.readouterr().err


def test_it_names_the_variants_there_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["bench.gpu", "--variants", "stock,slowest"])
    with pytest.raises(SystemExit):
        gpu.main()
    assert "--variants must be of stock, default, fastest, full, lean" in capsys.readouterr().err


def test_it_needs_nothing_but_what_models_need() -> None:
    """The machines it is rented for have PyTorch and diffusers, and neither Django nor a queue."""
    missing = ("django", "celery", "redis", "environ", "cv2", "pydantic")
    blocked = "".join(f"sys.modules[{name!r}] = None; " for name in missing)
    command = [sys.executable, "-c", f"import sys; {blocked}import bench.gpu"]
    subprocess.run(command, check=True, timeout=120, env=environment())
