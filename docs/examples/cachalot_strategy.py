"""django-cachalot, which caches the results of ORM queries in Redis.

pip install django-cachalot
python manage.py bench_cache --strategy docs.examples.cachalot_strategy:Cachalot
"""

from __future__ import annotations

from django.conf import settings

from catalog.benchmarks.strategies.base import Strategy


class Cachalot(Strategy):
    """The plain views, unchanged. The rows that their queries return are cached."""

    name = "cachalot"
    requires = ("django-cachalot",)
    # It patches the ORM's compiler, so in a shared process it would cache the queries of all strategies.
    own_process = True
    url_prefix = "/uncached"
    # It caches in the alias "default". Its AppConfig connects its invalidation.
    settings = {"INSTALLED_APPS": [*settings.INSTALLED_APPS, "cachalot"]}
