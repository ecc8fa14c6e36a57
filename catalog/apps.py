from django.apps import AppConfig
from django.conf import settings


class CatalogConfig(AppConfig):
    name = "catalog"

    def ready(self) -> None:
        # Importing the views registers their ReadCache declarations. Every process that writes needs
        # them: it rotates only the tags that it knows.
        from catalog import signals, views  # noqa: F401
        from readcache.invalidation.rotations import rotated

        if settings.TEXTBOOK:
            signals.connect()
        rotated.connect(signals.log_rotation)
