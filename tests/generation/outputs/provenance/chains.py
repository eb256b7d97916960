"""Certificates as authorities would issue them, and as they should not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

DAY = timedelta(days=1)


def key_of(kind: str) -> Any:
    if kind == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    if kind.startswith("rsa"):
        return rsa.generate_private_key(65537, int(kind[3:]))
    return ec.generate_private_key({"p256": ec.SECP256R1(), "p384": ec.SECP384R1(), "k256": ec.SECP256K1()}[kind])


class Authority:
    """A root that issues certificates, good ones unless it is told otherwise."""

    def __init__(self, organization: str = "Trusty CA") -> None:
        self._key = key_of("p256")
        self._name = _name(organization, "Root")
        self.certificate = (
            self._builder(self._name, self._key.public_key(), 30 * DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs=False), critical=True)
            .sign(self._key, hashes.SHA256())
        )

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    def issue(
        self,
        key: Any,
        *,
        organization: str = "Alice Films",
        begins: timedelta = -DAY,
        lasts: timedelta = 90 * DAY,
        purposes: tuple[x509.ObjectIdentifier, ...] = (ExtendedKeyUsageOID.EMAIL_PROTECTION,),
        signs: bool = True,
        is_authority: bool = False,
        ocsp: str = "",
    ) -> bytes:
        """A certificate for the key, PEM."""
        builder = self._builder(_name(organization, "Signer"), key.public_key(), lasts, begins)
        builder = builder.add_extension(
            x509.BasicConstraints(ca=is_authority, path_length=None), critical=True
        ).add_extension(_usage(signs=signs), critical=True)
        if purposes:
            builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        if ocsp:
            place = x509.AccessDescription(
                AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(ocsp)
            )
            builder = builder.add_extension(x509.AuthorityInformationAccess([place]), critical=False)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM)

    def _builder(
        self, subject: x509.Name, public: Any, lasts: timedelta, begins: timedelta = -DAY
    ) -> x509.CertificateBuilder:
        start = datetime.now(UTC) + begins
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + lasts)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
            )
        )


def pem_of(key: Any, passphrase: bytes = b"") -> bytes:
    encryption = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    return bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))


def install(settings: Any, folder: Path, certificates: bytes, key: bytes) -> None:
    """As an operator does."""
    for name, content in (("C2PA_CERTIFICATE", certificates), ("C2PA_PRIVATE_KEY", key)):
        path = folder / f"{name}.pem"
        path.write_bytes(content)
        setattr(settings, name, str(path))


def install_good(settings: Any, folder: Path, kind: str = "p256", **wishes: Any) -> Authority:
    """A sound identity; returns the authority behind it."""
    authority, key = Authority(), key_of(kind)
    install(settings, folder, authority.issue(key, **wishes) + authority.pem, pem_of(key))
    return authority


def _name(organization: str, role: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
            x509.NameAttribute(NameOID.COMMON_NAME, role),
        ]
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=signs, key_cert_sign=not signs, crl_sign=False, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False,
        decipher_only=False,
    )  # fmt: skip
