from django.apps import AppConfig
from django.conf import settings


class CatalogConfig(AppConfig):
    name = "catalog"

    def ready(self) -> None:
        # The views are imported for what they declare: every process that writes must know it.
        from catalog import signals, views  # noqa: F401
        from catalog.caching.installation import install
        from catalog.caching.rotations import rotated

        if settings.TEXTBOOK:
            signals.connect()
        install()
        rotated.connect(signals.log_rotation)
