"""`manage.py ledger verify|show|grant|adjust`: the credits of workspaces, and whether the books are right."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Sum
from django.utils.dateparse import parse_date

from billing import grants, ledger
from billing.models import Entry
from generation import audit
from mutoscope.accounts.models import Workspace
from mutoscope.errors import Refusal

SHOWN = 20
"""Entries that `show` lists, the newest first."""


class Command(BaseCommand):
    requires_system_checks = ()  # they would load the pages and the API into a process that needs neither
    help = (
        "The ledger of credits: prove that it is right, show a workspace's part of it, grant and adjust credits."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", metavar="verify | show | grant | adjust", required=True)
        actions.add_parser("verify", help="prove that the books are right; ends with 1 where they are not")
        showing = actions.add_parser("show", help="what a workspace has, and its latest entries")
        showing.add_argument("workspace", help="its id, or its name where no other has the same")
        for action, what in (("grant", "give credits"), ("adjust", "put credits right: 5 gives, -5 takes away")):
            entering = actions.add_parser(action, help=what)
            entering.add_argument("workspace", help="its id, or its name where no other has the same")
            entering.add_argument("credits", type=int)
            entering.add_argument("--reason", required=True, help="kept with the entry, for whoever asks later")
            entering.add_argument("--until", help="the last day (2027-03-31, in UTC) on which they can be spent")

    def handle(self, *, action: str, workspace: str = "", **options: Any) -> None:
        if action == "verify":
            self._verify()
        elif action == "show":
            self._show(_workspace(workspace))
        else:
            self._enter(action, _workspace(workspace), **options)

    def _verify(self) -> None:
        count = 0
        for sentence in audit.problems():
            self.stdout.write(sentence)
            count += 1
        if count:
            raise CommandError(f"{count} problem{'s' if count > 1 else ''}")
        entries = Entry.objects.count()
        self.stdout.write(f"the books are right: {len(audit.EVERY_CHECK)} rules hold for {entries:,} entries")

    def _show(self, workspace: Workspace) -> None:
        found = ledger.balance(workspace.pk)
        self.stdout.write(f"{workspace.name}: {found.available:,} credits available, {found.held:,} held for jobs")
        for lot in found.lots:
            until = f"until {lot.expires_at:%Y-%m-%d %H:%M} UTC" if lot.expires_at else "never expire"
            self.stdout.write(f"  {lot.credits:>10,}  {until}")
        line = "{:<17} {:<11} {:>10}  {}"
        self.stdout.write(line.format("at (UTC)", "entry", "credits", "of"))
        entries = (
            Entry.objects.filter(workspace_id=workspace.pk)
            .annotate(credits=Sum("transfers__amount"))
            .order_by("-id")
        )
        for entry in entries[:SHOWN]:
            of = entry.reason or (f"job {entry.job_id}" if entry.job_id else entry.reference)
            self.stdout.write(line.format(f"{entry.at:%Y-%m-%d %H:%M}", entry.kind, entry.credits, of))

    def _enter(self, action: str, workspace: Workspace, **options: Any) -> None:
        enter = grants.grant if action == "grant" else grants.adjust
        try:
            enter(workspace.pk, options["credits"], reason=options["reason"], expires_at=_end_of(options["until"]))
        except Refusal as error:
            raise CommandError(error.message) from error
        left = ledger.balance(workspace.pk).available
        self.stdout.write(f"entered; {workspace.name} has {left:,} credits available")


def _workspace(named: str) -> Workspace:
    try:
        found = list(Workspace.objects.filter(pk=UUID(named)))
    except ValueError:
        found = list(Workspace.objects.filter(name=named)[:2])
    if len(found) != 1:
        there_are = "more than one workspace is" if found else "no workspace is"
        raise CommandError(f"{there_are} called {named!r}: name it by its id")
    return found[0]


def _end_of(day: str | None) -> datetime | None:
    if not day:
        return None
    try:
        date = parse_date(day)
    except ValueError:  # well formed, but no such day
        date = None
    if date is None:
        raise CommandError(f"--until must be a day such as 2027-03-31, but is {day!r}")
    return grants.end_of(date)
