"""Named people: alice owns a workspace, bob is a viewer in it, charlie has one of his own and must see nothing."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import redis
import uvicorn
from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from PIL import Image
from rest_framework.test import APIClient

from assets.models import Asset
from assets.services import upload
from billing.models import Plan
from billing.services import subscribe
from generation.models import Job
from mutoscope.accounts import services
from mutoscope.accounts.models import ApiKey, Membership, User, Workspace
from mutoscope.accounts.selectors import Access, access_by_session

BASE_DIR = Path(__file__).resolve().parents[1]
PHOTOGRAPH = BASE_DIR / "platform" / "mutoscope" / "demo" / "coffee.png"


@pytest.fixture(autouse=True)
def _own_storage(tmp_path: Path, settings: Any) -> None:
    """Files of one test are in a folder of its own, and its tickets are in nobody's way."""
    settings.MEDIA_ROOT = str(tmp_path / "media")
    redis.Redis.from_url(settings.REDIS_URL).flushdb()


@cache
def _hashed() -> str:
    """The people's password, hashed once: it takes a quarter of a second, and is meant to."""
    return make_password("correct horse battery")


def _person(email: str) -> User:
    return User.objects.create(email=email, password=_hashed(), name=email.partition("@")[0].title())


@pytest.fixture
def alice(db: None) -> User:
    return _person("alice@example.org")


@pytest.fixture
def workspace(alice: User) -> Workspace:
    """Alice's, on a plan with every tier."""
    workspace = services.create_workspace(alice, "Alice & Co")
    subscribe(workspace, Plan.objects.get(slug="studio"))
    return workspace


@pytest.fixture
def bob(workspace: Workspace) -> User:
    bob = _person("bob@example.org")
    Membership.objects.create(user=bob, workspace=workspace, role=Membership.Role.VIEWER)
    return bob


@pytest.fixture
def charlie(db: None) -> User:
    charlie = _person("charlie@example.org")
    services.create_workspace(charlie, "Charlie's")
    return charlie


@pytest.fixture
def access(alice: User, workspace: Workspace) -> Access:
    """Alice in her workspace."""
    found = access_by_session(alice, {})
    assert found is not None
    return found


def _client(workspace: Workspace, *scopes: str) -> APIClient:
    _, token = services.create_api_key(
        workspace, name="test", scopes=scopes or list(ApiKey.Scope.values), created_by=None
    )
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    client.token = token  # type: ignore[attr-defined]
    return client


@pytest.fixture
def api(workspace: Workspace) -> APIClient:
    """A program of alice's workspace, with every scope."""
    return _client(workspace)


@pytest.fixture
def api_with(workspace: Workspace) -> Callable[..., APIClient]:
    """Makes a program of alice's workspace with the given scopes only."""
    return lambda *scopes: _client(workspace, *scopes)


@pytest.fixture
def strangers_api(charlie: User) -> APIClient:
    """A program of charlie's workspace."""
    return _client(charlie.workspaces.get())


def picture_file(width: int = 96, height: int = 72, name: str = "still.png") -> SimpleUploadedFile:
    """An upload of a small picture that is not one flat colour."""
    image = Image.linear_gradient("L").resize((width, height)).convert("RGB")
    content = io.BytesIO()
    image.save(content, "PNG")
    return SimpleUploadedFile(name, content.getvalue(), "image/png")


@pytest.fixture
def picture(access: Access) -> Asset:
    """A picture in alice's library."""
    return upload(access, picture_file())


def wait_for(condition: Callable[[], Any], *, seconds: float = 30, what: str = "it") -> Any:
    """What `condition` gives once that is true. Fails the test after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    pytest.fail(f"{what} did not happen within {seconds:g} s")


def wait_for_state(job: Job, *states: str, seconds: float = 30) -> Job:
    """The job, once it is in one of the states."""

    def look() -> Job | None:
        job.refresh_from_db()
        if job.state in Job.TERMINAL and job.state not in states:
            pytest.fail(f"job {job.pk} is {job.state}: {job.error_message}")
        return job if job.state in states else None

    found: Job = wait_for(look, seconds=seconds, what=f"{' or '.join(states)} of job {job.pk}")
    return found


RunManage = Callable[..., AbstractContextManager[subprocess.Popen[str]]]


@pytest.fixture
def manage(transactional_db: None, tmp_path: Path) -> RunManage:
    """Runs `manage.py` commands as processes of their own, on this test's database, broker and files."""

    @contextmanager
    def run(*arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
        database = connection.settings_dict
        variables = {
            **os.environ,
            "DATABASE_URL": f"postgresql://{database['USER']}@/{database['NAME']}?host={database['OPTIONS']['host']}",
            "REDIS_URL": settings.REDIS_URL,
            "MEDIA_ROOT": settings.MEDIA_ROOT,
            "JOB_LEASE_SECONDS": "2",
            "RECOVERY_INTERVAL_SECONDS": "0.5",
            "PYTHONUNBUFFERED": "1",
            **environment,
        }
        log = (tmp_path / f"{arguments[0]}.log").open("a+")
        process = subprocess.Popen(
            [sys.executable, str(BASE_DIR / "manage.py"), *arguments],
            stdout=log, stderr=subprocess.STDOUT, text=True, env=variables, cwd=BASE_DIR,
        )  # fmt: skip
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            log.seek(0)
            print(f"--- {' '.join(arguments)} ---\n{log.read()}")  # shown by pytest where the test fails
            log.close()

    return run


@pytest.fixture
def server(transactional_db: None, django_db_serialized_rollback: None, settings: Any) -> Iterator[str]:
    """The whole ASGI application on a port of this process, streams and files included. Gives its address."""
    from mutoscope.asgi import application  # noqa: PLC0415  it sets Django up

    web = uvicorn.Server(
        uvicorn.Config(application, port=0, log_config=None, lifespan="on", timeout_graceful_shutdown=1)
    )
    thread = threading.Thread(target=web.run, name="web", daemon=True)
    thread.start()
    wait_for(lambda: web.started, what="the start of the web server")
    address = f"http://127.0.0.1:{web.servers[0].sockets[0].getsockname()[1]}"
    settings.PUBLIC_URL = address
    try:
        yield address
    finally:
        web.should_exit = True
        thread.join(20)


def is_problem(response: Any, status: int, code: str) -> dict[str, Any]:
    """Assert that the answer is an RFC 9457 problem of this status and code. Returns its body."""
    content_type = response.headers["content-type"].partition(";")[0]
    assert (response.status_code, content_type) == (status, "application/problem+json"), response.content
    body: dict[str, Any] = response.json()
    assert {"type", "title", "status", "detail", "instance", "code"} <= set(body)
    assert (body["status"], body["code"]) == (status, code), body
    assert body["type"] == f"urn:mutoscope:problem:{code}"
    assert body["instance"].startswith("urn:mutoscope:request:")
    assert body["detail"]
    return body
