"""The named people, signed in."""

from __future__ import annotations

import pytest
from django.test import Client

from assets.models import Asset
from generation.models import Job
from generation.services import JobRequest, submit
from mutoscope.accounts.models import User
from mutoscope.accounts.selectors import Access


def _signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def alices(access: Access) -> Client:
    assert access.user
    return _signed_in(access.user)


@pytest.fixture
def bobs(bob: User) -> Client:
    return _signed_in(bob)


@pytest.fixture
def charlies(charlie: User) -> Client:
    return _signed_in(charlie)


@pytest.fixture
def job(access: Access, picture: Asset) -> Job:
    """A job of alice's that waits."""
    return submit(
        access, JobRequest(model="still", picture=picture.pk, prompt="the steam rises", steps=3, seconds=2)
    )
