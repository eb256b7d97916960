"""`python -m mutoscope.deploy_check`: Django's `check --deploy`, with settings as production would have them."""

import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from mutoscope import certificates
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
    with tempfile.TemporaryDirectory() as folder:
        signer = Path(folder) / "signer.pem"
        signer.write_bytes(certificates.issue("Clips of example.com"))
        return _check({**PRODUCTION, "C2PA_CERTIFICATE": str(signer), "C2PA_PRIVATE_KEY": str(signer)})


def _check(production: Mapping[str, str]) -> int:
    command = [sys.executable, str(BASE_DIR / "manage.py"), "check", "--deploy", "--fail-level", "WARNING"]
    return subprocess.run(command, env={**os.environ, **production}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
