"""In whose name manifests are signed: the operator's certificate, else this machine's development certificate."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from django.conf import settings
from django.utils import timezone

from mutoscope import certificates

_PURPOSES = {
    certificates.CLAIM_SIGNING,
    ExtendedKeyUsageOID.EMAIL_PROTECTION,
    x509.ObjectIdentifier("1.3.6.1.5.5.7.3.36"),  # document signing
}
"""One of them must be among a certificate's extended key usages."""
_PEM = "-----BEGIN"
RENEW_WITHIN = timedelta(days=30)
"""A certificate that ends sooner is warned of."""

PrivateKey: TypeAlias = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


class BadIdentity(Exception):
    """Nothing can be signed with what is installed; the message names the setting, the rule and the value."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate with its chain and key, found to be fit for C2PA."""

    chain: bytes
    """PEM, the signing certificate first."""
    key: bytes
    """PEM, PKCS #8."""
    algorithm: str
    """As C2PA calls it: es256, ps256, ed25519 …"""
    organization: str
    common_name: str
    valid_until: datetime
    is_development: bool
    """Made by an installation for itself: nobody else has a reason to trust it."""

    @property
    def authorities(self) -> str:
        """The chain above the signing certificate, PEM: whom to trust to know what was signed with it."""
        return _pem(x509.load_pem_x509_certificates(self.chain)[1:]).decode()


def warning_about(identity: Identity) -> str:
    """What an operator should know of it before clips are published; empty where all is well."""
    if identity.is_development:
        return (
            "clips are signed with a certificate that this machine made for itself, which nobody else trusts; "
            "set C2PA_CERTIFICATE and C2PA_PRIVATE_KEY (docs/provenance.md)"
        )
    if identity.valid_until < timezone.now() + RENEW_WITHIN:
        return f"the certificate that clips are signed with expires on {identity.valid_until:%Y-%m-%d}: renew it"
    return ""


def signing_identity() -> Identity:
    """What clips are signed with on this machine, now: a certificate that was renewed counts at once.

    Raises `BadIdentity` where what the operator installed will not do. It is never passed over in silence.
    """
    if not (settings.C2PA_CERTIFICATE or settings.C2PA_PRIVATE_KEY):
        made = certificates.of_this_installation()
        return _identity(certificates.FILE, made, made, certificates.FILE)
    if not (settings.C2PA_CERTIFICATE and settings.C2PA_PRIVATE_KEY):
        missing = "C2PA_PRIVATE_KEY" if settings.C2PA_CERTIFICATE else "C2PA_CERTIFICATE"
        raise BadIdentity(f"C2PA_CERTIFICATE and C2PA_PRIVATE_KEY must be set together, but {missing} is not")
    return _identity(
        "C2PA_CERTIFICATE",
        _content("C2PA_CERTIFICATE", settings.C2PA_CERTIFICATE),
        _content("C2PA_PRIVATE_KEY", settings.C2PA_PRIVATE_KEY),
        "C2PA_PRIVATE_KEY",
    )


def _content(name: str, given: str) -> bytes:
    """The file that the setting names; or its own text, where NAME_FILE has put that there."""
    if given.lstrip().startswith(_PEM):
        return given.encode()
    try:
        return Path(given).read_bytes()
    except OSError as error:
        raise BadIdentity(
            f"{name} must name a file that can be read, but {given} cannot: {os.strerror(error.errno or 0)}"
        ) from error


def _identity(what: str, content: bytes, private: bytes, holder: str) -> Identity:
    try:
        chain = x509.load_pem_x509_certificates(content)
    except ValueError as error:
        raise BadIdentity(f"{what} must hold certificates in PEM, but does not: {error}") from error
    leaf, key = chain[0], _private_key(holder, private)
    if _spki(leaf.public_key()) != _spki(key.public_key()):
        raise BadIdentity(f"{holder} must be the key of the first certificate in {what}, but is another's")
    _check_chain(what, chain)
    _check_time(what, leaf)
    _check_profile(what, leaf)
    return Identity(
        chain=_pem(chain),
        key=key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        algorithm=_algorithm(key),
        organization=_name(leaf.subject, NameOID.ORGANIZATION_NAME),
        common_name=_name(leaf.subject, NameOID.COMMON_NAME),
        valid_until=leaf.not_valid_after_utc,
        is_development=_name(leaf.issuer, NameOID.ORGANIZATION_NAME) == certificates.DEVELOPMENT,
    )


def _private_key(holder: str, content: bytes) -> PrivateKey:
    try:
        key = load_pem_private_key(content, password=None)
    except TypeError as error:
        raise BadIdentity(f"{holder} must hold a key without passphrase, but it is encrypted") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        # Not the library's own words: they may quote the key.
        raise BadIdentity(f"{holder} must hold a private key in PEM, but does not") from error
    if not isinstance(key, PrivateKey):
        raise BadIdentity(f"{holder} must hold a key of EC, RSA or Ed25519, but holds a {type(key).__name__}")
    return key


def _pem(certificates: list[x509.Certificate]) -> bytes:
    return b"".join(one.public_bytes(Encoding.PEM) for one in certificates)


def _spki(key: CertificatePublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _algorithm(key: PrivateKey) -> str:
    """What the key signs with: the operator's choice where it has one, else what is usual for it."""
    possible = _algorithms(key)
    asked = settings.C2PA_ALGORITHM.lower()
    if asked and asked not in possible:
        raise BadIdentity(
            f"C2PA_ALGORITHM must be one that the key can do ({', '.join(possible)}), but is {asked}"
        )
    return asked or possible[0]


def _algorithms(key: PrivateKey) -> tuple[str, ...]:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return ("ed25519",)
    if isinstance(key, rsa.RSAPrivateKey):
        if key.key_size < 2048:
            raise BadIdentity(f"an RSA key must have at least 2048 bits, but has {key.key_size}")
        return ("ps256", "ps384", "ps512")
    curves = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}
    if key.curve.name not in curves:
        raise BadIdentity(f"an EC key must be on one of {', '.join(curves)}, but is on {key.curve.name}")
    return (curves[key.curve.name],)


def _check_chain(what: str, chain: list[x509.Certificate]) -> None:
    if chain[0].subject == chain[0].issuer:
        raise BadIdentity(f"{what} must be signed by an authority, but is self-signed: C2PA does not allow that")
    if len(chain) == 1:
        issuer = chain[0].issuer.rfc4514_string()
        raise BadIdentity(
            f"{what} must hold the signing certificate and the authority that issued it, but {issuer} is missing"
        )
    for one, authority in pairwise(chain):
        try:
            one.verify_directly_issued_by(authority)
        except (ValueError, TypeError, InvalidSignature) as error:
            raise BadIdentity(
                f"{what} must hold the signing certificate and then, each after what it issued, its authorities; "
                f"but {one.subject.rfc4514_string()} was not issued by {authority.subject.rfc4514_string()}"
            ) from error


def _check_time(what: str, leaf: x509.Certificate) -> None:
    now = timezone.now()
    if now > leaf.not_valid_after_utc:
        raise BadIdentity(f"{what} must be valid now, but expired on {leaf.not_valid_after_utc:%Y-%m-%d}")
    if now < leaf.not_valid_before_utc:
        raise BadIdentity(
            f"{what} must be valid now, but is valid from {leaf.not_valid_before_utc:%Y-%m-%d %H:%M} UTC on, "
            f"and this machine's clock says {now:%Y-%m-%d %H:%M}"
        )


def _check_profile(what: str, leaf: x509.Certificate) -> None:
    """The C2PA specification, "Certificate Profiles": what readers would else refuse."""
    extensions = leaf.extensions
    if _extension(extensions, x509.BasicConstraints, "ca", default=False):
        raise BadIdentity(f"{what} must begin with a certificate for signing, but it is an authority's")
    if not _extension(extensions, x509.KeyUsage, "digital_signature", default=False):
        raise BadIdentity(f"{what} must have digitalSignature among its key usages, but has not")
    try:
        purposes = set(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
        extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)
    except x509.ExtensionNotFound as error:
        name = error.oid._name
        raise BadIdentity(f"{what} must have the extension {name}, but has not") from error
    if ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in purposes or not purposes & _PURPOSES:
        raise BadIdentity(
            f"{what} must have C2PA claim signing ({certificates.CLAIM_SIGNING.dotted_string}), document signing "
            "or email protection among its extended key usages, and not any usage; but has "
            + ", ".join(sorted(one.dotted_string for one in purposes))
        )


def _extension(
    extensions: x509.Extensions, kind: type[x509.BasicConstraints | x509.KeyUsage], field: str, *, default: bool
) -> bool:
    try:
        return bool(getattr(extensions.get_extension_for_class(kind).value, field))
    except x509.ExtensionNotFound:
        return default


def _name(name: x509.Name, part: x509.ObjectIdentifier) -> str:
    return next((str(found.value) for found in name.get_attributes_for_oid(part)), "")
