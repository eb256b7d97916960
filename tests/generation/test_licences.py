"""Licences that must be accepted: nothing runs before, elsewhere, or after it is withdrawn."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from rest_framework.test import APIClient

from generation import catalog, control, licences
from generation.catalog.schema import Model
from generation.errors import ModelUnavailable
from generation.licences import LicenceRefusal, State
from generation.models import Job, LicenceAcceptance, Pause
from generation.scheduling.claims import in_turn
from generation.scheduling.lanes import Lane
from generation.services import JobRequest, cancel, submit
from mutoscope.accounts.models import User
from mutoscope.accounts.selectors import Access
from tests.conftest import BASE_DIR, is_problem
from tests.generation.conftest import AddModel
from tests.generation.samples import at_once

STILL = (BASE_DIR / "tests" / "catalog" / "still.toml").read_text()
PAGE = "/admin/generation/licenceacceptance/"

Relicense = Callable[..., Model]


@pytest.fixture
def relicense(add_model: AddModel) -> Relicense:
    """Puts a model `guarded` into the catalog, under a licence that must be accepted."""

    def put(version: str = "1", excluded: str = '["EU", "GB", "KR"]', must_accept: str = "true") -> Model:
        licence = (
            f'[licence]\nname = "Community Licence"\nversion = "{version}"\nmust_accept = {must_accept}\n'
            f'excluded_territories = {excluded}\nconditions = "Say that the clips are made by a machine."\n'
            'url = "https://example.org/licence"'
        )
        text = STILL.replace('"still"', '"guarded"').replace('"Still"', '"Guarded"')
        return add_model(text.replace('[licence]\nname = "The platform\'s own"', licence))

    return put


@pytest.fixture
def guarded(relicense: Relicense) -> Model:
    return relicense()


@pytest.fixture
def superuser(db: None) -> User:
    return User.objects.create_superuser("op@example.org", "correct horse battery")


def ask(access: Access) -> Job:
    return submit(access, JobRequest(model="guarded", mode="t2v"))


def test_no_job_before_the_licence_is_accepted(access: Access, guarded: Model, alice: User) -> None:
    assert "once an operator has accepted the Community Licence (1)" in licences.refusal(guarded)
    with pytest.raises(ModelUnavailable, match="once an operator has accepted") as caught:
        ask(access)
    assert (caught.value.field, caught.value.code) == ("model", "model_unavailable")
    licences.accept(guarded, "US", alice)
    assert licences.refusal(guarded) == ""
    assert ask(access).state == "queued"


def test_the_api_says_why(api: APIClient, guarded: Model) -> None:
    answer = api.post("/api/v1/jobs", {"model": "guarded", "mode": "t2v"}, format="json")
    (error,) = is_problem(answer, 409, "model_unavailable")["errors"]
    assert error["field"] == "model"


@pytest.mark.parametrize(
    ("country", "holds"), [("US", True), ("DE", False), ("RE", False), ("GB", False), ("CH", True)]
)
def test_a_licence_is_accepted_only_where_it_holds(guarded: Model, alice: User, country: str, holds: bool) -> None:
    if holds:
        assert licences.accept(guarded, country, alice).territory == country
    else:
        with pytest.raises(LicenceRefusal, match="does not hold in") as caught:
            licences.accept(guarded, country, alice)
        assert caught.value.code == "territory_excluded"
    assert bool(licences.refusal(guarded)) is not holds


def test_what_cannot_be_accepted(guarded: Model, alice: User, relicense: Relicense) -> None:
    for country in ("EU", "UK", "us", ""):
        with pytest.raises(LicenceRefusal, match="must be one of ISO 3166-1"):
            licences.accept(guarded, country, alice)
    with pytest.raises(LicenceRefusal, match="runs without its licence being accepted"):
        licences.accept(relicense(must_accept="false"), "US", alice)


def test_a_new_version_asks_anew(guarded: Model, alice: User, relicense: Relicense) -> None:
    licences.accept(guarded, "US", alice)
    newer = relicense(version="2")
    assert "(2)" in licences.refusal(newer)
    licences.accept(newer, "US", alice)
    assert licences.refusal(newer) == ""


def test_a_country_that_is_excluded_later(relicense: Relicense, alice: User) -> None:
    licences.accept(relicense(excluded="[]"), "KR", alice)
    narrower = relicense()
    assert "does not hold in South Korea" in licences.refusal(narrower)
    assert licences.states([narrower])["guarded"] == State.EXCLUDED


def test_states_and_refusals_of_many_cost_one_query(
    guarded: Model, alice: User, django_assert_num_queries: Any
) -> None:
    models = list(catalog.models().values())
    with django_assert_num_queries(1):
        assert set(licences.refusals(models)) == {model.slug for model in models if model.licence.must_accept}
    with django_assert_num_queries(1):
        assert licences.states(models) == {
            model.slug: State.MUST_ACCEPT if model.licence.must_accept else State.FREE for model in models
        }
    with django_assert_num_queries(0):
        assert licences.refusal(catalog.models()["still"]) == ""


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_accepting_at_once_makes_one_row(guarded: Model, alice: User) -> None:
    rows = at_once(*[lambda: licences.accept(guarded, "US", alice)] * 4)
    assert len({row.pk for row in rows}) == 1
    assert LicenceAcceptance.objects.count() == 1
    with pytest.raises(LicenceRefusal, match="accepted for United States already"):
        licences.accept(guarded, "CH", alice)


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_withdrawing_happens_once(guarded: Model, alice: User) -> None:
    licences.accept(guarded, "US", alice)
    assert sorted(at_once(*[lambda: licences.withdraw(guarded, alice)] * 3)) == [False, False, True]


def test_what_waits_is_not_started_after_a_withdrawal(access: Access, guarded: Model, alice: User) -> None:
    lane = Lane("guarded", "paid")
    licences.accept(guarded, "US", alice)
    job = ask(access)
    assert licences.withdraw(guarded, alice)
    assert not licences.withdraw(guarded, alice)
    assert in_turn([lane]) == []
    assert "no longer accepts" in Pause.objects.get().reason
    with pytest.raises(LicenceRefusal, match="once an operator has accepted"):
        control.resume("guarded")
    assert in_turn([lane]) == []
    licences.accept(guarded, "US", alice)
    assert in_turn([lane]) == [lane]
    assert cancel(access, job.pk).state == "cancelled"
    kept = LicenceAcceptance.objects.order_by("pk")
    assert [(row.withdrawn_at is None, row.accepted_by_name) for row in kept] == [
        (False, "alice@example.org"),
        (True, "alice@example.org"),
    ]


def test_an_operators_own_pause_outlives_it(guarded: Model, alice: User) -> None:
    licences.accept(guarded, "US", alice)
    control.pause("guarded", reason="new driver")
    licences.withdraw(guarded, alice)
    licences.accept(guarded, "US", alice)
    assert Pause.objects.get().reason == "new driver"
    assert control.resume("guarded")


def test_commands_refuse(guarded: Model, db: None) -> None:
    with pytest.raises(CommandError, match="Guarded runs once an operator has accepted"):
        call_command("worker", "--model", "guarded")
    control.pause("guarded")
    with pytest.raises(CommandError, match="Guarded runs once an operator has accepted"):
        call_command("lanes", "resume", "guarded", stdout=io.StringIO())


def accepting(**changes: str) -> dict[str, str]:
    return {"model": "guarded", "version": "1", "territory": "US", "agree": "on", "accept": ""} | changes


def test_operators_accept_and_withdraw_in_the_admin(client: Client, superuser: User, guarded: Model) -> None:
    client.force_login(superuser)
    html = client.get(PAGE).content.decode()
    for shown in (
        "Guarded",
        "must be accepted",
        "Community Licence",
        "https://example.org/licence",
        "by a machine",
    ):
        assert shown in html
    assert "may run" in client.post(PAGE, accepting(), follow=True).content.decode()
    acceptance = LicenceAcceptance.objects.get()
    assert (acceptance.territory, acceptance.accepted_by) == ("US", superuser)
    assert "Accepted by op@example.org" in client.get(PAGE).content.decode()
    client.post(PAGE, {"model": "guarded", "withdraw": ""})
    html = client.get(PAGE).content.decode()
    assert "must be accepted" in html
    assert "withdrawn on" in html


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"agree": ""}, "Tick that you have read"),
        ({"territory": ""}, "Choose the country"),
        ({"territory": "DE"}, "does not hold in Germany"),
        ({"version": "0"}, "has changed since this page was shown"),
        ({"model": "nothing"}, "has changed since this page was shown"),
        ({"model": "still", "version": ""}, "runs without its licence"),
    ],
)
def test_the_admin_says_what_is_missing(
    client: Client, superuser: User, guarded: Model, changes: dict[str, str], said: str
) -> None:
    client.force_login(superuser)
    assert said in client.post(PAGE, accepting(**changes), follow=True).content.decode()
    assert not LicenceAcceptance.objects.exists()


def test_who_may_only_look_cannot_accept(client: Client, alice: User, guarded: Model) -> None:
    alice.is_staff = True
    alice.save()
    client.force_login(alice)
    assert client.post(PAGE, accepting()).status_code == 403
    assert not LicenceAcceptance.objects.exists()
