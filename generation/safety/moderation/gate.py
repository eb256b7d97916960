"""Where requests are held up: before a job is made, its prompt and pictures are looked at."""

from __future__ import annotations

import hashlib
import logging
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from django.conf import settings
from django.db.models import F

from assets.models import Asset
from generation.models import Job, Review
from generation.safety.moderation.base import Action, Finding, Moderator
from generation.safety.moderation.chosen import moderator
from generation.safety.moderation.text import normalise
from mutoscope.alerts import alert
from mutoscope.errors import Conflict, Refusal

log = logging.getLogger(__name__)

Kind, State = Review.Kind, Review.State


class ModerationRefused(Refusal):
    """The prompt or picture may not be used here."""

    status = 422
    code = "moderation_refused"


class HeldForReview(Conflict):
    """An operator must look at it first; the same request passes once they allow it."""

    code = "held_for_review"


class ModerationUnavailable(Refusal):
    """It could not be looked at, and this installation takes nothing that was not."""

    status = 503
    code = "moderation_unavailable"
    retry_after = 60


def check(job: Job) -> None:
    """Look at the prompt and pictures of a job that is complete and not saved.

    What is to be decided by an operator is put to them. Raises `ModerationRefused`, `HeldForReview` or
    `ModerationUnavailable`.
    """
    chosen = moderator()
    if chosen is None:
        return
    if job.prompt:
        findings = _in_prompt(chosen, job.prompt)
        _settle(job, chosen, Kind.PROMPT, "prompt", findings, digest_of_prompt(job.prompt))
    for field in ("picture", "last_picture"):
        picture: Asset | None = getattr(job, field)
        if picture:
            findings = findings_in(picture, chosen, field)
            _settle(job, chosen, Kind.PICTURE, field, findings, picture.sha256, picture)


def check_words(job: Job) -> None:
    """Whether the prompt would be refused; puts nothing to operators. Raises as `check` does."""
    chosen = moderator()
    if chosen and job.prompt:
        _refuse(_in_prompt(chosen, job.prompt), "prompt")


def digest_of_prompt(prompt: str) -> str:
    """The same for prompts that differ in case, signs and spaces alone."""
    return hashlib.sha256(normalise(prompt).encode()).hexdigest()


def findings_in(picture: Asset, chosen: Moderator, field: str = "picture") -> list[Finding]:
    """What the moderator finds in the picture; looked at once, and remembered under the moderator's name."""
    kept = picture.moderation
    if kept and kept.get("moderator") == chosen.name:
        return [Finding(Action(found["action"]), found["what"], found["detail"]) for found in kept["findings"]]
    findings = _looked(chosen, field, lambda: _look_at(picture, chosen))
    if findings is None:  # it failed, so the next request tries again
        return []
    picture.moderation = {"moderator": chosen.name, "findings": [_as_kept(found) for found in findings]}
    picture.save(update_fields=["moderation"])
    return list(findings)


def _in_prompt(chosen: Moderator, prompt: str) -> Sequence[Finding]:
    return _looked(chosen, "prompt", lambda: chosen.prompt(prompt)) or []


def _as_kept(found: Finding) -> dict[str, str]:
    return {"action": found.action.value, "what": found.what, "detail": found.detail}


def _look_at(picture: Asset, chosen: Moderator) -> Sequence[Finding]:
    suffix = Path(str(picture.file)).suffix
    with tempfile.NamedTemporaryFile(suffix=suffix) as file, picture.file.open("rb") as source:
        shutil.copyfileobj(source, file)
        file.flush()
        return chosen.picture(Path(file.name))


def _looked(chosen: Moderator, field: str, look: Callable[[], Sequence[Finding]]) -> Sequence[Finding] | None:
    """What was found; None where looking failed and the installation takes what was not looked at."""
    try:
        return look()
    except Exception as error:  # a moderator is anybody's code: whatever it raises, it has not looked
        log.exception("moderation by %s failed", chosen.name)
        alert(f"moderation by {chosen.name} fails", f"{type(error).__name__}: {error}", key="moderation")
        if settings.MODERATION_ON_ERROR == "allow":
            return None
        raise ModerationUnavailable(
            f"the {field.replace('_', ' ')} could not be looked at by moderation, and nothing is made here "
            "that was not; the operators have been told, try again later",
            field=field,
        ) from error


def _refuse(findings: Sequence[Finding], field: str) -> None:
    refused = [found.what for found in findings if found.action == Action.REFUSE]
    if refused:
        raise ModerationRefused(
            f"the {field.replace('_', ' ')} may not be used here, because {' and '.join(dict.fromkeys(refused))}",
            field=field,
        )


def _settle(
    job: Job, chosen: Moderator, kind: Review.Kind, field: str, findings: Sequence[Finding], digest: str,
    picture: Asset | None = None,
) -> None:  # fmt: skip
    _refuse(findings, field)
    if not findings:
        return
    review, is_new = Review.objects.get_or_create(
        workspace=job.workspace, kind=kind, digest=digest,
        defaults={
            "created_by": job.created_by, "text": job.prompt if kind == Kind.PROMPT else "", "picture": picture,
            "reasons": [found.detail for found in findings], "moderator": chosen.name,
        },
    )  # fmt: skip
    if review.state == State.ALLOWED:
        return
    if is_new:
        alert(
            "something waits for review",
            f"a {kind} of the workspace {job.workspace_id}: {settings.PUBLIC_URL}/admin/generation/review/",
            key="review",
        )
    else:
        Review.objects.filter(pk=review.pk).update(times_asked=F("times_asked") + 1)
    noun = field.replace("_", " ")
    if review.state == State.REFUSED:
        raise ModerationRefused(f"an operator has looked at the {noun} and decided against it", field=field)
    raise HeldForReview(
        f"an operator must look at the {noun} first, because {findings[0].what}; you get an e-mail when "
        "they have, and can ask again then",
        field=field, review=review.pk,
    )  # fmt: skip
