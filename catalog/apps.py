from django.apps import AppConfig
from django.conf import settings


class CatalogConfig(AppConfig):
    name = "catalog"

    def ready(self) -> None:
        from catalog import signals
        from readcache import rotated

        if settings.TEXTBOOK:
            signals.connect()
        rotated.connect(signals.log_rotation)
