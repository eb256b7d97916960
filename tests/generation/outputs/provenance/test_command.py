"""`manage.py provenance`: what a file says of itself, and what clips are signed with."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from generation.outputs.provenance import Claim, sign, signing_identity
from tests.generation.outputs.provenance.chains import DAY, install_good


def told(*arguments: str) -> str:
    said = io.StringIO()
    call_command("provenance", *arguments, stdout=said, stderr=said)
    return said.getvalue()


def test_read_tells_what_a_clip_says(media: Callable[[str], Path], claim: Claim) -> None:
    clip = media("mp4")
    sign(clip, "video/mp4", claim)
    said = told("read", str(clip))
    assert "trusted, signed by this installation" in said
    assert "(a development certificate)" in said
    assert "trainedAlgorithmicMedia (made by AI)" in said
    assert claim.job_id in said
    assert json.loads(told("read", "--json", str(clip)))["claim_version"] == 2


def test_read_trusts_the_authorities_that_it_is_given(
    media: Callable[[str], Path], claim: Claim, settings: Any, tmp_path: Path
) -> None:
    clip, anchors = media("mp4"), tmp_path / "anchors.pem"
    sign(clip, "video/mp4", claim)
    anchors.write_text(signing_identity().authorities)
    install_good(settings, tmp_path)
    assert "signingCredential.untrusted" in told("read", str(clip))
    assert "trusted\n" in told("read", str(clip), "--anchors", str(anchors)).splitlines(keepends=True)[0]


def test_read_ends_badly_where_nothing_holds(media: Callable[[str], Path], claim: Claim) -> None:
    clip = media("mp4")
    with pytest.raises(CommandError, match="has no manifest"):
        told("read", str(clip))
    sign(clip, "video/mp4", claim)
    clip.write_bytes(clip.read_bytes()[:-1] + b"!")
    with pytest.raises(CommandError, match="does not hold"):
        told("read", str(clip))
    with pytest.raises(CommandError, match="No such file"):
        told("read", str(clip.with_name("gone.mp4")))
    clip.write_bytes(b"noise" * 99)
    with pytest.raises(CommandError, match="cannot be read"):
        told("read", str(clip))


def test_check_says_who_signs_and_until_when(settings: Any, tmp_path: Path) -> None:
    assert "WARNING: clips are signed with a certificate that this machine made for itself" in told("check")
    install_good(settings, tmp_path)
    said = told("check")
    assert said.startswith("clips are signed as Alice Films\n")
    assert f"until {signing_identity().valid_until:%Y-%m-%d}" in said
    assert "it holds" in said
    assert "WARNING" not in said


def test_check_refuses_what_will_not_do(settings: Any, tmp_path: Path) -> None:
    install_good(settings, tmp_path, begins=-9 * DAY, lasts=timedelta(days=1))
    with pytest.raises(CommandError, match="clips cannot be signed: C2PA_CERTIFICATE must be valid now"):
        told("check")
    install_good(settings, tmp_path)
    settings.C2PA_TSA_URL = "http://127.0.0.1:9/stamp"  # nobody is there
    with pytest.raises(CommandError, match="gave no time stamp"):
        told("check")
