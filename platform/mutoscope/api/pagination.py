"""How lists page: by cursor, newest first, so that pages neither skip nor repeat while jobs come in."""

from __future__ import annotations

from rest_framework.pagination import CursorPagination


class NewestFirst(CursorPagination):
    """Ids sort by creation (UUID version 7), so the id is the whole order."""

    ordering = "-id"
    page_size = 20
    max_page_size = 100
    page_size_query_param = "limit"
