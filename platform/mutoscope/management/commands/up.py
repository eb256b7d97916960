"""`manage.py up`: everything, in the foreground, for the browser."""

from __future__ import annotations

import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from mutoscope import stack
from mutoscope.demo import people


class Command(BaseCommand):
    help = "Start PostgreSQL, Valkey, web, upkeep, media work and a preview worker; one Ctrl-C stops them all."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, default=8000)

    def handle(self, *, port: int, **options: Any) -> None:
        stopping = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stopping.set())
        try:
            with stack.only_one(), stack.running(port, models=["preview"]) as platform:
                stack.tell_where(platform)
                self._greet(platform.url)
                while not stopping.wait(0.5):
                    platform.check()
                self.stdout.write("\nStopping …")
        except stack.StackError as error:
            raise CommandError(str(error)) from error
        self.stdout.write("Everything is stopped.")

    def _greet(self, url: str) -> None:
        email, password = people.local_operator()
        self.stdout.write(
            f"\nMutoscope is up.\n\n"
            f"  Create    {url}/\n"
            f"  Sign in   {email}\n"
            f"            {password}\n"
            f"  Operate   {url}/admin/\n"
            f"  API docs  {url}/api/v1/docs\n\n"
            f"Logs are in var/log/. Ctrl-C stops everything.\n"
        )
        self.stdout.flush()
