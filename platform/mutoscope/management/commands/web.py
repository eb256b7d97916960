"""`manage.py web`: the web server (pages, API, live streams, local files)."""

from __future__ import annotations

import logging
from typing import Any

import uvicorn
from django.core.management.base import BaseCommand, CommandError, CommandParser

from mutoscope.stack import address_is_free


class Command(BaseCommand):
    help = "Serve the dashboard, the API, the admin and live events."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument("--workers", type=int, default=1, help="processes (default: %(default)s)")

    def handle(self, *, host: str, port: int, workers: int, **options: Any) -> None:
        if not address_is_free(host, port):
            raise CommandError(f"something else listens on {host}:{port}; choose another port with --port")
        logging.getLogger("uvicorn.access").setLevel(logging.WARNING)
        uvicorn.run(
            "mutoscope.asgi:application",
            host=host,
            port=port,
            workers=workers,
            log_config=None,  # Django's
            server_header=False,
            timeout_graceful_shutdown=3,  # open streams would otherwise hold it for as long as they like
        )
