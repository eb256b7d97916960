"""`python -m mutoscope.deploy_check`: Django's `check --deploy`, with settings as production would have them."""

import os
import secrets
import subprocess
import sys

from mutoscope.env import BASE_DIR

PRODUCTION = {
    "MUTOSCOPE_MODE": "production",
    "SECRET_KEY": secrets.token_urlsafe(48),
    "PUBLIC_URL": "https://clips.example.com",
    "ALLOWED_HOSTS": "clips.example.com",
    "DATABASE_URL": "postgresql://mutoscope:secret@db.internal/mutoscope",
    "REDIS_URL": "redis://:secret@redis.internal:6379/0",
    "S3_BUCKET": "mutoscope-media",
}


def main() -> int:
    """Exit status 1 where a check complains, warnings included."""
    command = [sys.executable, str(BASE_DIR / "manage.py"), "check", "--deploy", "--fail-level", "WARNING"]
    return subprocess.run(command, env={**os.environ, **PRODUCTION}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
