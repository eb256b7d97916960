"""The workspace's own mark over HTTP."""

from __future__ import annotations

from collections.abc import Callable

from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from rest_framework.test import APIClient

from mutoscope.accounts.models import User
from tests.conftest import is_problem
from tests.generation.outputs.visible.test_drawing import logo

PATH = "/api/v1/workspace/mark"


def test_set_changed_and_removed(api: APIClient) -> None:
    is_problem(api.get(PATH), 404, "not_found")
    told = api.put(PATH, {"text": "  Alice  & Co ", "position": "top_left"}, format="json").json()
    assert (told["text"], told["position"], told["size"], told["is_on"], told["picture_url"]) == (
        "Alice & Co", "top_left", 0.22, True, None,
    )  # fmt: skip
    png = SimpleUploadedFile("logo.png", logo("red"), "image/png")
    told = api.put(PATH, {"picture": png, "size": "0.4", "drifts": "true"}, format="multipart").json()
    assert (told["text"], told["size"], told["drifts"]) == ("", 0.4, True)
    assert told["picture_url"].endswith(".png")
    kept = api.put(PATH, {"is_on": False}, format="json").json()
    assert (kept["is_on"], kept["picture_url"].rpartition("/")[2]) == (
        False,
        told["picture_url"].rpartition("/")[2],
    )
    assert api.put(PATH, {"text": "A", "without_picture": True}, format="json").json()["picture_url"] is None
    assert api.get(PATH).json()["text"] == "A"
    assert api.delete(PATH).status_code == 204
    is_problem(api.delete(PATH), 404, "not_found")


def test_refusals(api: APIClient, api_with: Callable[..., APIClient], strangers_api: APIClient, bob: User) -> None:
    body = is_problem(api.put(PATH, {"text": "A", "size": 3}, format="json"), 400, "invalid")
    assert body["errors"] == [{"field": "size", "message": "size must be between 0.05 and 1, but is 3"}]
    wrong = SimpleUploadedFile("logo.png", b"no picture at all", "image/png")
    body = is_problem(api.put(PATH, {"picture": wrong}, format="multipart"), 400, "invalid")
    assert body["errors"][0]["field"] == "picture"
    is_problem(api_with("assets:read").put(PATH, {"text": "A"}, format="json"), 403, "scope_missing")
    assert api.put(PATH, {"text": "A"}, format="json").status_code == 200
    is_problem(strangers_api.get(PATH), 404, "not_found")
    viewer = Client()
    viewer.force_login(bob)
    assert viewer.get(PATH).status_code == 200
    assert viewer.put(PATH, {"text": "B"}, content_type="application/json").status_code == 403
