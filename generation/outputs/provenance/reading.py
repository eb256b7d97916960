"""Reading the manifest of a file, ours or anybody's, without asking the network for anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from generation.outputs.provenance.claims import SourceType
from generation.outputs.provenance.identity import BadIdentity, signing_identity
from generation.outputs.provenance.library import ASSERTION, FORMATS, context
from mutoscope import certificates

_MADE_BY_AI = (SourceType.TRAINED.value, "compositeWithTrainedAlgorithmicMedia", "trainedAlgorithmicData")


class BrokenManifest(Exception):
    """What there is cannot be read: the file or its manifest is damaged, or the manifest is kept elsewhere."""


class State(StrEnum):
    """How far a manifest can be believed."""

    TRUSTED = "trusted"
    """The file is as it was signed, by somebody whose name an authority vouches for that is trusted here."""
    VALID = "valid"
    """The file is as it was signed, by somebody of whom nothing is known here."""
    INVALID = "invalid"
    """The file was changed since, or the signature does not hold, or its certificate has expired without a time
    stamp from before."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a file says of itself. Only what `state` allows is to be believed."""

    state: State
    problems: tuple[str, ...]
    """Why it is not trusted: the C2PA's code and a sentence each."""
    label: str
    """The manifest's own name."""
    issuer: str
    """In whose name it was signed."""
    is_development: bool
    """Signed with a certificate that an installation made for itself."""
    time_stamped_at: str | None
    """By a time-stamping authority, ISO 8601."""
    generator: str
    """The program that made the claim."""
    source_type: str
    """The last part of its IRI, such as trainedAlgorithmicMedia; empty is not said."""
    model: str
    model_version: str
    made_at: str
    job_id: str
    """Of the installation that signed it; empty where it is not a clip of Mutoscope's."""
    recipe_sha256: str
    ingredients: tuple[str, ...]
    """Their titles."""
    whole: Mapping[str, Any]
    """Everything, as the C2PA library gives it."""
    is_ours: bool = False
    """Trusted, and signed in the name that this machine signs in, too."""

    @property
    def is_made_by_ai(self) -> bool:
        """Whether it says that a trained model made it, or a part of it."""
        return self.source_type in _MADE_BY_AI


def read(path: Path, media_type: str, *, anchors: str = "") -> Manifest | None:
    """The manifest in the file; None where there is none, or the format cannot hold any.

    Trusted are the authority of this machine's own certificate, and those in `anchors` (PEM). Raises
    `BrokenManifest`.
    """
    try:
        own = signing_identity()
    except BadIdentity:
        return manifest_in(path, media_type, anchors=anchors)
    found = manifest_in(path, media_type, anchors=own.authorities + anchors)
    if found and found.state == State.TRUSTED and found.issuer == own.organization:
        return replace(found, is_ours=True)
    return found


def manifest_in(path: Path, media_type: str, *, anchors: str) -> Manifest | None:
    """As `read`, with none trusted but those in `anchors`, and nothing taken for ours."""
    import c2pa  # see `library.context`

    format_ = FORMATS.get(media_type, media_type)
    if format_ not in c2pa.Reader.get_supported_mime_types():
        return None
    try:
        with path.open("rb") as file:
            reader = c2pa.Reader.try_create(format_, file, context=context(anchors=anchors))
            if reader is None:
                return None
            with reader:
                active = reader.get_active_manifest()
                results = reader.get_validation_results() or {}
                state = reader.get_validation_state()
    except c2pa.C2paError as error:
        raise BrokenManifest(str(error)) from error
    if not active:
        raise BrokenManifest("the file holds manifests, but none is the active one")
    return _manifest(active, results, state or "Invalid")


def _manifest(active: Mapping[str, Any], results: Mapping[str, Any], state: str) -> Manifest:
    data = {str(one.get("label", "")): _table(one.get("data")) for one in active.get("assertions", [])}
    action, ours, signature = (
        _first_action(data),
        _table(data.get(ASSERTION)),
        _table(active.get("signature_info")),
    )
    agent = action.get("softwareAgent")
    agent = agent if isinstance(agent, Mapping) else {"name": agent or ""}
    return Manifest(
        state=State(state.lower()),
        problems=tuple(
            f"{found.get('code')}: {found.get('explanation', '')}"
            for found in _table(results.get("activeManifest")).get("failure", [])
        ),
        label=str(active.get("label", "")),
        issuer=str(signature.get("issuer") or signature.get("common_name") or ""),
        is_development=signature.get("issuer") == certificates.DEVELOPMENT,
        time_stamped_at=signature.get("time"),
        generator=_generator(active),
        source_type=str(action.get("digitalSourceType", "")).rpartition("/")[2],
        model=str(agent.get("name", "")),
        model_version=str(agent.get("version", "")),
        made_at=str(action.get("when", "")),
        job_id=str(ours.get("job", "")),
        recipe_sha256=str(ours.get("recipe_sha256", "")),
        ingredients=tuple(str(one.get("title", "")) for one in active.get("ingredients", [])),
        whole=active,
    )


def _table(value: object) -> Mapping[str, Any]:
    """Anybody can have written the manifest: what should be a table may be anything."""
    return value if isinstance(value, Mapping) else {}


def _first_action(data: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    """How the file came into being: the C2PA wants it to stand first."""
    for label, content in data.items():
        actions = content.get("actions") if label.startswith("c2pa.actions") else None
        if isinstance(actions, list) and actions:
            return _table(actions[0])
    return {}


def _generator(active: Mapping[str, Any]) -> str:
    found = active.get("claim_generator_info")
    first = _table(found[0]) if isinstance(found, list) and found else {}
    return " ".join(str(first[key]) for key in ("name", "version") if first.get(key))
