"""`manage.py provenance read|check`: what a file says of itself, and what clips are signed with here."""

from __future__ import annotations

import json
import mimetypes
import tempfile
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from PIL import Image

from generation.engines.base import EngineError
from generation.outputs.provenance import (
    BadIdentity,
    BrokenManifest,
    Claim,
    Manifest,
    SourceType,
    State,
    read,
    sign,
    signing_identity,
    warning_about,
)


class Command(BaseCommand):
    requires_system_checks = ()  # they would load the pages and the API into a process that needs neither
    help = "Content credentials (C2PA): print those of a file, or look at what clips are signed with."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", metavar="read | check", required=True)
        reading = actions.add_parser(
            "read", help="print a file's manifest; ends with 1 where there is none that holds"
        )
        reading.add_argument("file", type=Path)
        reading.add_argument("--anchors", type=Path, help="authorities to trust beside our own, in PEM")
        reading.add_argument(
            "--json", action="store_true", help="the whole manifest, as the C2PA library gives it"
        )
        actions.add_parser("check", help="sign something with what is installed, and say until when it is valid")

    def handle(self, *, action: str, **options: Any) -> None:
        if action == "read":
            self._read(options["file"], options["anchors"], as_json=options["json"])
        else:
            self._check()

    def _read(self, file: Path, anchors: Path | None, *, as_json: bool) -> None:
        media_type = mimetypes.guess_type(file.name)[0] or ""
        try:
            found = read(file, media_type, anchors=anchors.read_text() if anchors else "")
        except OSError as error:
            raise CommandError(str(error)) from error
        except BrokenManifest as error:
            raise CommandError(f"{file} cannot be read: {error}") from error
        if found is None:
            raise CommandError(f"{file} has no manifest")
        if as_json:
            self.stdout.write(json.dumps(found.whole, indent=2, ensure_ascii=False))
        else:
            for name, value in _lines(found):
                self.stdout.write(f"{name + ':':<16}{value}")
        if found.state == State.INVALID:
            raise CommandError(f"the manifest of {file} does not hold: {'; '.join(found.problems)}")

    def _check(self) -> None:
        try:
            identity = signing_identity()
            with tempfile.TemporaryDirectory() as folder:
                sign(_sample(Path(folder)), "image/jpeg", _trial())
        except BadIdentity as error:
            raise CommandError(f"clips cannot be signed: {error}") from error
        except EngineError as error:
            raise CommandError(error.message) from error
        self.stdout.write(f"clips are signed as {identity.organization or identity.common_name}")
        self.stdout.write(f"  with {identity.algorithm}, until {identity.valid_until:%Y-%m-%d %H:%M} UTC")
        self.stdout.write(f"  time stamps: {settings.C2PA_TSA_URL or 'none (C2PA_TSA_URL is not set)'}")
        self.stdout.write("  something was signed and read back: it holds")
        if warning := warning_about(identity):
            self.stderr.write(f"WARNING: {warning}")


def _lines(found: Manifest) -> list[tuple[str, str]]:
    """What there is to say, in the order that people ask."""
    state = found.state.value + (", signed by this installation" if found.is_ours else "")
    told = [
        ("state", state),
        *(("because", problem) for problem in found.problems),
        ("signed by", found.issuer + (" (a development certificate)" if found.is_development else "")),
        ("time stamp", found.time_stamped_at or "none"),
        ("source", f"{found.source_type or 'not said'}{' (made by AI)' if found.is_made_by_ai else ''}"),
        ("model", f"{found.model} {found.model_version}".strip()),
        ("made at", found.made_at),
        ("made from", ", ".join(found.ingredients)),
        ("program", found.generator),
        ("job", found.job_id),
        ("recipe SHA-256", found.recipe_sha256),
        ("manifest", found.label),
    ]
    return [(name, value) for name, value in told if value]


def _sample(folder: Path) -> Path:
    path = folder / "sample.jpg"
    Image.new("RGB", (64, 64), "grey").save(path)
    return path


def _trial() -> Claim:
    return Claim(
        job_id="none",
        model="none",
        model_version="",
        recipe_sha256="",
        source_type=SourceType.ALGORITHMIC,
        made_at=timezone.now(),
    )
