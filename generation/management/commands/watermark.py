"""`manage.py watermark read FILE`: which job made a clip or picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from generation.verification import Origin, origin_of
from mutoscope.errors import Refusal


class Command(BaseCommand):
    requires_system_checks = ()  # they would load the pages and the API into a process that needs neither
    help = "The invisible watermark: find which job made a clip, or a picture taken of one."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", metavar="read", required=True)
        reading = actions.add_parser("read", help="which job made it; ends with 1 where no mark is found")
        reading.add_argument("file", type=Path)

    def handle(self, *, file: Path, **options: Any) -> None:
        if not file.is_file():
            raise CommandError(f"there is no file {file}")
        try:
            origin = origin_of(file)
        except Refusal as refusal:
            raise CommandError(refusal.message) from refusal
        if origin is None:
            raise CommandError(f"{file.name} carries no mark of this installation")
        for name, value in _facts(origin):
            self.stdout.write(f"{name:<12}{value}")


def _facts(origin: Origin) -> list[tuple[str, str]]:
    job = origin.job
    found = [("mark", str(origin.mark)), ("strength", f"{origin.strength:.1f} standard deviations of chance")]
    if job is None:
        return [*found, ("job", "not in the database any more")]
    ended = f"{job.ended_at:%Y-%m-%d %H:%M:%S} UTC" if job.ended_at else "not yet"
    return [
        *found,
        ("job", str(job.pk)),
        ("workspace", f"{job.workspace.name} ({job.workspace_id})"),
        ("model", job.model),
        ("ended", ended),
    ]
