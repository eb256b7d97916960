"""`manage.py storage audit`: whether the storage holds what the database says, and nothing else."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import timedelta
from itertools import islice
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.template.defaultfilters import filesizeformat

from generation.storage_audit import GRACE, Audit, Missing, audit

LISTED = 1000
"""Orphans, and missing files, that are told by name; of the others, how many there are."""


class Command(BaseCommand):
    requires_system_checks = ()  # they would load the pages and the API into a process that needs neither
    help = "The media storage: find objects that no row knows, and rows whose files are missing."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", metavar="audit", required=True)
        auditing = actions.add_parser("audit", help="compare storage and database; ends with 1 where they differ")
        auditing.add_argument("--fix", action="store_true", help="remove the objects that no row knows")
        auditing.add_argument("--yes", action="store_true", help="do not ask before removing anything")
        auditing.add_argument("--json", action="store_true", dest="as_json", help="for programs")
        auditing.add_argument(
            "--grace",
            type=float,
            default=GRACE.total_seconds() / 3600,
            metavar="HOURS",
            help="what is younger is not judged, for its row may be about to be written (default: %(default)g)",
        )

    def handle(self, *, fix: bool, yes: bool, as_json: bool, grace: float, **options: Any) -> None:
        if grace < 0:
            raise CommandError(f"--grace must be 0 hours or more, but is {grace:g}")
        if as_json and fix and not yes:
            raise CommandError("--json --fix needs --yes, for there is nobody to ask")
        with audit(timedelta(hours=grace)) as found:
            report = _report(found)
            if not as_json:
                self._tell(report)
            if fix and report["orphans"] and (yes or self._is_meant(report)):
                report["removed"], report["removed_size"] = found.remove_orphans()
        if as_json:
            self.stdout.write(json.dumps(report, indent=2))
        elif fix:
            self.stdout.write(f"{_objects(report['removed'])} removed, {filesizeformat(report['removed_size'])}")
        problems = max(report["orphans"] - report["removed"], 0), report["missing"]
        if any(problems):
            raise CommandError(
                "{:,} objects in the storage are known to no row, and {:,} files of rows are missing".format(
                    *problems
                )
            )
        if not as_json:
            self.stdout.write("storage and database agree")

    def _tell(self, report: dict[str, Any]) -> None:
        for folder in report["folders"]:
            what = f"{folder['orphans']:,} known to no row, {folder['fresh']:,} too young to be judged"
            self.stdout.write(
                f"{folder['name'] or '(in no folder)'}: {_objects(folder['objects'])}, "
                f"{filesizeformat(folder['size'])}: {what if folder['is_ours'] else 'not ours, left alone'}"
            )
        for orphan in report["orphan_list"]:
            size = filesizeformat(orphan["size"])
            self.stdout.write(f"known to no row: {orphan['name']} ({size}): {orphan['reason']}")
        for missing in report["missing_list"]:
            self.stdout.write(f"missing: {missing['name']} of {missing['row']}")
        for kind in ("orphan", "missing"):
            more = report["orphans" if kind == "orphan" else "missing"] - len(report[f"{kind}_list"])
            if more > 0:
                self.stdout.write(f"… and {more:,} more")

    def _is_meant(self, report: dict[str, Any]) -> bool:
        try:
            answer = input(f"Remove {_objects(report['orphans'])} for good? Type yes: ")
        except EOFError:
            raise CommandError(
                "--fix asks before it removes anything; say --yes where nobody can answer"
            ) from None
        return answer.strip().lower() == "yes"


def _report(found: Audit) -> dict[str, Any]:
    """In plain JSON types. The lists are cut at `LISTED`; the numbers are of all."""
    folders = found.folders()
    first: list[Missing] = []
    missing = 0
    for one in found.missing():
        missing += 1
        if missing <= LISTED:
            first.append(one)
    return {
        "folders": [asdict(folder) | {"is_ours": folder.is_ours} for folder in folders],
        "orphans": sum(folder.orphans for folder in folders),
        "orphan_list": [asdict(orphan) for orphan in islice(found.orphans(), LISTED)],
        "missing": missing,
        "missing_list": [asdict(one) for one in first],
        "removed": 0,
        "removed_size": 0,
    }


def _objects(count: int) -> str:
    return f"{count:,} object{'' if count == 1 else 's'}"
