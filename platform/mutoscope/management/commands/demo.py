"""`manage.py demo`: a picture in, a clip out, through the API, with everything started and stopped around it."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from mutoscope import stack
from mutoscope.demo import people
from mutoscope.demo.client import DemoError, animate
from mutoscope.env import VAR_DIR

PHOTOGRAPH = Path(__file__).resolve().parents[2] / "demo" / "coffee.png"


class Command(BaseCommand):
    help = "Upload a picture through the API, have it animated, and check the clip."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--image", type=Path, default=PHOTOGRAPH, help="a picture of your own")
        parser.add_argument("--prompt", default="slow push in, slight orbit right")
        parser.add_argument("--out", type=Path, default=VAR_DIR / "demo", help="folder for the clip")

    def handle(self, *, image: Path, prompt: str, out: Path, **options: Any) -> None:
        if not image.is_file():
            raise CommandError(f"there is no file {image}; name a picture: make demo IMAGE=path/to/picture.jpg")
        self.stdout.write("Starting PostgreSQL, Valkey, web and worker …")
        try:
            with stack.running(_free_port(), models=["preview"]) as platform:
                clip = animate(
                    platform.url,
                    people.demo_token(),
                    image=image,
                    prompt=prompt,
                    folder=out,
                    check=platform.check,
                )
        except (stack.StackError, DemoError) as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            raise CommandError("stopped before the clip was made; nothing is left running") from None
        self.stdout.write(f"clip: {clip}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((stack.HOST, 0))
        return int(probe.getsockname()[1])
