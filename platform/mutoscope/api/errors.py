"""Every error of the API as problem JSON (RFC 9457): one shape, 404s and 500s of Django's own included."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from asgi_correlation_id import correlation_id
from django.core.exceptions import PermissionDenied
from django.db import OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views import defaults
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from mutoscope.errors import Refusal

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
API_PREFIX = "/api/"


def problem(status: int, code: str, detail: str, **more: Any) -> dict[str, Any]:
    """The body of a problem answer; `instance` carries the request id that the logs have too."""
    return {
        "type": f"urn:mutoscope:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
        "instance": f"urn:mutoscope:request:{correlation_id.get() or 'unknown'}",
        **more,
    }


def problem_response(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler. None for faults of ours, which end as `server_error`."""
    headers: dict[str, str] = {}
    error = _in_our_words(error)
    if isinstance(error, Refusal):
        body = problem(error.status, error.code, error.message, **error.details)
        if error.retry_after is not None:
            headers["Retry-After"] = str(error.retry_after)
        if error.field:
            body["errors"] = [{"field": error.field, "message": error.message}]
    elif isinstance(error, exceptions.ValidationError):
        errors = list(_flat(error.detail))
        detail = "; ".join(f"{e['field']}: {e['message']}" if e["field"] else e["message"] for e in errors)
        body = problem(error.status_code, "invalid", detail, errors=errors)
    elif isinstance(error, exceptions.APIException):
        body = problem(error.status_code, str(error.get_codes()), str(error.detail))
        if getattr(error, "auth_header", None):
            headers["WWW-Authenticate"] = error.auth_header  # type: ignore[attr-defined]
        if getattr(error, "wait", None):
            headers["Retry-After"] = str(int(error.wait))  # type: ignore[attr-defined]
    else:
        return None
    set_rollback()
    return Response(body, status=body["status"], headers=headers, content_type=MEDIA_TYPE)


class Unavailable(Refusal):
    """What the request needs is away."""

    status = 503
    code = "unavailable"
    retry_after = 5


def _in_our_words(error: Exception) -> Exception:
    if isinstance(error, Http404):
        return exceptions.NotFound()
    if isinstance(error, PermissionDenied):
        return exceptions.PermissionDenied()
    if isinstance(error, OperationalError):
        log.error("the database did not answer, or too many ask it at once", exc_info=error)
        return Unavailable("the database does not answer just now; nothing was done, try again")
    return error


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's 404: problem JSON below /api/, a page elsewhere."""
    if request.path.startswith(API_PREFIX):
        return _json(problem(404, "not_found", f"there is nothing at {request.path}"))
    return defaults.page_not_found(request, exception)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's 400 (bad Host, malformed multipart, too many fields)."""
    if request.path.startswith(API_PREFIX):
        return _json(problem(400, "bad_request", "the request is malformed"))
    return defaults.bad_request(request, exception)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's 403."""
    if request.path.startswith(API_PREFIX):
        return _json(problem(403, "forbidden", "this is not allowed"))
    return defaults.permission_denied(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's 500: no more is said than the request id, by which the log has the rest."""
    if request.path.startswith(API_PREFIX):
        return _json(
            problem(500, "internal", "something went wrong on our side; the request id finds it in our log")
        )
    return defaults.server_error(request)


def _json(body: dict[str, Any]) -> JsonResponse:
    return JsonResponse(body, status=body["status"], content_type=MEDIA_TYPE)


def _flat(detail: Any, path: str = "") -> Iterator[dict[str, str]]:
    if isinstance(detail, dict):
        for key, value in detail.items():
            field = "" if key == "non_field_errors" else str(key)
            yield from _flat(value, f"{path}.{field}" if path and field else field or path)
    elif isinstance(detail, list):
        for value in detail:
            yield from _flat(value, path)
    else:
        yield {"field": path, "message": str(detail)}
