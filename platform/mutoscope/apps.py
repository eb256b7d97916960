"""The project itself as an app: its commands and its system checks."""

from django.apps import AppConfig


class MutoscopeConfig(AppConfig):
    name = "mutoscope"

    def ready(self) -> None:
        from mutoscope import checks  # noqa: F401  (registers them)
