from django.apps import AppConfig
from django.conf import settings
from django.core.checks import Tags, register


class CatalogConfig(AppConfig):
    name = "catalog"

    def ready(self) -> None:
        # The views are imported for what they declare: every process that writes must know it.
        from catalog import signals, views  # noqa: F401
        from catalog.caching import writes
        from catalog.caching.checks import check_declarations, check_views

        if settings.TEXTBOOK:
            signals.connect()
        writes.install()
        writes.rotated.connect(signals.log_rotation)
        register(check_declarations, Tags.caches)
        register(check_views, Tags.urls)
