"""Seconds per step: measured where there was something, carried over where it was near, else guessed."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pytest_django import DjangoAssertNumQueries

from generation import tasks
from generation.forecast import pace
from generation.models import Job, Pace
from mutoscope.accounts.models import Workspace
from tests.generation.lines import ended, workspace_of
from tests.generation.samples import at_once


@pytest.fixture
def studio(db: None) -> Workspace:
    return workspace_of(1)


def shape(**of: object) -> Job:
    """A job of the tests' model: 8 denoising steps over 8 frames, unless told otherwise."""
    return Job(**{"model": "still", "size": "tiny", "width": 64, "height": 64, "frames": 8, "steps": 8, **of})


def preview(**of: object) -> Job:
    """A job of a model that does not denoise: a step is a frame."""
    return shape(model="preview", size="480p-1-1", width=480, height=480, frames=48, steps=None, **of)


def measured(**of: object) -> Pace:
    pace.measure()
    return Pace.objects.get(**of)


def test_a_pace_is_median_and_tenths_of_what_was_measured(studio: Workspace) -> None:
    for step in (0.1, 0.2, 0.3, 0.4, 1.5):
        ended(studio, step=step, finish=step * 10)
    found = measured()
    assert (found.model, found.size, found.frames, found.samples) == ("still", "tiny", 8, 5)
    assert [found.median, found.low, found.high] == pytest.approx([0.3, 0.14, 1.06], rel=1e-3)
    assert [found.finish, found.finish_high] == pytest.approx([3, 10.6], rel=1e-3)


def test_measuring_again_changes_what_has_changed_alone(studio: Workspace) -> None:
    ended(studio, step=0.1)
    first = measured()
    tasks.measure_pace()
    assert Pace.objects.get().pk == first.pk
    assert Pace.objects.get().median == first.median
    for _ in range(2):
        ended(studio, step=0.5)
    assert measured().median == pytest.approx(0.5, rel=1e-3)


def test_the_most_recent_attempts_count(studio: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "SAMPLES", 2)
    ended(studio, step=9, at=timedelta(days=1))
    for _ in range(2):
        ended(studio, step=1)
    assert measured().high == pytest.approx(1, rel=1e-3)


@pytest.mark.parametrize(
    "of", [{"outcome": "failed"}, {"outcome": "lost"}, {"first_step": 3}, {"at": timedelta(days=15)}]
)
def test_what_says_nothing_about_whole_jobs_is_left_out(studio: Workspace, of: dict[str, object]) -> None:
    ended(studio, **of)  # type: ignore[arg-type]
    assert pace.measure() == 0
    assert not Pace.objects.exists()


def test_each_kind_has_its_own(studio: Workspace) -> None:
    for gpu, precision in (("H100", "bf16"), ("H100", "fp8"), ("L4", "fp8")):
        ended(studio, gpu=gpu, precision=precision)
    ended(studio, frames=16)
    assert pace.measure() == 4


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_measurements_at_once_do_not_hurt(transactional_db: None) -> None:
    studio = workspace_of(1)
    for frames in (8, 16, 24):
        ended(studio, frames=frames)
    assert at_once(*[pace.measure] * 6) == [3] * 6
    assert Pace.objects.count() == 3


def test_a_measured_pace_is_told_as_it_is(studio: Workspace) -> None:
    for _ in range(100):
        ended(studio, step=0.5, gpu="H100", precision="bf16")
    pace.measure()
    speed = pace.seconds_per_step(shape(), "H100", "bf16")
    assert speed.measured
    assert speed.step.likely == pytest.approx(0.5, rel=1e-3)
    assert speed.step.low == pytest.approx(0.5 * (1 - 0.3 / 50**0.5), rel=1e-3)  # of 50 samples at most
    assert speed.finish.likely == pytest.approx(1, rel=1e-3)


def test_few_samples_are_trusted_less(studio: Workspace) -> None:
    ended(studio, step=1)
    pace.measure()
    step = pace.seconds_per_step(shape()).step
    assert [step.low, step.likely, step.high] == pytest.approx([0.7, 1, 1.3], rel=1e-3)


def test_a_denoising_step_works_on_all_frames_at_once(studio: Workspace) -> None:
    ended(studio, step=1, frames=8)
    pace.measure()
    speed = pace.seconds_per_step(shape(frames=16))
    assert speed.measured
    assert speed.step.likely == pytest.approx(2, rel=1e-3)
    assert speed.step.high > 2.6 * 0.999


def test_a_step_of_a_model_that_does_not_denoise_is_one_frame(studio: Workspace) -> None:
    ended(studio, step=0.02, model="preview", size="480p-1-1", width=480, height=480, frames=48, steps=None)
    pace.measure()
    longer = preview()
    longer.frames = 96
    assert pace.seconds_per_step(longer).step.likely == pytest.approx(0.02, rel=1e-3)
    assert pace.expected_ms(longer) == pytest.approx(1920, rel=1e-3)


def test_another_size_is_carried_over_by_its_pixels(studio: Workspace) -> None:
    ended(studio, step=0.02, model="preview", size="480p-1-1", width=480, height=480, frames=48, steps=None)
    pace.measure()
    wide = preview()
    wide.size, wide.width, wide.height = "720p-1-1", 720, 720
    assert pace.seconds_per_step(wide).step.likely == pytest.approx(0.045, rel=1e-3)


def test_the_nearest_is_taken(studio: Workspace) -> None:
    ended(studio, step=1, frames=8)
    ended(studio, step=50, frames=80)
    pace.measure()
    assert pace.seconds_per_step(shape(frames=10)).step.likely == pytest.approx(1.25, rel=1e-3)


def test_presets_do_not_blur(studio: Workspace) -> None:
    for _ in range(50):
        ended(studio, step=1, preset="standard")
        ended(studio, step=0.25, preset="draft", steps=4)
    assert pace.measure() == 2
    assert pace.expected_ms(shape(preset="standard")) == pytest.approx(8000, rel=1e-3)
    assert pace.expected_ms(shape(preset="draft", steps=4)) == pytest.approx(1000, rel=1e-3)
    draft = pace.seconds_per_step(shape(preset="draft", steps=4)).step
    assert draft.high == pytest.approx(0.25 * (1 + 0.3 / 50**0.5), rel=1e-3)


def test_the_own_preset_at_another_length_says_more_than_another_preset(studio: Workspace) -> None:
    ended(studio, step=1, preset="standard", frames=8)
    ended(studio, step=0.5, preset="draft", frames=16)
    pace.measure()
    assert pace.seconds_per_step(shape(preset="draft")).step.likely == pytest.approx(0.25, rel=1e-3)


def test_a_preset_without_samples_goes_by_the_steps_of_another_and_widely(studio: Workspace) -> None:
    for _ in range(50):
        ended(studio, step=1, preset="standard")
    pace.measure()
    draft = shape(preset="draft", steps=4)
    assert pace.expected_ms(draft) == pytest.approx(4000, rel=1e-3)
    speed = pace.seconds_per_step(draft)
    assert speed.measured
    assert speed.step.low <= 0.5
    assert speed.step.high >= 2


def test_a_size_that_has_left_the_catalog_helps_nobody(studio: Workspace) -> None:
    ended(studio, step=1, size="gone")
    pace.measure()
    speed = pace.seconds_per_step(shape())
    assert not speed.measured
    assert speed.step.likely == 0.01


def test_another_gpu_is_a_guess_but_better_than_the_catalogs(studio: Workspace) -> None:
    ended(studio, step=1, gpu="H100")
    pace.measure()
    speed = pace.seconds_per_step(shape(), "L4", "")
    assert not speed.measured
    assert speed.step.likely == pytest.approx(1, rel=1e-3)
    assert speed.step.high >= 3 * 0.999


def test_without_data_the_catalog_is_believed_widely(db: None) -> None:
    speed = pace.seconds_per_step(shape())
    assert not speed.measured
    assert [speed.step.low, speed.step.likely, speed.step.high] == pytest.approx([0.01 / 3, 0.01, 0.03])
    assert speed.finish.likely == 0
    assert pace.seconds_per_step(shape(model="gone")).step.likely == 0


def test_the_expected_work_costs_one_query(
    studio: Workspace, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(1):
        assert pace.expected_ms(shape()) == 80
    assert pace.expected_ms(shape(model="gone")) == 1
    ended(studio, step=0.5)
    pace.measure()
    assert pace.expected_ms(shape()) == pytest.approx(4000, rel=1e-3)
