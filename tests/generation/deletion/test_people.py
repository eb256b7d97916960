"""Deleting a person: no table names them, nothing of theirs is in storage, and others keep what is theirs."""

from __future__ import annotations

from math import inf

import pytest
from allauth.account.models import EmailAddress
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.models import Session
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import models
from django.test import Client

from assets.models import Asset
from assets.objects import listing
from assets.services import upload
from generation import audit
from generation.deletion import people, traces, workspaces
from generation.models import Job
from mutoscope.accounts.models import Membership, User, Workspace
from mutoscope.accounts.selectors import Access
from mutoscope.accounts.services import create_api_key, create_workspace
from tests.conftest import picture_file
from tests.generation.deletion.estates import SECRET, furnish, tables_that_say
from tests.generation.samples import at_once, submit

OWNER = Membership.Role.OWNER


def test_after_it_no_table_names_them_and_no_file_is_left(access: Access, alice: User, client: Client) -> None:
    furnish(access)
    client.force_login(alice)
    name, email = access.workspace.name, alice.email
    said = {word for _, word in tables_that_say(email, name, SECRET, str(alice.pk))}
    assert said == {email, name, SECRET, str(alice.pk)}
    assert people.delete(alice) == [access.workspace.pk]
    assert not User.objects.filter(pk=alice.pk).exists()
    workspaces.carry_on(until=inf)
    assert tables_that_say(email, name, SECRET, "zanzibar", str(alice.pk)) == set()
    assert not list(listing())
    assert list(audit.problems()) == []
    assert not EmailAddress.objects.exists()
    assert client.get("/library").status_code == 302


def test_every_reference_to_people_lets_them_go() -> None:
    """Rows that are theirs go with them; rows of others forget who made them; none hinders it."""
    for relation in User._meta.get_fields(include_hidden=True):
        if isinstance(relation, models.ManyToOneRel):
            assert relation.on_delete in {models.CASCADE, models.SET_NULL}, relation.related_model


def test_what_they_made_for_others_stays_without_their_name(access: Access, alice: User, charlie: User) -> None:
    theirs = charlie.workspaces.get()
    Membership.objects.create(user=alice, workspace=theirs, role=Membership.Role.CREATOR)
    guest = Access(workspace=theirs, scopes=frozenset(), user=alice)
    picture = upload(guest, picture_file())
    job = submit(guest, prompt="a guest's idea")
    key, token = create_api_key(theirs, name="import", scopes=["jobs:read"], created_by=alice)
    assert list(people.workspaces_left(alice)) == [theirs]
    people.delete(alice)
    workspaces.carry_on(until=inf)
    picture.refresh_from_db()
    job.refresh_from_db()
    key.refresh_from_db()
    assert (picture.created_by, job.created_by, key.created_by, key.revoked_at) == (None, None, None, None)
    assert job.prompt == "a guest's idea"
    assert default_storage.exists(picture.file.name)
    assert list(theirs.members.all()) == [charlie]
    assert token


def test_a_workspace_with_another_owner_stays(access: Access, alice: User, bob: User) -> None:
    assert list(people.workspaces_of_theirs(alice)) == [access.workspace]
    bob.memberships.update(role=OWNER)
    assert not people.workspaces_of_theirs(alice).exists()
    assert people.delete(alice) == []
    assert list(access.workspace.members.all()) == [bob]


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_of_two_owners_who_leave_at_once_the_second_takes_it_along(access: Access, alice: User, bob: User) -> None:
    bob.memberships.update(role=OWNER)
    gone = at_once(lambda: people.delete(alice), lambda: people.delete(bob))
    assert sorted(map(len, gone)) == [0, 1]
    assert Workspace.objects.get(pk=access.workspace.pk).deleted_at


def test_they_are_signed_out_everywhere_and_others_are_not(alice: User, charlie: User) -> None:
    mine, more, theirs = Client(), Client(), Client()
    for client, user in ((mine, alice), (more, alice), (theirs, charlie)):
        client.force_login(user)
    assert traces.end_sessions(alice) == 2
    assert [session.get_decoded()[SESSION_KEY] for session in Session.objects.all()] == [str(charlie.pk)]


def test_jobs_are_cancelled_first(access: Access, alice: User) -> None:
    create_workspace(alice, "another")
    furnish(access)
    default_storage.save("adapters/common.safetensors", ContentFile(b"the operator's"))
    people.delete(alice)
    assert not Job.objects.filter(state__in=Job.ACTIVE).exists()
    workspaces.carry_on(until=inf)
    assert {stored.name for stored in listing()} == {"adapters/common.safetensors"}
    assert not Asset.objects.exists()
