#!/usr/bin/env python
"""Every command of Mutoscope, with the services it needs brought up first."""

import os
import sys
from pathlib import Path

# Bootstrap only: once installed, `mutoscope` is found without this line.
sys.path.insert(0, str(Path(__file__).resolve().parent / "platform"))

SERVICES_NOT_NEEDED = {
    "check", "collectstatic", "diffsettings", "findstatic", "help", "spectacular", "version",
    "--help", "-h", "--version",
}  # fmt: skip
"""Commands that never reach PostgreSQL or Valkey."""


def main(arguments: list[str]) -> None:
    """Run one management command; start the embedded services around it when it needs them."""
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        from mutoscope import embedded  # which reads the environment
    except ImproperlyConfigured as error:
        sys.exit(f"mutoscope: {error}")

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mutoscope.settings")
    command = arguments[1] if len(arguments) > 1 else "help"
    try:
        if command in SERVICES_NOT_NEEDED:
            execute_from_command_line(arguments)
        else:
            with embedded.services():
                execute_from_command_line(arguments)
    except (ImproperlyConfigured, embedded.ServiceError) as error:
        sys.exit(f"mutoscope: {error}")


if __name__ == "__main__":
    main(sys.argv)
