from django.apps import AppConfig
from django.conf import settings


class CatalogConfig(AppConfig):
    name = "catalog"

    def ready(self) -> None:
        # The views are imported for what they declare: every process that writes must know it.
        from catalog import signals, views  # noqa: F401
        from readcache.invalidation.rotations import rotated

        if settings.TEXTBOOK:
            signals.connect()
        rotated.connect(signals.log_rotation)
