"""`manage.py upkeep`: the clock that puts right what crashes leave behind."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from mutoscope.celery import UPKEEP_QUEUE, run_worker


class Command(BaseCommand):
    requires_system_checks = ()  # they would load the pages and the API into a process that needs neither
    help = "Return lost jobs to their lanes and reissue lost tickets, at regular intervals. Run one or more."

    def handle(self, **options: Any) -> None:
        run_worker([UPKEEP_QUEUE], name="upkeep", beat=True)
