"""A hub on loopback: it speaks as much of Hugging Face's and ModelScope's protocols as pulling needs.

Large files (those of `LFS` suffixes) lie on a second origin, as they do behind the real hub: there the token must
not be sent. Bytes can be served in part by `breaks`, which ends a connection after so many bytes of a file, once;
or by `hangs`, which stops sending there and keeps the connection open.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

LFS = (".safetensors", ".bin")


@dataclass
class Repository:
    """Commits, the newest last: each a mapping of paths to contents."""

    commits: dict[str, dict[str, bytes]]
    needs_token: str = ""
    claims: dict[str, int] = field(default_factory=dict)
    """Sizes that the listing claims, where they are not the files' own."""

    @property
    def newest(self) -> str:
        return list(self.commits)[-1]


@dataclass
class FakeHub:
    """What is published, what was asked, and what goes wrong."""

    address: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)
    breaks: dict[str, int] = field(default_factory=dict)
    hangs: dict[str, int] = field(default_factory=dict)
    corrupts: set[str] = field(default_factory=set)
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    """Path of the file, range, and authorization of each request for content."""
    released: threading.Event = field(default_factory=threading.Event)

    def publish(self, name: str, files: dict[str, bytes], **options: Any) -> str:
        """A commit with these files; its id."""
        commit = hashlib.sha1(repr((name, sorted(files.items()))).encode()).hexdigest()  # noqa: S324  as git does
        repository = self.repositories.setdefault(name, Repository({}, **options))
        repository.commits[commit] = files
        return commit

    def ranges(self, path: str) -> list[str]:
        """The ranges in which a file's content was asked for, in order; empty is all of it."""
        return [asked for asked_path, asked, _ in self.asked if asked_path == path]


@contextmanager
def running() -> Iterator[FakeHub]:
    """The hub, on two origins: 127.0.0.1 and, for large files, localhost."""
    hub = FakeHub()

    class Handler(_Handler):
        the_hub = hub

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hub.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.released.set()
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    the_hub: FakeHub

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        path = unquote(url.path)
        for pattern, answer in (
            (r"/api/models/([^/]+/[^/]+)", self._info),
            (r"/api/models/([^/]+/[^/]+)/tree/([^/]+)", self._tree),
            (r"/([^/]+/[^/]+)/resolve/([0-9a-f]+)/(.+)", self._resolve),
            (r"/content/([^/]+/[^/]+)/([0-9a-f]+)/(.+)", self._content),
        ):
            found = re.fullmatch(pattern, path)
            if found:
                answer(*found.groups())
                return
        scope = re.fullmatch(r"/api/v1/models/([^/]+/[^/]+)/repo(/files)?", path)
        if scope:
            self._modelscope(scope[1], query, is_listing=bool(scope[2]))
        else:
            self._error(404, "")

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, *arguments: Any) -> None: ...

    def _info(self, name: str) -> None:
        repository = self._repository(name)
        if repository:
            self._json({"id": name, "sha": repository.newest, "siblings": []})

    def _tree(self, name: str, revision: str) -> None:
        repository = self._repository(name)
        if repository is None:
            return
        if revision not in repository.commits:
            self._error(404, "RevisionNotFound")
            return
        self._json([_entry(repository, path, data) for path, data in repository.commits[revision].items()])

    def _resolve(self, name: str, revision: str, path: str) -> None:
        repository = self._repository(name)
        if repository is None or not self._may_read(repository):
            return
        data = repository.commits[revision][path]
        if not path.endswith(LFS):
            self._send(path, data, {"X-Repo-Commit": revision, "ETag": f'"{_git_id(data)}"'})
            return
        elsewhere = self.the_hub.address.replace("127.0.0.1", "localhost")
        self.send_response(302)
        self.send_header("Location", f"{elsewhere}/content/{name}/{revision}/{path}")
        self.send_header("X-Repo-Commit", revision)
        self.send_header("X-Linked-ETag", f'"{hashlib.sha256(data).hexdigest()}"')
        self.send_header("X-Linked-Size", str(len(data)))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _content(self, name: str, revision: str, path: str) -> None:
        self._send(path, self.the_hub.repositories[name].commits[revision][path], {})

    def _modelscope(self, name: str, query: dict[str, str], *, is_listing: bool) -> None:
        repository = self.the_hub.repositories.get(name)
        if repository is None:
            self._error(404, "")
            return
        revision = query.get("Revision", "master")
        files = repository.commits[repository.newest if revision == "master" else revision]
        if is_listing:
            listed = [
                {"Path": path, "Size": len(data), "Sha256": hashlib.sha256(data).hexdigest(), "Type": "blob"}
                for path, data in files.items()
            ]
            self._json({"Code": 200, "Success": True, "Data": {"Files": listed}})
        else:
            self._send(query["FilePath"], files[query["FilePath"]], {})

    def _repository(self, name: str) -> Repository | None:
        found = self.the_hub.repositories.get(name)
        if found is None:
            self._error(401, "RepoNotFound")
        return found

    def _may_read(self, repository: Repository) -> bool:
        token = repository.needs_token
        if token and self.headers.get("Authorization") != f"Bearer {token}":
            self._error(403 if self.headers.get("Authorization") else 401, "GatedRepo")
            return False
        return True

    def _send(self, path: str, data: bytes, headers: dict[str, str]) -> None:
        hub = self.the_hub
        asked = self.headers.get("Range", "")
        hub.asked.append((path, asked, self.headers.get("Authorization", "")))
        start = int(asked.removeprefix("bytes=").partition("-")[0]) if asked else 0
        body = bytes(reversed(data)) if path in hub.corrupts else data
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        if path in hub.breaks:
            self.wfile.write(body[start : start + hub.breaks.pop(path)])
            self.close_connection = True
        elif path in hub.hangs:
            self.wfile.write(body[start : start + hub.hangs.pop(path)])
            self.wfile.flush()
            hub.released.wait(60)
            self.close_connection = True
        else:
            self.wfile.write(body[start:])

    def _json(self, value: Any) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _error(self, status: int, code: str) -> None:
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()


def _entry(repository: Repository, path: str, data: bytes) -> dict[str, Any]:
    size = repository.claims.get(path, len(data))
    entry: dict[str, Any] = {"type": "file", "path": path, "size": size, "oid": _git_id(data)}
    if path.endswith(LFS):
        entry["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": size, "pointerSize": 130}
    return entry


def _git_id(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()  # noqa: S324  as git does
