"""`manage.py media`: work on files that takes a processor and no GPU."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from generation.management.signing import check_what_signs
from mutoscope.celery import MEDIA_QUEUE, run_worker


class Command(BaseCommand):
    requires_system_checks = ()  # they would load the pages and the API into a process that needs neither
    help = "Make clips in other forms and look into files that were sent to the storage. Run one or more."

    def handle(self, **options: Any) -> None:
        check_what_signs(self.stderr)
        run_worker([MEDIA_QUEUE], name="media")
