"""``INSTALLED_APPS += ["readcache"]`` installs the watch of statements and the system checks."""

from __future__ import annotations

from django.apps import AppConfig


class ReadCacheConfig(AppConfig):
    name = "readcache"
    verbose_name = "Read cache"

    def ready(self) -> None:
        from django.core.checks import Tags, register

        from readcache.checks import check_database_views, check_declarations, check_server, check_views
        from readcache.invalidation import watch

        watch.install()
        register(check_declarations, Tags.caches)
        register(check_server, Tags.caches, deploy=True)
        register(check_views, Tags.urls)
        register(check_database_views, Tags.database)
