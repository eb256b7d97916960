"""Nobody is asked for anything by default; with a time-stamping authority, it alone is."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import c2pa
import pytest

from generation.engines.base import EngineError
from generation.outputs.provenance import BrokenManifest, Claim, State, read, sign, signing_identity
from tests.generation.outputs.provenance.chains import install_good

Media = Callable[[str], Path]

TSA_CONFIG = """
[ req ]
distinguished_name = name
prompt = no
x509_extensions = root
[ name ]
O = Timely
CN = Root
[ root ]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign
subjectKeyIdentifier = hash
[ stamping ]
basicConstraints = critical, CA:false
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, timeStamping
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[ tsa ]
default_tsa = clock
[ clock ]
serial = serial
crypto_device = builtin
signer_cert = stamper.pem
certs = root.pem
signer_key = stamper.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha384, sha512
accuracy = secs:1
ess_cert_id_alg = sha256
"""


class Listener:
    """An HTTP server that notes who asks, and answers with what it is given."""

    def __init__(self, answer: Callable[[bytes], bytes]) -> None:
        self.asked: list[str] = []
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                listener.asked.append(f"{self.command} {self.path}")
                content = answer(body)
                self.send_response(200 if content else 503)
                self.send_header("Content-Type", "application/timestamp-reply")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST  # noqa: N815  (the name is the standard library's)

            def log_message(self, *_: object) -> None:
                """Not among the tests' output."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def listen() -> Iterator[Callable[[Callable[[bytes], bytes]], Listener]]:
    there: list[Listener] = []

    def begin(answer: Callable[[bytes], bytes] = lambda _: b"") -> Listener:
        there.append(Listener(answer))
        return there[-1]

    yield begin
    for listener in there:
        listener.close()


@pytest.fixture
def clock(tmp_path: Path) -> Callable[[bytes], bytes]:
    """Answers time-stamp queries as RFC 3161 says, by openssl."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("there is no openssl on this machine")
    folder = tmp_path / "tsa"
    folder.mkdir()
    (folder / "tsa.cnf").write_text(TSA_CONFIG)
    (folder / "serial").write_text("01")

    def run(*arguments: str) -> None:
        subprocess.run([openssl, *arguments], cwd=folder, check=True, capture_output=True)

    new = ["req", "-new", "-newkey", "rsa:2048", "-nodes", "-config", "tsa.cnf"]
    run(*new, "-x509", "-days", "30", "-keyout", "root.key", "-out", "root.pem")
    run(*new, "-subj", "/O=Timely/CN=Clock", "-keyout", "stamper.key", "-out", "stamper.csr")
    run(
        "x509", "-req", "-in", "stamper.csr", "-CA", "root.pem", "-CAkey", "root.key", "-days", "30",
        "-extfile", "tsa.cnf", "-extensions", "stamping", "-out", "stamper.pem",
    )  # fmt: skip

    def answer(query: bytes) -> bytes:
        (folder / "query").write_bytes(query)
        run("ts", "-reply", "-config", "tsa.cnf", "-queryfile", "query", "-out", "reply")
        return (folder / "reply").read_bytes()

    return answer


def test_signing_and_reading_ask_nobody(
    listen: Callable[..., Listener], media: Media, claim: Claim, settings: Any, tmp_path: Path
) -> None:
    server = listen()
    install_good(settings, tmp_path, ocsp=f"{server.url}/ocsp")
    clip = media("mp4")
    sign(clip, "video/mp4", claim)
    found = read(clip, "video/mp4")
    assert found is not None
    assert found.state == State.TRUSTED
    assert server.asked == []


def test_a_file_cannot_have_us_fetch_what_it_names(listen: Callable[..., Listener], media: Media) -> None:
    server = listen()
    identity, picture = signing_identity(), media("jpg")
    remote = picture.with_name("remote.jpg")
    info = c2pa.C2paSignerInfo(identity.algorithm.encode(), identity.chain, identity.key, None)
    created = {"action": "c2pa.created", "digitalSourceType": "http://c2pa.org/digitalsourcetype/empty"}
    said = {"assertions": [{"label": "c2pa.actions", "data": {"actions": [created]}}]}
    with c2pa.Signer.from_info(info) as signer, c2pa.Builder(said) as builder:
        builder.set_no_embed()
        builder.set_remote_url(f"{server.url}/manifest.c2pa")
        with picture.open("rb") as source, remote.open("w+b") as signed:
            builder.sign(signer, "image/jpeg", source, signed)
    with pytest.raises(c2pa.C2paError):  # the library left to itself does ask: this test can fail
        c2pa.Reader("image/jpeg", io.BytesIO(remote.read_bytes()))
    assert server.asked == ["GET /manifest.c2pa"]
    with pytest.raises(BrokenManifest, match="Remote"):
        read(remote, "image/jpeg")
    assert server.asked == ["GET /manifest.c2pa"]


def test_a_time_stamp_is_asked_for_where_an_authority_is_named(
    listen: Callable[..., Listener], clock: Callable[[bytes], bytes], media: Media, claim: Claim, settings: Any
) -> None:
    server = listen(clock)
    settings.C2PA_TSA_URL = f"{server.url}/stamp"
    clip = media("mp4")
    summary = sign(clip, "video/mp4", claim)
    assert server.asked == ["POST /stamp"]
    assert summary["time_stamped_at"]
    found = read(clip, "video/mp4")
    assert found is not None
    assert found.time_stamped_at == summary["time_stamped_at"]
    assert json.dumps(summary)


def test_without_the_stamp_that_is_wanted_nothing_is_signed(
    listen: Callable[..., Listener], media: Media, claim: Claim, settings: Any
) -> None:
    server = listen()
    settings.C2PA_TSA_URL = f"{server.url}/stamp"
    clip = media("mp4")
    before = clip.read_bytes()
    with pytest.raises(EngineError) as failed:
        sign(clip, "video/mp4", claim)
    assert (failed.value.code, failed.value.blame) == ("time_stamp_failed", "machine")
    assert server.url in failed.value.message
    assert clip.read_bytes() == before
    assert server.asked
