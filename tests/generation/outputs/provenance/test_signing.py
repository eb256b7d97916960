"""Manifests in real files: signed in place, read back, believed only as far as they hold."""

from __future__ import annotations

import hashlib
import json
import stat
import zipfile
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import c2pa
import pytest
from django.utils import timezone

from assets.models import Asset
from generation.engines.base import EngineError
from generation.outputs.provenance import (
    BrokenManifest,
    Claim,
    Ingredient,
    SourceType,
    State,
    claim_of,
    read,
    recipe_digest,
    sign,
    signing_identity,
)
from mutoscope.accounts.selectors import Access
from mutoscope.media import is_faststart, probe
from tests.conftest import wait_for
from tests.generation.outputs.provenance.chains import DAY, install_good
from tests.generation.samples import submit

Media = Callable[[str], Path]
TYPES = {
    "mp4": "video/mp4", "h265.mp4": "video/mp4", "mov": "video/quicktime", "gif": "image/gif",
    "webp": "image/webp", "png": "image/png", "jpg": "image/jpeg",
}  # fmt: skip


@pytest.mark.parametrize("kind", list(TYPES))
def test_what_is_signed_reads_back(media: Media, claim: Claim, kind: str) -> None:
    clip = media(kind)
    before = clip.stat().st_size
    summary = sign(clip, TYPES[kind], claim)
    found = read(clip, TYPES[kind])
    assert found is not None
    assert (found.state, found.problems, found.is_ours, found.is_development) == (State.TRUSTED, (), True, True)
    assert (found.job_id, found.recipe_sha256) == (claim.job_id, claim.recipe_sha256)
    assert (found.model, found.model_version) == ("LTX-Video 2B", "a6d59ee37c13")
    assert found.generator.startswith("Mutoscope ")
    assert found.time_stamped_at is None
    assert summary == json.loads(json.dumps(summary))
    assert (summary["is_signed"], summary["manifest"]) == (True, found.label)
    assert before < clip.stat().st_size < before + 60_000
    assert [path.name for path in clip.parent.iterdir() if path.name.startswith(".")] == []


def test_a_zip_of_pictures_is_signed_and_stays_whole(media: Media, claim: Claim, tmp_path: Path) -> None:
    archive = tmp_path / "frames.zip"
    with zipfile.ZipFile(archive, "w") as writing:
        writing.write(media("png"), "0001.png")
    sign(archive, "application/zip", claim)
    with zipfile.ZipFile(archive) as reading:
        assert reading.testzip() is None
        assert "0001.png" in reading.namelist()
    found = read(archive, "application/zip")
    assert found is not None
    assert found.state == State.TRUSTED


def test_a_format_that_can_hold_none_is_left_alone_and_says_so(media: Media, claim: Claim) -> None:
    clip = media("webm")
    before = clip.read_bytes()
    summary = sign(clip, "video/webm", claim)
    assert summary == {"is_signed": False, "reason": "files of the type video/webm cannot hold a C2PA manifest"}
    assert clip.read_bytes() == before
    assert read(clip, "video/webm") is None


@pytest.mark.parametrize(("source_type", "is_ai"), [(SourceType.TRAINED, True), (SourceType.ALGORITHMIC, False)])
def test_it_says_whether_ai_made_it(media: Media, claim: Claim, source_type: SourceType, is_ai: bool) -> None:
    clip = media("mp4")
    sign(clip, "video/mp4", replace(claim, source_type=source_type))
    found = read(clip, "video/mp4")
    assert found is not None
    assert (found.source_type, found.is_made_by_ai) == (source_type.value, is_ai)
    action = found.whole["assertions"][0]["data"]["actions"][0]
    assert action["action"] == "c2pa.created"
    assert action["digitalSourceType"] == f"http://cv.iptc.org/newscodes/digitalsourcetype/{source_type}"


def test_the_picture_is_an_ingredient_without_its_name(media: Media, claim: Claim, photograph: Path) -> None:
    clip = media("mp4")
    last = Ingredient(media("jpg"), "image/jpeg", "Last picture")
    sign(clip, "video/mp4", replace(claim, ingredients=(*claim.ingredients, last)))
    found = read(clip, "video/mp4")
    assert found is not None
    assert found.ingredients == ("First picture", "Last picture")
    assert [one["relationship"] for one in found.whole["ingredients"]] == ["inputTo", "inputTo"]
    assert "thumbnail" in found.whole["ingredients"][0]
    data = {one["label"]: one["data"] for one in found.whole["assertions"]}
    assert len(data["c2pa.actions.v2"]["actions"][0]["parameters"]["ingredients"]) == 2
    digest = hashlib.sha256(photograph.read_bytes()).hexdigest()
    assert data["mutoscope.generation"]["inputs_sha256"][0] == digest
    assert photograph.stem.encode() not in clip.read_bytes()


def test_a_clip_without_picture_has_no_ingredient(media: Media, claim: Claim) -> None:
    clip = media("mp4")
    sign(clip, "video/mp4", replace(claim, ingredients=()))
    found = read(clip, "video/mp4")
    assert found is not None
    assert (found.state, found.ingredients) == (State.TRUSTED, ())


def test_the_clip_plays_as_before(media: Media, claim: Claim) -> None:
    clip = media("mp4")
    clip.chmod(0o640)
    before = probe(clip, strict=True)
    sign(clip, "video/mp4", claim)
    assert probe(clip, strict=True) == before
    assert is_faststart(clip)
    assert stat.S_IMODE(clip.stat().st_mode) == 0o640


@pytest.mark.parametrize("kind", ["mp4", "jpg"])
def test_a_changed_byte_is_found(media: Media, claim: Claim, kind: str) -> None:
    clip = media(kind)
    sign(clip, TYPES[kind], claim)
    content = bytearray(clip.read_bytes())
    content[-64] ^= 1
    clip.write_bytes(content)
    found = read(clip, TYPES[kind])
    assert found is not None
    assert (found.state, found.is_ours) == (State.INVALID, False)
    assert "mismatch" in found.problems[0]


def test_a_changed_claim_is_found(media: Media, claim: Claim) -> None:
    clip = media("mp4")
    sign(clip, "video/mp4", claim)
    content = clip.read_bytes()
    clip.write_bytes(content.replace(b"trainedAlgorithmicMedia", b"trainedAlgorithmicMedlA"))
    found = read(clip, "video/mp4")
    assert found is not None
    assert found.state == State.INVALID


def test_others_see_our_development_certificate_as_unknown_unless_they_trust_its_authority(
    media: Media, claim: Claim, secrets: Path, settings: Any, tmp_path: Path
) -> None:
    clip = media("mp4")
    sign(clip, "video/mp4", claim)
    authority = signing_identity().authorities
    install_good(settings, tmp_path)  # now this is another installation
    stranger = read(clip, "video/mp4")
    friend = read(clip, "video/mp4", anchors=authority)
    assert stranger is not None
    assert friend is not None
    assert (stranger.state, stranger.is_ours) == (State.VALID, False)
    assert "signingCredential.untrusted" in stranger.problems[0]
    assert (friend.state, friend.is_ours) == (State.TRUSTED, False)


def test_the_same_authoritys_other_customers_are_trusted_but_not_taken_for_us(
    media: Media, claim: Claim, settings: Any, tmp_path: Path
) -> None:
    authority = install_good(settings, tmp_path, organization="Bob Films")
    clip = media("mp4")
    sign(clip, "video/mp4", claim)
    install_good(settings, tmp_path, organization="Alice Films")
    found = read(clip, "video/mp4", anchors=authority.pem.decode())
    assert found is not None
    assert (found.state, found.issuer, found.is_ours) == (State.TRUSTED, "Bob Films", False)


def test_without_a_time_stamp_it_holds_as_long_as_the_certificate(
    media: Media, claim: Claim, settings: Any, tmp_path: Path
) -> None:
    install_good(settings, tmp_path, lasts=DAY + timedelta(seconds=4))
    clip = media("jpg")
    sign(clip, "image/jpeg", claim)
    until = signing_identity().valid_until
    wait_for(lambda: timezone.now() > until + timedelta(seconds=1), what="the certificate's end")
    found = read(clip, "image/jpeg")
    assert found is not None
    assert found.state == State.INVALID
    assert any("expired" in problem for problem in found.problems)


def test_a_file_that_cannot_be_signed_stays_as_it_was(tmp_path: Path, claim: Claim) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"this is no clip")
    with pytest.raises(EngineError) as failed:
        sign(broken, "video/mp4", claim)
    assert (failed.value.code, failed.value.blame) == ("signing_failed", "ours")
    assert broken.read_bytes() == b"this is no clip"
    assert sorted(path.name for path in tmp_path.glob("*.mp4*")) == ["broken.mp4"]
    assert list(tmp_path.glob(".*")) == []


def test_files_without_manifest_and_files_that_are_none(media: Media, tmp_path: Path) -> None:
    assert read(media("mp4"), "video/mp4") is None
    noise = tmp_path / "noise.mp4"
    noise.write_bytes(b"noise" * 100)
    with pytest.raises(BrokenManifest):
        read(noise, "video/mp4")


def test_a_manifest_of_somebody_elses_making_is_told_without_trusting_its_shape(media: Media) -> None:
    clip = media("jpg")
    identity = signing_identity()
    odd = {
        "claim_generator_info": [{"name": "Strange"}],
        "assertions": [
            {
                "label": "c2pa.actions",
                "data": {
                    "actions": [
                        {
                            "action": "c2pa.created",
                            "softwareAgent": "a plain word",
                            "digitalSourceType": "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture",
                        }
                    ]
                },
            },
            {"label": "mutoscope.generation", "data": ["not", "a", "table"]},
        ],
    }
    info = c2pa.C2paSignerInfo(identity.algorithm.encode(), identity.chain, identity.key, None)
    target = clip.with_name("odd.jpg")
    with (
        c2pa.Signer.from_info(info) as signer,
        c2pa.Builder(odd) as builder,
        clip.open("rb") as source,
        target.open("w+b") as signed,
    ):
        builder.sign(signer, "image/jpeg", source, signed)
    found = read(target, "image/jpeg")
    assert found is not None
    assert (found.model, found.job_id, found.is_made_by_ai) == ("a plain word", "", False)


@pytest.mark.parametrize("said", ["allowed", "notAllowed"])
def test_the_operator_may_say_whether_clips_may_be_learnt_from(
    media: Media, claim: Claim, settings: Any, said: str
) -> None:
    clip = media("mp4")
    settings.C2PA_TRAINING = said
    sign(clip, "video/mp4", claim)
    found = read(clip, "video/mp4")
    assert found is not None
    entries = next(a for a in found.whole["assertions"] if a["label"] == "cawg.training-mining")["data"]["entries"]
    assert {entry["use"] for entry in entries.values()} == {said}
    assert "cawg.ai_generative_training" in entries


def test_the_claim_of_a_job(access: Access, picture: Asset, photograph: Path) -> None:
    job = submit(access, picture)
    claim = claim_of(job, photograph, recipe={"seed": 7})
    assert (claim.job_id, claim.source_type) == (str(job.pk), SourceType.ALGORITHMIC)
    assert claim.recipe_sha256 == recipe_digest({"seed": 7})
    assert [(one.path, one.media_type, one.title) for one in claim.ingredients] == [
        (photograph, picture.media_type, "First picture")
    ]
    job.model, job.picture = "ltx-video-2b", None
    trained = claim_of(job, None)
    assert (trained.model, trained.source_type) == ("LTX-Video 2B", SourceType.TRAINED)
    assert len(trained.model_version) == 40
    assert trained.ingredients == ()
    job.model = "gone-from-the-catalog"
    assert claim_of(job, None).source_type == SourceType.TRAINED


def test_a_recipes_digest_is_that_of_its_meaning() -> None:
    # As PostgreSQL and JavaScript would have it: numbers without type, keys in any order.
    assert recipe_digest({"b": 1.0, "a": 1e22}) == recipe_digest({"a": 10**22 * 1.0, "b": 1})
    assert recipe_digest({"seed": 1}) != recipe_digest({"seed": 2})
    known = hashlib.sha256(b'{"a":[1,2.5],"b":"\xc3\xa9"}').hexdigest()
    assert recipe_digest({"b": "é", "a": [1.0, 2.5]}) == known
