"""The people of a local checkout: an operator to sign in as, and a key for the demonstration."""

from __future__ import annotations

from billing.models import Plan
from billing.services import subscribe
from mutoscope.accounts.models import ApiKey, User, Workspace
from mutoscope.accounts.services import create_api_key, ensure_personal_workspace, revoke_api_key
from mutoscope.env import local_secret

OPERATOR = "operator@mutoscope.localhost"
DEMO_KEY = "make demo"


def local_operator() -> tuple[str, str]:
    """E-mail address and password of this checkout's operator, made once, with a workspace on the top plan."""
    password = local_secret("operator")
    operator = User.objects.filter(email=OPERATOR).first()
    if operator is None:
        operator = User.objects.create_superuser(OPERATOR, password, name="Operator")
    elif not operator.check_password(password):
        operator.set_password(password)
        operator.save(update_fields=["password"])
    _workspace(operator)
    return OPERATOR, password


def demo_token() -> str:
    """A fresh API key of the operator's workspace; the one of the demonstration before is revoked."""
    local_operator()
    operator = User.objects.get(email=OPERATOR)
    workspace = _workspace(operator)
    for old in ApiKey.objects.filter(workspace=workspace, name=DEMO_KEY, revoked_at=None):
        revoke_api_key(old)
    _, token = create_api_key(workspace, name=DEMO_KEY, scopes=ApiKey.Scope.values, created_by=operator)
    return token


def _workspace(operator: User) -> Workspace:
    workspace = ensure_personal_workspace(operator)
    if not hasattr(workspace, "subscription"):
        subscribe(workspace, Plan.objects.get(slug="studio"))
    return workspace
