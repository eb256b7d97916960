"""Registering adapters in the admin: what is taken, what is refused, and when one may be removed."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from generation import adapter_registry, catalog
from generation.adapter_registry import AdapterInUse
from generation.models import Adapter, Job
from generation.worker.memory import growth_allowed
from mutoscope.accounts.models import User
from mutoscope.accounts.selectors import Access
from tests.generation.lora import content, from_hub
from tests.generation.samples import submit

ADD = "admin:generation_adapter_add"


@pytest.fixture
def operator(client: Client, db: None) -> Client:
    client.force_login(User.objects.create_superuser("op@example.org", "correct horse battery"))
    return client


def filled_in(**changes: Any) -> dict[str, Any]:
    usual = {
        "name": "film-grain", "summary": "Grain.", "models_allowed": ["tiny-ltx"], "is_enabled": "on",
        "licence": "", "min_strength": "0", "default_strength": "1", "max_strength": "1.5",
        "huggingface": "", "revision": "", "hub_file": "", "hub_low_noise_file": "",
    }  # fmt: skip
    return usual | changes


def upload(data: bytes, name: str = "grain.safetensors") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, data)


def sent(operator: Client, page: str = "", **changes: Any) -> Any:
    return operator.post(page or reverse(ADD), filled_in(**changes), follow=True)


def test_an_uploaded_lora_is_kept_under_its_digest(operator: Client) -> None:
    html = sent(operator, file=upload(content())).content.decode()
    assert "film-grain: a LoRA of 1 layer, rank 4, F32" in html
    adapter = Adapter.objects.get()
    assert adapter.models_allowed == ["tiny-ltx"]
    assert adapter.file.name.startswith("adapters/film-grain/")
    assert len(Path(adapter.file.name).stem) == adapter_registry.DIGITS
    assert adapter.file.read() == content()


def test_the_page_offers_the_models_that_take_adapters(operator: Client) -> None:
    html = operator.get(reverse(ADD)).content.decode()
    assert 'type="checkbox"' in html
    assert 'value="tiny-ltx"' in html
    assert 'value="still"' not in html


def test_one_of_a_hub_is_registered_with_what_to_do_next(operator: Client) -> None:
    html = sent(operator, huggingface="studio/loras", hub_file="grain.safetensors").content.decode()
    assert "manage.py adapters pull film-grain" in html
    assert Adapter.objects.get().hub_file == "grain.safetensors"


REFUSALS: dict[str, tuple[dict[str, Any], str]] = {
    "a pickle": ({"file": upload(pickle.dumps({}), "grain.safetensors")}, "pickle, which can run code"),
    "no LoRA": ({"file": upload(content({"x.weight": [4, 4]}))}, "in pairs"),
    "a second file that is none": (
        {"file": upload(content()), "low_noise_file": upload(b"nothing")},
        "no safetensors file",
    ),
    "no file at all": ({}, "either a file or a repository"),
    "a file and a hub": (
        {"file": upload(content()), "huggingface": "studio/loras", "hub_file": "grain.safetensors"},
        "either a file or a repository",
    ),
    "a file's revision": ({"file": upload(content()), "revision": "a" * 40}, "goes with a repository"),
    "a hub's file that is not named": ({"huggingface": "studio/loras"}, "which file of the repository"),
    "a pickle of a hub": (
        {"huggingface": "studio/loras", "hub_file": "grain.bin"},
        "must be a .safetensors file",
    ),
    "a way out": (
        {"huggingface": "studio/loras", "hub_file": "../../grain.safetensors"},
        "must be a .safetensors file",
    ),
    "no repository": (
        {"huggingface": "https://example.org", "hub_file": "x.safetensors"},
        "must be like owner/name",
    ),
    "a branch": (
        {"huggingface": "studio/loras", "hub_file": "x.safetensors", "revision": "main"},
        "40 hex digits",
    ),
    "no model": ({"file": upload(content()), "models_allowed": []}, "This field is required"),
    "a model without adapters": (
        {"file": upload(content()), "models_allowed": ["still"]},
        "Select a valid choice",
    ),
    "strengths out of order": (
        {"file": upload(content()), "default_strength": "2"},
        "but they are 0, 2 and 1.5",
    ),
    "strengths without end": ({"file": upload(content()), "max_strength": "1e9"}, "must lie between -10 and 10"),
    "a name for nobody": ({"file": upload(content()), "name": "Film grain"}, "letters a-z, digits"),
}


@pytest.mark.parametrize("what", REFUSALS)
def test_what_cannot_be_used_is_refused_with_the_reason(operator: Client, what: str) -> None:
    changes, words = REFUSALS[what]
    for value in changes.values():
        if isinstance(value, SimpleUploadedFile):
            value.seek(0)
    assert words in sent(operator, **changes).content.decode()
    assert not Adapter.objects.exists()


def test_a_new_file_takes_the_place_of_the_old_one(
    operator: Client, django_capture_on_commit_callbacks: Any
) -> None:
    sent(operator, file=upload(content()))
    old = Adapter.objects.get().file.name
    page = reverse("admin:generation_adapter_change", args=["film-grain"])
    with django_capture_on_commit_callbacks(execute=True):
        sent(operator, page, name="another", summary="More grain.")
    assert Adapter.objects.get().file.name == old, "jobs name it: the name stays, and the file where none is sent"
    with django_capture_on_commit_callbacks(execute=True):
        sent(operator, page, file=upload(content(fill=1)))
    new = Adapter.objects.get()
    assert (new.pk, new.summary) == ("film-grain", "Grain.")
    assert new.file.name != old
    assert default_storage.exists(new.file.name)
    assert not default_storage.exists(old)
    with django_capture_on_commit_callbacks(execute=True):
        sent(operator, page, file=upload(content(fill=1)))
    assert default_storage.exists(new.file.name), "the same content again"


def test_one_that_waiting_jobs_name_is_not_removed(
    operator: Client, access: Access, django_capture_on_commit_callbacks: Any
) -> None:
    sent(operator, file=upload(content()))
    adapter = Adapter.objects.get()
    stored = adapter.file.name
    job = submit(access)
    Job.objects.filter(pk=job.pk).update(adapters=[{"name": "film-grain", "strength": 0.5}])
    single = reverse("admin:generation_adapter_delete", args=["film-grain"])
    assert "jobs that have not ended and use film-grain: 1" in operator.get(single).content.decode()
    many = {"action": "delete_selected", "_selected_action": ["film-grain"], "post": "yes"}
    operator.post(single, {"post": "yes"})
    operator.post(reverse("admin:generation_adapter_changelist"), many)
    with pytest.raises(AdapterInUse, match=r"name it \(1\)"):
        adapter_registry.remove(adapter)
    assert Adapter.objects.exists()
    Job.objects.filter(pk=job.pk).update(state="cancelled")
    with django_capture_on_commit_callbacks(execute=True):
        operator.post(reverse("admin:generation_adapter_changelist"), many)
    assert not Adapter.objects.exists()
    assert not default_storage.exists(stored)


def test_the_list_shows_what_there_is(operator: Client) -> None:
    from_hub(name="smoke", max_strength=2)
    html = operator.get(reverse("admin:generation_adapter_changelist")).content.decode()
    assert "smoke" in html
    assert "0 to 2, usually 1" in html
    assert "studio/loras" in html


def test_engines_with_adapters_may_grow_by_what_they_keep() -> None:
    models = catalog.models()
    assert growth_allowed(models["still"]) == models["still"].supervision.memory_growth_mib
    assert growth_allowed(models["tiny-ltx"]) == models["tiny-ltx"].supervision.memory_growth_mib + 2048
    distilled = models["ltx-2"].adapters[0].gib * 1024
    assert growth_allowed(models["ltx-2"]) >= models["ltx-2"].supervision.memory_growth_mib + distilled
