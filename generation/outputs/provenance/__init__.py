"""Provenance: signing and reading the C2PA manifest that says who made a clip, with which model, from what."""

from generation.outputs.provenance.claims import Claim, Ingredient, SourceType, claim_of, recipe_digest
from generation.outputs.provenance.identity import BadIdentity, Identity, signing_identity, warning_about
from generation.outputs.provenance.library import FORMATS
from generation.outputs.provenance.reading import BrokenManifest, Manifest, State, read
from generation.outputs.provenance.signing import sign

__all__ = [
    "FORMATS",
    "BadIdentity",
    "BrokenManifest",
    "Claim",
    "Identity",
    "Ingredient",
    "Manifest",
    "SourceType",
    "State",
    "claim_of",
    "read",
    "recipe_digest",
    "sign",
    "signing_identity",
    "warning_about",
]
