"""Signing a finished file, in place: signed and read back, or left as it was."""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.conf import settings

from generation.engines.base import EngineError
from generation.outputs.provenance.claims import Claim, definition, ingredient_label
from generation.outputs.provenance.identity import BadIdentity, Identity, signing_identity
from generation.outputs.provenance.library import FORMATS, context
from generation.outputs.provenance.reading import BrokenManifest, State, manifest_in


def sign(path: Path, media_type: str, claim: Claim) -> dict[str, Any]:
    """Put a signed manifest into the file; returns what is kept of it beside the file, in plain JSON types.

    A format that cannot hold one is left alone, and the summary says so (`is_signed`). Raises `EngineError`:
    machine, where the certificate or the time-stamping authority will not do; ours, where the library fails.
    """
    if media_type not in FORMATS:
        return {"is_signed": False, "reason": f"files of the type {media_type} cannot hold a C2PA manifest"}
    try:
        identity = signing_identity()
    except BadIdentity as error:
        raise EngineError("signing_identity", f"clips cannot be signed: {error}", "machine") from error
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    signed = Path(name)
    try:
        _write(path, signed, FORMATS[media_type], claim, identity)
        summary = _read_back(signed, media_type, claim, identity)
        signed.chmod(path.stat().st_mode)
        signed.replace(path)
    finally:
        with suppress(FileNotFoundError):
            signed.unlink()
    return summary


def _write(source: Path, target: Path, format_: str, claim: Claim, identity: Identity) -> None:
    import c2pa  # see `library.context`

    tsa = settings.C2PA_TSA_URL
    try:
        signer = c2pa.Signer.from_info(
            c2pa.C2paSignerInfo(
                identity.algorithm.encode(), identity.chain, identity.key, tsa.encode() if tsa else None
            )
        )
        with signer, c2pa.Builder(definition(claim), context=context()) as builder:
            for number, ingredient in enumerate(claim.ingredients):
                told = {"title": ingredient.title, "relationship": "inputTo", "label": ingredient_label(number)}
                with ingredient.path.open("rb") as picture:
                    builder.add_ingredient(json.dumps(told), ingredient.media_type, picture)
            with source.open("rb") as unsigned, target.open("w+b") as signed:
                builder.sign(signer, format_, unsigned, signed)
    except c2pa.C2paError as error:
        raise _fault(error) from error


def _fault(error: Exception) -> EngineError:
    said = str(error).lower().replace(" ", "")
    # Signing speaks to nobody else: whatever is wrong with HTTP is wrong with the authority.
    if settings.C2PA_TSA_URL and ("timestamp" in said or "http" in said):
        return EngineError(
            "time_stamp_failed", f"{settings.C2PA_TSA_URL} gave no time stamp for the clip: {error}", "machine"
        )
    return EngineError("signing_failed", f"the clip could not be signed: {error}", "ours")


def _read_back(path: Path, media_type: str, claim: Claim, identity: Identity) -> dict[str, Any]:
    try:
        manifest = manifest_in(path, media_type, anchors=identity.authorities)
    except BrokenManifest as error:
        raise EngineError("signing_failed", f"the signed clip could not be read back: {error}", "ours") from error
    if manifest is None or manifest.state != State.TRUSTED or manifest.job_id != claim.job_id:
        found = "; ".join(manifest.problems) or manifest.state if manifest else "no manifest"
        raise EngineError(
            "signing_failed", f"the manifest must read back as trusted, but there is: {found}", "ours"
        )
    return {
        "is_signed": True,
        "job": claim.job_id,
        "manifest": manifest.label,
        "issuer": identity.organization or identity.common_name,
        "is_development": identity.is_development,
        "certificate_until": identity.valid_until.isoformat(),
        "time_stamped_at": manifest.time_stamped_at,
        "source_type": claim.source_type.value,
        "model": claim.model,
        "model_version": claim.model_version,
        "recipe_sha256": claim.recipe_sha256,
        "made_at": claim.made_at.isoformat(),
        "generator": manifest.generator,
        "ingredients": [ingredient.title for ingredient in claim.ingredients],
    }
