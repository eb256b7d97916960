"""How much video an hour of a GPU makes: the published figures, until there are enough measured ones."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from billing.price_book import PriceBook
from generation import catalog
from generation.costs.estimates import estimates, model_called
from generation.costs.throughput import ENOUGH, Throughputs, throughput
from mutoscope.accounts.models import Workspace
from tests.generation.lines import ended

LTX = "ltx-video-2b"
H100 = "NVIDIA H100 80GB HBM3"


def finished(workspace: Workspace, count: int, *, gpu: str = H100, step: float = 0.5, **of: Any) -> None:
    """Clips of 12 s (96 frames, 8 a second) in 720p, each 40 steps."""
    for _ in range(count):
        shape = {"model": LTX, "width": 1280, "height": 720, "frames": 96, "steps": 40}
        ended(workspace, gpu=gpu, step=step, **{**shape, **of})


@pytest.mark.parametrize(
    ("gpu", "hourly"),
    [
        ("RTX 4090", 120), ("RTX 5090 PCIe", 200), ("L40S", 180), ("H100 PCIe", 450), ("H100 SXM5", 500),
        ("H200 SXM5", 600),
    ],
)  # fmt: skip
def test_without_measurements_it_is_what_was_published(db: None, gpu: str, hourly: float) -> None:
    found = throughput(LTX, gpu)
    assert found is not None
    assert (found.seconds_per_hour, found.is_measured, found.samples) == (hourly, False, 0)
    assert "2026-04-28" in found.source


def test_a_published_range_has_its_middle_and_its_ends(db: None) -> None:
    wan = throughput("wan2.2-i2v", "H100 SXM5")
    assert wan is not None
    assert (wan.low, wan.seconds_per_hour, wan.high) == (80, 90, 100)
    svd = throughput("svd-1.1", "RTX 4090")  # 4 s of video in 25 to 40 s
    assert svd is not None
    assert (svd.low, svd.high) == (360, 576)
    assert svd.seconds_per_hour == pytest.approx(14_400 / 32.5)


def test_what_was_not_published_follows_from_the_catalog_and_says_so(db: None) -> None:
    model = catalog.models()["ltx-video-13b"]
    assert model.sampling is not None
    here, there = throughput(model.slug, "H100 SXM5"), throughput(model.slug, "L40S")
    assert here is not None
    assert there is not None
    assert here.seconds_per_hour == pytest.approx(3600 * 4 / (model.sampling.steps * model.speed.seconds_per_step))
    assert there.seconds_per_hour == pytest.approx(here.seconds_per_hour * 180 / 500)
    assert "catalog" in here.source
    assert "carried over" in there.source
    assert not here.is_measured


@pytest.mark.parametrize(("model", "gpu"), [("preview", "H100 SXM5"), ("ltx-video-13b", "B200"), ("none", "L40S")])
def test_where_nothing_is_known_there_is_no_figure(db: None, model: str, gpu: str) -> None:
    assert throughput(model, gpu) is None


def test_enough_measurements_stand_in_for_the_estimate(workspace: Workspace) -> None:
    finished(workspace, ENOUGH - 1)
    estimate = throughput(LTX, "H100 SXM5")
    assert estimate is not None
    assert not estimate.is_measured
    finished(workspace, 1)
    found = throughput(LTX, "H100 SXM5")
    assert found is not None
    # 12 s in 40 × 0.5 s of the engine
    assert (found.is_measured, found.samples) == (True, ENOUGH)
    assert found.seconds_per_hour == pytest.approx(12 / 20 * 3600)
    other = throughput(LTX, "H200 SXM5")
    assert other is not None
    assert not other.is_measured


def test_smaller_clips_count_by_their_pixels(workspace: Workspace) -> None:
    finished(workspace, ENOUGH, width=640, height=360)
    found = throughput(LTX, "H100 SXM5")
    assert found is not None
    assert found.seconds_per_hour == pytest.approx(12 / 4 / 20 * 3600)


def test_only_whole_recent_attempts_on_known_gpus_count(workspace: Workspace) -> None:
    finished(workspace, ENOUGH, at=timedelta(days=40))
    finished(workspace, ENOUGH, first_step=20)
    finished(workspace, ENOUGH, outcome="failed")
    finished(workspace, ENOUGH, gpu="NVIDIA A100")
    finished(workspace, ENOUGH, gpu="")
    found = throughput(LTX, "H100 SXM5")
    assert found is not None
    assert not found.is_measured


def test_many_look_ups_are_one_query(workspace: Workspace, django_assert_num_queries: Any) -> None:
    finished(workspace, 2)
    book = PriceBook.read()
    with django_assert_num_queries(1):
        read = Throughputs.read(book)
        for gpu in book.gpus:
            read.of(LTX, gpu)


def test_the_estimates_name_models_of_the_catalog_and_gpus_of_the_price_book(db: None) -> None:
    shipped, models, gpus = estimates(), catalog.models(), PriceBook.read().gpus
    rows = [*shipped.throughput, *shipped.clip]
    assert {row.model for row in rows} | set(shipped.aliases.values()) <= set(models)
    assert {row.gpu for row in rows} | {shipped.reference.gpu} <= set(gpus)
    assert len({(row.model, row.gpu) for row in rows}) == len(rows)


def test_people_may_call_models_by_what_others_call_them() -> None:
    called = {name: model_called(name) for name in ("ltx-video", "LTX-Video", "wan-2.2", LTX, "preview", "sora")}
    assert {name: model and model.slug for name, model in called.items()} == {
        "ltx-video": LTX, "LTX-Video": LTX, "wan-2.2": "wan2.2-i2v", LTX: LTX, "preview": "preview", "sora": None,
    }  # fmt: skip
