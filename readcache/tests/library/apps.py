from __future__ import annotations

from django.apps import AppConfig


class LibraryConfig(AppConfig):
    name = "library"

    def ready(self) -> None:
        # Every process that writes must know what the views declare.
        from library import views  # noqa: F401
