from django.apps import AppConfig


class ApiConfig(AppConfig):
    name = "mutoscope.api"

    def ready(self) -> None:
        from mutoscope.api import schema  # noqa: F401  (tells the OpenAPI generator about API keys)
