"""Configuration: production says in one sentence what is missing; local mode makes its own secrets."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mutoscope.deploy_check import PRODUCTION
from tests.conftest import BASE_DIR

NEEDED = ["SECRET_KEY", "PUBLIC_URL", "ALLOWED_HOSTS", "DATABASE_URL", "REDIS_URL", "S3_BUCKET"]


def bare(tmp_path: Path, **variables: str) -> dict[str, str]:
    """An environment with nothing of this test run's in it."""
    ours = {*NEEDED, "MEDIA_ROOT", "MUTOSCOPE_MODE", "CATALOG_FOLDERS", "DEBUG", "DJANGO_SETTINGS_MODULE"}
    kept = {name: value for name, value in os.environ.items() if name not in ours}
    return {**kept, "MUTOSCOPE_VAR": str(tmp_path / "v"), **variables}


def manage(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(BASE_DIR / "manage.py"), *arguments],
        env=environment, capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip


def python(environment: dict[str, str], code: str) -> str:
    path = os.pathsep.join([str(BASE_DIR), str(BASE_DIR / "platform")])
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**environment, "PYTHONPATH": path}, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return done.stdout.strip()


def is_one_sentence(done: subprocess.CompletedProcess[str], *words: str) -> None:
    assert done.returncode != 0
    assert "Traceback" not in done.stderr + done.stdout
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, lines
    for word in words:
        assert word in lines[0]


@pytest.mark.parametrize("missing", NEEDED)
def test_production_does_not_start_without(tmp_path: Path, missing: str) -> None:
    settings = {name: value for name, value in PRODUCTION.items() if name != missing}
    is_one_sentence(manage(bare(tmp_path, **settings), "check"), f"mutoscope: {missing} is not set", "production")
    assert not (tmp_path / "v").exists()  # production makes nothing of its own


def test_production_starts_with_everything(tmp_path: Path) -> None:
    done = manage(bare(tmp_path, **PRODUCTION), "check")
    assert done.returncode == 0, done.stderr


def test_a_shared_folder_serves_in_place_of_s3(tmp_path: Path) -> None:
    settings = {name: value for name, value in PRODUCTION.items() if name != "S3_BUCKET"}
    assert manage(bare(tmp_path, **settings, MEDIA_ROOT="/srv/media"), "check").returncode == 0


@pytest.mark.parametrize("missing", ["DATABASE_URL", "REDIS_URL"])
def test_production_never_falls_back_on_the_embedded_services(tmp_path: Path, missing: str) -> None:
    settings = {name: value for name, value in PRODUCTION.items() if name != missing}
    is_one_sentence(manage(bare(tmp_path, **settings), "migrate"), f"{missing} is not set")
    assert not (tmp_path / "v").exists()


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("DEBUG", "true", "DEBUG is on"),
        ("DATABASE_URL", "mysql://user:secret@db/mutoscope", "must name a PostgreSQL database"),
        ("MUTOSCOPE_MODE", "staging", "MUTOSCOPE_MODE must be one of local, production, but is 'staging'"),
    ],
)
def test_production_refuses(tmp_path: Path, setting: str, value: str, words: str) -> None:
    done = manage(bare(tmp_path, **PRODUCTION | {setting: value}), "check")
    is_one_sentence(done, words)
    assert "secret@" not in done.stderr


def test_settings_may_stand_in_files(tmp_path: Path) -> None:
    settings = dict(PRODUCTION)
    wanted = {name: settings.pop(name) for name in ("SECRET_KEY", "DATABASE_URL", "REDIS_URL")}
    for name, value in wanted.items():
        (tmp_path / name).write_text(value)
        settings[f"{name}_FILE"] = str(tmp_path / name)
    code = (
        "from mutoscope import settings as s; d = s.DATABASES['default'];"
        "print(s.SECRET_KEY, d['HOST'], d['PASSWORD'], s.REDIS_URL)"
    )
    found = python(bare(tmp_path, **settings), code).split()
    assert found == [wanted["SECRET_KEY"], "db.internal", "secret", wanted["REDIS_URL"]]


def test_hosts_may_have_spaces_around_them(tmp_path: Path) -> None:
    environment = bare(tmp_path, **PRODUCTION | {"ALLOWED_HOSTS": "a.example, b.example ,"})
    assert (
        python(environment, "from mutoscope import settings as s; print(*s.ALLOWED_HOSTS)")
        == "a.example b.example"
    )


def test_production_signs_up_nobody_unasked_and_speaks_tls_only(tmp_path: Path) -> None:
    code = (
        "from mutoscope import settings as s;"
        "print(s.SIGNUP_OPEN, s.DEBUG, s.SESSION_COOKIE_SECURE, s.CSRF_COOKIE_SECURE, s.SECURE_SSL_REDIRECT)"
    )
    assert python(bare(tmp_path, **PRODUCTION), code) == "False False True True True"


@pytest.mark.parametrize(
    ("setting", "value", "rule"),
    [
        ("JOB_MAX_ATTEMPTS", "three", "JOB_MAX_ATTEMPTS must be a whole number, but is 'three'"),
        ("JOB_LEASE_SECONDS", "long", "JOB_LEASE_SECONDS must be a number of seconds, but is 'long'"),
        ("CREDIT_USD", "a cent", "CREDIT_USD must be an amount above 0, such as 0.01, but is 'a cent'"),
        ("CREDIT_USD", "-0.01", "CREDIT_USD must be an amount above 0, such as 0.01, but is '-0.01'"),
    ],
)
def test_numbers_are_numbers(tmp_path: Path, setting: str, value: str, rule: str) -> None:
    is_one_sentence(manage(bare(tmp_path, **{setting: value}), "check"), rule)


@pytest.mark.parametrize(
    ("folder", "rule"), [("a folder", "a space in its path"), ("file/var", "cannot be written")]
)
def test_a_folder_that_cannot_hold_the_services_is_named(tmp_path: Path, folder: str, rule: str) -> None:
    (tmp_path / "file").touch()
    environment = bare(tmp_path) | {"MUTOSCOPE_VAR": str(tmp_path / folder)}
    for name in ("DATABASE_URL", "REDIS_URL"):
        environment.pop(name, None)
    is_one_sentence(manage(environment, "migrate"), rule, str(tmp_path / folder))


def test_open_sign_up_needs_a_way_to_send_mail(tmp_path: Path) -> None:
    settings = {**PRODUCTION, "SIGNUP_OPEN": "true"}
    is_one_sentence(manage(bare(tmp_path, **settings), "check"), "EMAIL_URL is not set", "confirm their address")
    settings["EMAIL_URL"] = "smtp+tls://user:password@mail.example.com:587"
    assert manage(bare(tmp_path, **settings), "check").returncode == 0


def test_local_secrets_are_made_once_and_for_the_owner_alone(tmp_path: Path) -> None:
    environment = bare(tmp_path)
    code = "from mutoscope.env import local_secret; print(local_secret('x'))"
    with ThreadPoolExecutor(6) as pool:
        secrets = set(pool.map(lambda _: python(environment, code), range(6)))
    assert len(secrets) == 1
    assert len(secrets.pop()) > 40
    folder = tmp_path / "v" / "secrets"
    assert [path.name for path in folder.iterdir()] == ["x"]  # no drafts are left
    assert stat.S_IMODE((folder / "x").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
