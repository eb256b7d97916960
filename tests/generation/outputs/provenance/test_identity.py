"""What clips are signed with: the operator's certificate, or one of our own, and never a bad one."""

from __future__ import annotations

import stat
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID
from django.core.checks import run_checks
from django.core.management import CommandError, call_command

from generation.engines.base import EngineError
from generation.outputs.provenance import BadIdentity, Claim, sign, signing_identity, warning_about
from mutoscope import certificates
from tests.conftest import BASE_DIR
from tests.generation.outputs.provenance.chains import DAY, Authority, install, install_good, key_of, pem_of

MAKE_ONE = (
    "import hashlib, sys; from pathlib import Path; from mutoscope import certificates, env;"
    "env.VAR_DIR = Path(sys.argv[1]); sys.stdin.read(1);"
    "print(hashlib.sha256(certificates.of_this_installation()).hexdigest())"
)


def test_processes_that_start_together_make_one_development_certificate(secrets: Path) -> None:
    command = [sys.executable, "-c", MAKE_ONE, str(secrets.parent)]
    environment = {"PYTHONPATH": f"{BASE_DIR}:{BASE_DIR / 'platform'}"}
    processes = [
        subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(6)
    ]
    for process in processes:
        assert process.stdin
        process.stdin.write("!")
        process.stdin.flush()
    digests = {process.communicate(timeout=60)[0] for process in processes}
    assert len(digests) == 1
    assert [process.returncode for process in processes] == [0] * 6
    assert [path.name for path in secrets.iterdir()] == [certificates.FILE]
    assert stat.S_IMODE((secrets / certificates.FILE).stat().st_mode) == 0o600


def test_a_development_certificate_says_what_it_is() -> None:
    identity = signing_identity()
    assert identity.is_development
    assert "development" in identity.organization
    assert "nobody else trusts" in warning_about(identity)


def test_it_is_told_for_development_where_an_operator_installs_it_too(settings: Any, tmp_path: Path) -> None:
    made = certificates.of_this_installation()
    install(settings, tmp_path, made, made)
    assert signing_identity().is_development


@pytest.mark.parametrize(
    ("kind", "algorithm"),
    [("p256", "es256"), ("p384", "es384"), ("rsa2048", "ps256"), ("ed25519", "ed25519")],
)
def test_the_operators_certificate_is_taken(
    settings: Any, tmp_path: Path, kind: str, algorithm: str, media: Callable[[str], Path], claim: Claim
) -> None:
    install_good(settings, tmp_path, kind)
    identity = signing_identity()
    assert (identity.algorithm, identity.organization) == (algorithm, "Alice Films")
    assert not identity.is_development
    assert warning_about(identity) == ""
    summary = sign(media("jpg"), "image/jpeg", claim)
    assert (summary["issuer"], summary["is_development"]) == ("Alice Films", False)


def test_a_renewed_certificate_counts_at_once(settings: Any, tmp_path: Path) -> None:
    install_good(settings, tmp_path, lasts=20 * DAY)
    first = signing_identity()
    assert "expires on" in warning_about(first)
    install_good(settings, tmp_path)
    assert signing_identity().valid_until > first.valid_until
    assert warning_about(signing_identity()) == ""


def test_a_secret_given_as_its_text_is_taken(settings: Any) -> None:
    authority, key = Authority(), key_of("p256")
    settings.C2PA_CERTIFICATE = (authority.issue(key) + authority.pem).decode()
    settings.C2PA_PRIVATE_KEY = pem_of(key).decode()
    assert signing_identity().organization == "Alice Films"


def _bad(case: str) -> tuple[bytes, bytes, str]:
    """Certificates, key and what the refusal says."""
    authority, key = Authority(), key_of("p256")
    good = authority.issue(key) + authority.pem
    cases: dict[str, Callable[[], tuple[bytes, bytes, str]]] = {
        "no certificate": lambda: (b"nothing", pem_of(key), "C2PA_CERTIFICATE must hold certificates in PEM"),
        "no key": lambda: (good, b"nothing", "C2PA_PRIVATE_KEY must hold a private key in PEM"),
        "encrypted": lambda: (good, pem_of(key, b"secret"), "without passphrase, but it is encrypted"),
        "another key": lambda: (good, pem_of(key_of("p256")), "must be the key of the first certificate"),
        "order": lambda: (authority.pem + authority.issue(key), pem_of(key), "must be the key of the first"),
        "alone": lambda: (authority.issue(key), pem_of(key), "O=Trusty CA is missing"),
        "other's": lambda: (authority.issue(key) + Authority().pem, pem_of(key), "was not issued by"),
        "expired": lambda: (
            authority.issue(key, begins=-9 * DAY, lasts=DAY) + authority.pem,
            pem_of(key),
            "must be valid now, but expired on",
        ),
        "early": lambda: (authority.issue(key, begins=DAY) + authority.pem, pem_of(key), "is valid from"),
        "an authority": lambda: (
            authority.issue(key, is_authority=True) + authority.pem, pem_of(key), "it is an authority's",
        ),
        "no signing": lambda: (
            authority.issue(key, signs=False) + authority.pem, pem_of(key), "must have digitalSignature",
        ),
        "no purpose": lambda: (
            authority.issue(key, purposes=()) + authority.pem, pem_of(key), "must have the extension extended",
        ),
        "for servers": lambda: (
            authority.issue(key, purposes=(ExtendedKeyUsageOID.SERVER_AUTH,)) + authority.pem,
            pem_of(key),
            "but has 1.3.6.1.5.5.7.3.1",
        ),
        "any purpose": lambda: (
            authority.issue(key, purposes=(ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,)) + authority.pem,
            pem_of(key),
            "not any usage",
        ),
    }  # fmt: skip
    return cases[case]()


CASES = [
    "no certificate", "no key", "encrypted", "another key", "order", "alone", "other's", "expired", "early",
    "an authority", "no signing", "no purpose", "for servers", "any purpose",
]  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_bad_identity_is_refused_and_nothing_is_left_unsigned_in_silence(
    settings: Any, tmp_path: Path, case: str, media: Callable[[str], Path], claim: Claim
) -> None:
    certificate, key, words = _bad(case)
    install(settings, tmp_path, certificate, key)
    with pytest.raises(BadIdentity, match=words):
        signing_identity()
    clip = media("jpg")
    before = clip.read_bytes()
    with pytest.raises(EngineError) as failed:
        sign(clip, "image/jpeg", claim)
    assert (failed.value.code, failed.value.blame) == ("signing_identity", "machine")
    assert clip.read_bytes() == before
    assert [message.id for message in run_checks(include_deployment_checks=False)] == ["generation.E003"]


@pytest.mark.parametrize("kind", ["k256", "rsa1024"])
def test_weak_and_foreign_keys_are_refused(settings: Any, tmp_path: Path, kind: str) -> None:
    install_good(settings, tmp_path, kind)
    with pytest.raises(BadIdentity, match=r"must have at least 2048 bits|must be on one of"):
        signing_identity()


def test_an_algorithm_must_be_the_keys(settings: Any, tmp_path: Path) -> None:
    install_good(settings, tmp_path, "rsa2048")
    settings.C2PA_ALGORITHM = "PS384"
    assert signing_identity().algorithm == "ps384"
    settings.C2PA_ALGORITHM = "es256"
    with pytest.raises(BadIdentity, match=r"\(ps256, ps384, ps512\), but is es256"):
        signing_identity()


def test_files_that_are_missing_or_half_set_are_told(settings: Any, tmp_path: Path) -> None:
    install_good(settings, tmp_path)
    settings.C2PA_PRIVATE_KEY = str(tmp_path / "gone.pem")
    with pytest.raises(BadIdentity, match=r"C2PA_PRIVATE_KEY .*gone\.pem cannot: No such file"):
        signing_identity()
    settings.C2PA_PRIVATE_KEY = ""
    with pytest.raises(BadIdentity, match="but C2PA_PRIVATE_KEY is not"):
        signing_identity()


def test_a_worker_does_not_start_with_a_bad_identity(settings: Any, tmp_path: Path) -> None:
    install_good(settings, tmp_path, begins=-9 * DAY, lasts=timedelta(days=1))
    with pytest.raises(CommandError, match="clips cannot be signed: C2PA_CERTIFICATE must be valid now"):
        call_command("worker", model="still")


def test_production_is_warned_of_a_missing_and_of_a_development_certificate(settings: Any, tmp_path: Path) -> None:
    def told() -> set[str]:
        return {message.id for message in run_checks(include_deployment_checks=True)} & {
            "generation.W001", "generation.W002",
        }  # fmt: skip

    assert told() == {"generation.W002"}
    made = certificates.of_this_installation()
    install(settings, tmp_path, made, made)
    assert told() == {"generation.W001"}
    install_good(settings, tmp_path)
    assert told() == set()
