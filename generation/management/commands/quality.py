"""`manage.py quality measure|compare`: what clips are worth, one by one or two sets of them side by side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from generation.engines.base import EngineError
from generation.outputs.quality import asks_for_motion, judge
from mutoscope.media import MediaError

if TYPE_CHECKING:
    from generation.outputs.quality.comparison import Compared

HEAD = ("figure", "pairs", "median A", "median B", "B less A", "95 % interval", "better")


class Command(BaseCommand):
    requires_system_checks = ()  # they would load the pages and the API into a process that needs neither
    help = "Measure a clip as every finished clip is measured, or compare two sets of clips of the same pictures."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", metavar="measure | compare", required=True)
        measuring = actions.add_parser("measure", help="the figures of one clip, and what they mean")
        measuring.add_argument("file", type=Path, help="the clip")
        measuring.add_argument("--picture", type=Path, help="the picture that it was to begin with")
        measuring.add_argument("--last-picture", type=Path, help="the picture that it was to end on")
        measuring.add_argument("--prompt", default="", help="what was asked for: whether it was to move")
        comparing = actions.add_parser("compare", help="two folders of clips, paired by their names")
        comparing.add_argument("a", type=Path, metavar="A", help="a folder of clips")
        comparing.add_argument("b", type=Path, metavar="B", help="another, of the same pictures")
        comparing.add_argument("--pictures", type=Path, help="a folder with the pictures, named as the clips are")
        for action in (measuring, comparing):
            action.add_argument("--json", action="store_true", help="for programs")

    def handle(self, *, action: str, **options: Any) -> None:
        try:
            if action == "measure":
                self._measure(**options)
            else:
                self._compare(options["a"], options["b"], options["pictures"], as_json=options["json"])
        except OSError as error:
            raise CommandError(f"{error.filename}: {error.strerror}") from error
        except (MediaError, EngineError) as error:
            raise CommandError(str(error)) from error

    def _measure(
        self, *, file: Path, picture: Path | None, last_picture: Path | None, prompt: str, **options: Any
    ) -> None:
        # numpy and OpenCV are there for this alone.
        from generation.outputs.quality.files import measure

        measured = measure(
            _file(file), first=picture and _file(picture), last=last_picture and _file(last_picture)
        )
        judgement = judge(measured, moves=asks_for_motion(prompt))
        figures = measured.as_json()
        if options["json"]:
            told = {"verdict": judgement.verdict, "problems": judgement.codes, "figures": figures}
            self.stdout.write(json.dumps(told, indent=2))
            return
        for name, value in figures.items():
            self.stdout.write(f"{name:20} {'–' if value is None else format(value, 'g')}")
        self.stdout.write(f"{judgement.verdict}{': ' if judgement.codes else ''}{judgement.sentence}")

    def _compare(self, a: Path, b: Path, pictures: Path | None, *, as_json: bool) -> None:
        from generation.outputs.quality import comparison

        pairs = comparison.pairs_of(a, b)
        if not pairs:
            raise CommandError(f"{a} and {b} must have clips of the same names, but there are none")
        found = comparison.compare(pairs, pictures)
        score = comparison.score(found)
        if as_json:
            told = {"pairs": len(pairs), "figures": [row.as_json() for row in found], "better": score}
            self.stdout.write(json.dumps(told, indent=2))
            return
        self.stdout.write(f"{len(pairs)} pairs; A is {a}, B is {b}")
        self._table([HEAD, *(_cells(row) for row in found)])
        self.stdout.write(f"A is better in {score['A']} figures, B in {score['B']}; in the others it is not sure")

    def _table(self, rows: list[tuple[str, ...]]) -> None:
        widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
        for name, *cells in rows:
            line = "  ".join(cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True))
            self.stdout.write(f"{name.ljust(widths[0])}  {line}".rstrip())


def _file(path: Path) -> Path:
    if not path.is_file():
        raise CommandError(f"there is no file {path}")
    return path


def _cells(row: Compared) -> tuple[str, ...]:
    interval = f"{row.low:+.4g} to {row.high:+.4g}" if row.low is not None else "–"
    return (
        row.figure.title, str(row.pairs), f"{row.median_a:.4g}", f"{row.median_b:.4g}", f"{row.difference:+.4g}",
        interval, row.better or "–",
    )  # fmt: skip
