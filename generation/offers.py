"""Which models of the catalog jobs are taken for here, and why not for the others.

The licence must let the model run (`generation.licences`), and somebody must have served it.
A model that has weights is offered once a worker has stood ready for one of its lanes: until then nobody knows
whether the weights are there and fit, and a job would wait until its deadline. That a worker did stands in the
lane's clock (`scheduling.flows.open_lanes`), which stays when workers are stopped and forgotten, so a fleet may go
down to none. Fleets that start from none name their models in the setting `OFFERED_MODELS`.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.conf import settings

from billing.tiers import Tier
from generation import catalog, licences
from generation.catalog.schema import Model
from generation.errors import ModelUnavailable
from generation.models import LaneClock


def why_not(model: Model) -> str:
    """Why jobs for the model are not taken, in a sentence; empty where they are."""
    return _reasons([model]).get(model.slug, "")


def why_not_all() -> dict[str, str]:
    """The same for every model of the catalog that jobs are not taken for, by slug, in as few queries."""
    return _reasons(catalog.models().values())


def check(model: Model) -> None:
    """Raise `ModelUnavailable` where jobs for the model are not taken."""
    reason = why_not(model)
    if reason:
        raise ModelUnavailable(reason, field="model")


def _reasons(models: Iterable[Model]) -> dict[str, str]:
    """One reason a model: its licence first, for no worker starts before that is accepted."""
    models = list(models)
    return _never_served(models) | licences.refusals(models)


def _never_served(models: Iterable[Model]) -> dict[str, str]:
    """One query, and none where no model needs a worker of its own kind."""
    wanting = [model for model in models if model.weights and model.slug not in settings.OFFERED_MODELS]
    if not wanting:
        return {}
    lanes = [f"{model.slug}.{tier}" for model in wanting for tier in Tier.values]
    opened = LaneClock.objects.filter(pk__in=lanes).values_list("pk", flat=True)
    served = {lane.rpartition(".")[0] for lane in opened}
    return {model.slug: f"no worker here serves {model.name} yet" for model in wanting if model.slug not in served}
