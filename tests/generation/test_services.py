"""Submitting: checked against catalog and plan, complete, and once for each idempotency key."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from assets.models import Asset
from assets.services import upload
from assets.trash import delete
from billing.errors import LimitReached, NotInPlan
from billing.models import Plan
from billing.services import subscribe
from generation import services
from generation.errors import IdempotencyMismatch, InvalidJob
from generation.models import MAX_SEED, Job
from generation.services import JobRequest
from mutoscope.accounts.models import User
from mutoscope.accounts.selectors import Access, access_by_session
from mutoscope.errors import Refusal
from tests.conftest import picture_file
from tests.generation.catalogs import add, like
from tests.generation.samples import at_once, kinds, submit


def request(**wishes: Any) -> JobRequest:
    return JobRequest(**({"model": "still", "mode": "t2v"} | wishes))


def test_a_job_is_complete_when_it_is_accepted(access: Access, picture: Asset) -> None:
    job = services.submit(access, JobRequest(model="still", picture=picture.pk, prompt="  hello "))
    job.refresh_from_db()
    assert (job.state, job.mode, job.tier, job.lane, job.prompt) == (
        "queued",
        "i2v",
        "paid",
        "still.paid",
        "hello",
    )
    assert (job.size, job.width, job.height, job.seconds, job.fps, job.frames) == ("tiny", 64, 64, 1.0, 8, 8)
    assert (job.steps, job.guidance, job.created_by, job.api_key) == (8, 1.0, access.user, None)
    assert 0 <= job.seed <= MAX_SEED
    assert kinds(job) == ["queued"]


def test_a_seed_is_drawn_anew_each_time(access: Access) -> None:
    assert len({submit(access).seed for _ in range(5)}) == 5


@pytest.mark.parametrize(
    ("wishes", "field", "rule"),
    [
        ({"model": "sora"}, "model", "must be one of .*still.*, but is 'sora'"),
        ({"mode": "a2v"}, "mode", "must be one of i2v, t2v, but is 'a2v'"),
        ({"tier": "gold"}, "tier", "must be one of paid, batch, free, but is 'gold'"),
        ({"size": "huge"}, "size", "must be one of tiny, but is 'huge'"),
        ({"seconds": 0.1}, "seconds", "between 0.5 and 60, but is 0.1"),
        ({"seconds": 61.0}, "seconds", "between 0.5 and 60, but is 61"),
        ({"seconds": float("nan")}, "seconds", "but is nan"),
        ({"fps": 24}, "fps", "must be one of 8, but is '24'"),
        ({"fps": 0}, "fps", "must be one of 8, but is '0'"),
        ({"steps": 0}, "steps", "between 1 and 10000, but is 0"),
        ({"guidance": -1.0}, "guidance", "between 0 and 100, but is -1"),
        ({"guidance": float("inf")}, "guidance", "but is inf"),
        ({"guidance": float("nan")}, "guidance", "but is nan"),
        ({"seed": -1}, "seed", "between 0 and 4294967295, but is -1"),
        ({"seed": 2**32}, "seed", "but is 4294967296"),
        ({"prompt": "x" * 201}, "prompt", "at most 200 characters, but has 201"),
        ({"negative_prompt": "x" * 201}, "negative_prompt", "at most 200 characters, but has 201"),
        ({"picture": uuid4()}, "picture", "text-to-video takes no picture"),
        ({"mode": "i2v"}, "picture", "needs a picture"),
        ({"last_picture": uuid4()}, "last_picture", "the mode t2v takes no last_picture"),
        ({"preset": "high"}, "preset", "Still has no presets"),
        ({"model": "zoetrope", "preset": "best"}, "preset", "one of draft, standard, high, but is 'best'"),
        ({"mode": "i2v", "picture": uuid4()}, "picture", "no asset has the id"),
        ({"model": "preview", "mode": None, "steps": 5}, "steps", "Preview has no steps to set"),
    ],
)
def test_what_the_catalog_does_not_allow_is_refused(
    access: Access, picture: Asset, wishes: dict[str, Any], field: str, rule: str
) -> None:
    if wishes.get("model") == "preview":
        wishes = wishes | {"picture": picture.pk}
    with pytest.raises(InvalidJob, match=rule) as refused:
        services.submit(access, request(**wishes))
    assert refused.value.field == field
    assert not Job.objects.exists()


def test_a_preset_sets_what_is_not_named(access: Access) -> None:
    def sampling(**wishes: Any) -> tuple[str, int | None, float | None]:
        job = services.submit(access, request(model="zoetrope", **wishes))
        return job.preset, job.steps, job.guidance

    assert sampling() == ("standard", 8, 3.0)
    assert sampling(preset="draft") == ("draft", 2, 1.0)
    assert sampling(preset="high") == ("high", 16, 3.0)
    assert sampling(preset="draft", steps=5) == ("draft", 5, 1.0)
    assert sampling(preset="draft", guidance=0.0) == ("draft", 2, 0.0)
    assert submit(access).preset == ""


def test_the_engine_makes_what_it_can_and_the_rest_is_cut(access: Access) -> None:
    job = services.submit(access, request(model="zoetrope", seconds=2))
    assert (job.width, job.height, job.frames) == (96, 72, 16)
    assert (job.engine_width, job.engine_height, job.engine_frames) == (96, 96, 17)


def test_a_clip_that_ends_on_a_picture_reaches_it(access: Access, picture: Asset) -> None:
    wishes = request(model="zoetrope", mode="flf2v", picture=picture.pk, last_picture=picture.pk, seconds=2)
    job = services.submit(access, wishes)
    assert (job.frames, job.engine_frames, job.seconds) == (17, 17, 2)
    assert (job.picture, job.last_picture) == (picture, picture)


def test_the_last_picture_is_held_to_the_same_rules(access: Access, charlie: User, picture: Asset) -> None:
    stranger = access_by_session(charlie, {})
    assert stranger is not None
    foreign = upload(stranger, picture_file())
    both = {"model": "zoetrope", "mode": "flf2v", "picture": picture.pk}
    for last, rule in (
        (None, "the mode flf2v needs a last_picture"), (foreign.pk, "no asset has the id"),
        (uuid4(), "no asset has the id"),
    ):  # fmt: skip
        with pytest.raises(InvalidJob, match=rule) as refused:
            services.submit(access, request(**both, last_picture=last))
        assert refused.value.field == "last_picture"
    video = upload(access, picture_file(80, 80))
    Asset.objects.filter(pk=video.pk).update(kind="video", seconds=1)
    with pytest.raises(InvalidJob, match="last_picture must be an image"):
        services.submit(access, request(**both, last_picture=video.pk))


def test_a_model_that_reads_no_words_takes_none(access: Access, monkeypatch: pytest.MonkeyPatch) -> None:
    add(monkeypatch, like("still", slug="mute", name="Mute", prompt={"use": "ignored"}))
    for field in ("prompt", "negative_prompt"):
        with pytest.raises(InvalidJob, match=f"Mute reads no words, so {field} must be empty") as refused:
            services.submit(access, request(model="mute", **{field: "a lake"}))
        assert refused.value.field == field
    assert services.submit(access, request(model="mute", prompt="  ")).prompt == ""


def test_a_fixed_schedule_has_one_number_of_steps(access: Access, monkeypatch: pytest.MonkeyPatch) -> None:
    fixed = {"steps": 4, "min_steps": 4, "max_steps": 4, "guidance": 1.0}
    add(monkeypatch, like("still", slug="quick", name="Quick", sampling=fixed))
    assert services.submit(access, request(model="quick")).steps == 4
    with pytest.raises(InvalidJob, match="steps must be 4 in Quick, but is 5"):
        services.submit(access, request(model="quick", steps=5))


def test_a_picture_must_be_ones_own_and_a_picture(access: Access, charlie: User, picture: Asset) -> None:
    stranger = access_by_session(charlie, {})
    assert stranger is not None
    foreign = upload(stranger, picture_file())
    for unusable, reason in ((foreign, "no asset has the id"), (picture, "must be an image")):
        Asset.objects.filter(pk=picture.pk).update(kind="video", seconds=1)
        with pytest.raises(InvalidJob, match=reason):
            services.submit(access, JobRequest(model="still", picture=unusable.pk))


def test_a_deleted_picture_is_none(access: Access, picture: Asset) -> None:
    delete(access, picture.pk)
    with pytest.raises(InvalidJob, match="no asset has the id") as refused:
        services.submit(access, JobRequest(model="still", picture=picture.pk))
    assert refused.value.code == "picture_not_found"


def test_the_plan_says_which_tiers_there_are(access: Access) -> None:
    subscribe(access.workspace, Plan.objects.get(slug="free"))
    assert submit(access).lane == "still.free"
    with pytest.raises(NotInPlan, match="the plan Free does not have the tier 'paid'; it has free"):
        submit(access, tier="paid")


def test_the_plan_says_how_many_jobs_may_wait(access: Access) -> None:
    Plan.objects.filter(slug="studio").update(queued_jobs=2)
    first = submit(access)
    submit(access)
    with pytest.raises(LimitReached, match="lets 2 jobs wait at once, and 2 are waiting"):
        submit(access)
    services.cancel(access, first.pk)
    submit(access)


def test_the_same_key_and_request_are_the_same_job(access: Access) -> None:
    first = services.submit(access, request(prompt="a"), idempotency_key="k")
    again = services.submit(access, request(prompt="a"), idempotency_key="k")
    assert (again.pk, Job.objects.count(), kinds(first)) == (first.pk, 1, ["queued"])


def test_the_same_key_for_another_request_is_refused(access: Access) -> None:
    services.submit(access, request(prompt="a"), idempotency_key="k")
    with pytest.raises(IdempotencyMismatch):
        services.submit(access, request(prompt="b"), idempotency_key="k")
    assert Job.objects.count() == 1


def test_without_a_key_the_same_request_is_another_job(access: Access) -> None:
    assert services.submit(access, request(seed=1)) != services.submit(access, request(seed=1))


def test_keys_of_other_workspaces_are_others(access: Access, charlie: User) -> None:
    stranger = access_by_session(charlie, {})
    assert stranger is not None
    first = services.submit(access, request(prompt="a"), idempotency_key="k")
    second = services.submit(stranger, request(prompt="b"), idempotency_key="k")
    assert first != second


def test_a_key_answers_even_when_the_picture_is_gone_and_the_limit_reached(access: Access, picture: Asset) -> None:
    Plan.objects.filter(slug="studio").update(queued_jobs=1)
    wishes = JobRequest(model="still", picture=picture.pk)
    first = services.submit(access, wishes, idempotency_key="k")
    delete(access, picture.pk)
    assert services.submit(access, wishes, idempotency_key="k") == first


def test_a_key_has_a_limit(access: Access) -> None:
    assert services.submit(access, request(), idempotency_key="k" * 255)
    with pytest.raises(InvalidJob, match="at most 255 characters, but this one has 256"):
        services.submit(access, request(), idempotency_key="k" * 256)


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
@pytest.mark.parametrize("limit", [500, 1])
def test_one_key_at_once_is_one_job(access: Access, limit: int) -> None:
    Plan.objects.filter(slug="studio").update(queued_jobs=limit)
    jobs = at_once(*[lambda: services.submit(access, request(seed=1), idempotency_key="k")] * 20)
    assert len({job.pk for job in jobs}) == 1
    assert kinds(Job.objects.get()) == ["queued"]


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_the_limit_holds_for_requests_at_once(access: Access) -> None:
    Plan.objects.filter(slug="studio").update(queued_jobs=7)

    def attempt() -> str:
        try:
            services.submit(access, request())
        except Refusal as refused:
            return refused.code
        return "accepted"

    answers = at_once(*[attempt] * 30)
    assert (answers.count("accepted"), answers.count("limit_reached")) == (7, 23)
    assert Job.objects.count() == 7
