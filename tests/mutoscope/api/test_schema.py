"""The API's description is valid OpenAPI 3.1, complete, and shown without any other host's help."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any

import pytest
from django.contrib.staticfiles import finders
from django.test import Client
from django.urls import get_resolver

from tests.conftest import BASE_DIR


@pytest.fixture
def schema(client: Client, db: None) -> dict[str, Any]:
    response = client.get("/api/v1/schema")
    assert response.status_code == 200
    return dict(json.loads(response.content))


def test_it_validates_without_a_warning() -> None:
    done = subprocess.run(
        [sys.executable, str(BASE_DIR / "manage.py"), "spectacular", "--validate", "--fail-on-warn"],
        capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "drf_spectacular" not in done.stderr


def test_it_is_openapi_3_1(schema: dict[str, Any]) -> None:
    assert schema["openapi"].startswith("3.1")


def test_every_address_of_the_api_is_in_it(schema: dict[str, Any]) -> None:
    paths = set(schema["paths"])
    assert {
        "/api/v1/me", "/api/v1/workspace", "/api/v1/health", "/api/v1/models", "/api/v1/assets",
        "/api/v1/assets/{id}", "/api/v1/jobs", "/api/v1/jobs/{id}", "/api/v1/jobs/{id}/cancel",
        "/api/v1/jobs/{id}/events", "/api/v1/usage", "/api/v1/usage.csv", "/api/v1/credits",
    } <= paths  # fmt: skip
    assert len(get_resolver("mutoscope.api.urls").url_patterns) >= len(paths)


def test_every_operation_tells_its_problems_and_its_key(schema: dict[str, Any]) -> None:
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            assert "application/problem+json" in operation["responses"]["default"]["content"], (method, path)
            if "health" not in path:
                assert {"apiKey": []} in operation["security"], (method, path)
    identifiers = [o["operationId"] for operations in schema["paths"].values() for o in operations.values()]
    assert len(identifiers) == len(set(identifiers))


def test_the_documentation_needs_no_other_host(client: Client, db: None) -> None:
    html = client.get("/api/v1/docs").content.decode()
    loaded = re.findall(r"<(?:script|link|img|iframe)[^>]*?(?:src|href)=[\"']([^\"']+)", html)
    assert loaded
    for address in loaded:
        assert not re.match(r"(https?:)?//", address), address
        if address.startswith("/static/"):
            assert finders.find(address.removeprefix("/static/")), address
    assert not re.findall(r"@import|fonts\.googleapis|cdn\.", html)
