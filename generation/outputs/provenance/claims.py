"""What a manifest claims about a clip, and how C2PA writes it down."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import rfc8785
from django.conf import settings
from django.utils import timezone

from generation import catalog
from generation.catalog.schema import Model
from generation.models import Job
from generation.outputs.provenance.library import ASSERTION
from mutoscope import __version__

_SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
_TRAINING_ENTRIES = ("cawg.ai_generative_training", "cawg.ai_training", "cawg.data_mining")


class SourceType(StrEnum):
    """How the pictures came to be, in the words of the IPTC's vocabulary."""

    TRAINED = "trainedAlgorithmicMedia"
    """Made by a model that was trained on samples: what people call AI."""
    ALGORITHMIC = "algorithmicMedia"
    """Computed by rules alone, without anything trained."""

    @property
    def iri(self) -> str:
        """As the manifest names it."""
        return _SOURCE_TYPES + self.value


@dataclass(frozen=True, slots=True)
class Ingredient:
    """A picture that the clip was made from. Its title stands in the clip for everybody to read."""

    path: Path
    media_type: str
    title: str


@dataclass(frozen=True, slots=True)
class Claim:
    """What is said of a clip. Neither prompt nor file names nor people are in it: clips are passed on."""

    job_id: str
    model: str
    """Its name, as people know it."""
    model_version: str
    recipe_sha256: str
    """See `recipe_digest`."""
    source_type: SourceType
    made_at: datetime
    title: str = ""
    """Of the clip itself; empty is none."""
    ingredients: tuple[Ingredient, ...] = ()


def claim_of(
    job: Job,
    picture: Path | None,
    *,
    recipe: Mapping[str, Any] | None = None,
    last_picture: Path | None = None,
) -> Claim:
    """What there is to say of the job's clip.

    `picture` and `last_picture` are local files of what the job refers to; None is none. `recipe` is for a job
    whose row has it but not this copy; None is the job's own.
    """
    model = catalog.models().get(job.model)
    given = (("First picture", job.picture, picture), ("Last picture", job.last_picture, last_picture))
    return Claim(
        job_id=str(job.pk),
        model=model.name if model else job.model,
        model_version=_version(model),
        recipe_sha256=recipe_digest(job.recipe if recipe is None else recipe),
        # Of a model that has left the catalog nothing is known: then the stronger of the two is said.
        source_type=SourceType.ALGORITHMIC if model and not _is_trained(model) else SourceType.TRAINED,
        made_at=timezone.now(),
        ingredients=tuple(
            Ingredient(path, asset.media_type, title) for title, asset, path in given if asset and path
        ),
    )


def recipe_digest(recipe: Mapping[str, Any]) -> str:
    """SHA-256, in hexadecimal, over the recipe in the JSON Canonicalization Scheme (RFC 8785)."""
    return hashlib.sha256(rfc8785.dumps(dict(recipe))).hexdigest()


def definition(claim: Claim) -> dict[str, Any]:
    """The manifest as the C2PA library takes it, but for the ingredients themselves: see `ingredient_label`."""
    created: dict[str, Any] = {
        "action": "c2pa.created",
        "when": claim.made_at.isoformat(),
        "softwareAgent": {"name": claim.model, "version": claim.model_version},
        "digitalSourceType": claim.source_type.iri,
    }
    if claim.ingredients:
        labels = [ingredient_label(number) for number in range(len(claim.ingredients))]
        created["parameters"] = {"ingredientIds": labels}
    assertions = [
        {"label": "c2pa.actions", "data": {"actions": [created]}},
        {"label": ASSERTION, "data": _generation(claim)},
    ]
    if settings.C2PA_TRAINING:
        entries = {name: {"use": settings.C2PA_TRAINING} for name in _TRAINING_ENTRIES}
        assertions.append({"label": "cawg.training-mining", "data": {"entries": entries}})
    return {
        "claim_generator_info": [{"name": "Mutoscope", "version": __version__}],
        "assertions": assertions,
        **({"title": claim.title} if claim.title else {}),
    }


def ingredient_label(number: int) -> str:
    """What the action and the ingredient know each other by."""
    return f"picture-{number}"


def _generation(claim: Claim) -> dict[str, Any]:
    return {
        "job": claim.job_id,
        "model": claim.model,
        "model_version": claim.model_version,
        "recipe_sha256": claim.recipe_sha256,
        # C2PA itself keeps a digest only of an ingredient's manifest, and uploads have none left.
        "inputs_sha256": [_digest(ingredient.path) for ingredient in claim.ingredients],
    }


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_trained(model: Model) -> bool:
    return model.diffusion or model.weights is not None


def _version(model: Model | None) -> str:
    """The revision of the weights; of an engine without any, ours."""
    if model is None:
        return ""
    weights = model.weights
    return (weights.revision or weights.modelscope_revision) if weights else __version__
