"""Which models' licences this installation has accepted.

Acceptances are rows that are kept for good. A model whose catalog entry says `must_accept` takes jobs, is pulled
and gets workers only while one stands: of the licence's present name and version, for a country that the licence
does not exclude. Withdrawing it also pauses the model, so that what waits in its lanes is not started either.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from enum import StrEnum

from django.db import transaction
from django.db.models.functions import Now

from generation import recovery
from generation.catalog import territories
from generation.catalog.schema import Model
from generation.models import LicenceAcceptance, Pause
from mutoscope.accounts.models import User
from mutoscope.clock import database_time
from mutoscope.errors import Refusal

log = logging.getLogger(__name__)

WITHDRAWN = "the operator no longer accepts the model's licence"
"""Why a model is paused whose acceptance was withdrawn. Accepting the licence again lifts that pause."""


class LicenceRefusal(Refusal):
    """A licence cannot be accepted so."""

    code = "licence"


class State(StrEnum):
    """How a model's licence stands in this installation."""

    FREE = "none needed"
    ACCEPTED = "accepted"
    MUST_ACCEPT = "must be accepted"
    EXCLUDED = "excluded"
    """The acceptance is for a country that the licence excludes by now."""


def acceptances(models: Iterable[Model]) -> dict[str, LicenceAcceptance]:
    """The standing acceptance of each model's present licence, by slug; those without one are left out."""
    bound = {model.slug: model for model in models if model.licence.must_accept}
    if not bound:
        return {}
    standing = LicenceAcceptance.objects.filter(model__in=bound, withdrawn_at=None).select_related("accepted_by")
    return {found.model: found for found in standing if _is_for(found, bound[found.model])}


def states(models: Iterable[Model]) -> dict[str, State]:
    """How the licence of each model stands, by slug."""
    models = list(models)
    found = acceptances(models)
    return {model.slug: _state(model, found.get(model.slug)) for model in models}


def refusals(models: Iterable[Model]) -> dict[str, str]:
    """Why the licence keeps a model from running now, by slug; models that it does not keep are left out."""
    models = list(models)
    found = acceptances(models)
    sentences = {model.slug: _refusal(model, found.get(model.slug)) for model in models}
    return {slug: sentence for slug, sentence in sentences.items() if sentence}


def refusal(model: Model) -> str:
    """Why its licence keeps the model from running now, as a sentence; empty where nothing does."""
    return refusals([model]).get(model.slug, "")


@transaction.atomic
def accept(model: Model, territory: str, user: User) -> LicenceAcceptance:
    """Accept the model's present licence for an installation that is operated in a country (ISO 3166-1 alpha-2).

    Doing it twice, even at once, gives the same row. Raises `LicenceRefusal`.
    """
    licence = model.licence
    if not licence.must_accept:
        raise LicenceRefusal(f"{model.name} runs without its licence being accepted", code="licence_not_needed")
    if territory not in territories.NAMES:
        raise LicenceRefusal(
            f"the country must be one of ISO 3166-1, such as US, but is {territory!r}", field="territory"
        )
    if licence.excludes(territory):
        raise LicenceRefusal(
            f"{_titled(model)} does not hold in {territories.NAMES[territory]}, so it cannot be accepted there",
            code="territory_excluded",
            field="territory",
        )
    acceptance, _ = LicenceAcceptance.objects.get_or_create(
        model=model.slug,
        licence=licence.name,
        version=licence.version,
        withdrawn_at=None,
        defaults={
            "territory": territory,
            "accepted_by": user,
            "accepted_by_name": user.email,
            "accepted_at": database_time(),
        },
    )
    if acceptance.territory != territory:
        where = territories.NAMES.get(acceptance.territory, acceptance.territory)
        raise LicenceRefusal(
            f"{_titled(model)} is accepted for {where} already; withdraw that first", field="territory"
        )
    lifted, _ = Pause.objects.filter(scope=model.slug, reason=WITHDRAWN).delete()
    if lifted:
        transaction.on_commit(recovery.reissue_tickets)
    return acceptance


@transaction.atomic
def withdraw(model: Model, user: User) -> bool:
    """Take back the acceptance of the model's licence, of whatever version. Returns whether this call did it.

    Jobs under way end; those that wait stay in their lanes, paused, until the licence is accepted again or their
    deadline has come.
    """
    standing = LicenceAcceptance.objects.filter(model=model.slug, withdrawn_at=None)
    withdrawn = standing.update(withdrawn_at=Now())
    if withdrawn:
        log.info("%s withdrew the acceptance of %s", user, _titled(model))
        Pause.objects.get_or_create(scope=model.slug, defaults={"reason": WITHDRAWN, "paused_by": user})
    return bool(withdrawn)


def _is_for(acceptance: LicenceAcceptance, model: Model) -> bool:
    return (acceptance.licence, acceptance.version) == (model.licence.name, model.licence.version)


def _state(model: Model, acceptance: LicenceAcceptance | None) -> State:
    if not model.licence.must_accept:
        return State.FREE
    if acceptance is None:
        return State.MUST_ACCEPT
    return State.EXCLUDED if model.licence.excludes(acceptance.territory) else State.ACCEPTED


def _refusal(model: Model, acceptance: LicenceAcceptance | None) -> str:
    state = _state(model, acceptance)
    if state == State.MUST_ACCEPT:
        return f"{model.name} runs once an operator has accepted {_titled(model)}, in the admin under Licences"
    if state == State.EXCLUDED and acceptance:
        where = territories.NAMES.get(acceptance.territory, acceptance.territory)
        return f"{model.name} does not run here: {_titled(model)} does not hold in {where}"
    return ""


def _titled(model: Model) -> str:
    version = f" ({model.licence.version})" if model.licence.version else ""
    return f"the {model.licence.name}{version}"
