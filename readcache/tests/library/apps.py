from __future__ import annotations

from django.apps import AppConfig
from django.conf import settings


class LibraryConfig(AppConfig):
    name = "library"

    def ready(self) -> None:
        # Every process that writes should know what the views of its release declare.
        if settings.ROOT_URLCONF == "library.urls":
            from library import views  # noqa: F401
