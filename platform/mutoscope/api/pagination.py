"""How lists page: by cursor, newest first, so that pages neither skip nor repeat while jobs come in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from rest_framework.exceptions import NotFound
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.views import APIView


class NewestFirst(CursorPagination):
    """Ids sort by creation (UUID version 7), so the id is the whole order."""

    ordering = "-id"
    page_size = 20
    max_page_size = 100
    page_size_query_param = "limit"

    def paginate_queryset(
        self, queryset: QuerySet[Any] | Sequence[Any], request: Request, view: APIView | None = None
    ) -> list[Any] | None:
        try:
            return super().paginate_queryset(queryset, request, view)
        except ValidationError as error:  # decoded well, but there is no id in it
            raise NotFound(self.invalid_cursor_message) from error
