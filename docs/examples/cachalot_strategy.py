"""django-cachalot, which keeps the results of the ORM's queries in Redis.

pip install django-cachalot
python manage.py bench_cache --strategy docs.examples.cachalot_strategy:Cachalot
"""

from __future__ import annotations

from django.conf import settings

from catalog.benchmarks.strategies.base import Strategy


class Cachalot(Strategy):
    """The plain views, unchanged: what is cached are the rows below them."""

    name = "cachalot"
    requires = ("django-cachalot",)
    # It patches the ORM's compiler, and would cache every other strategy's queries too.
    own_process = True
    url_prefix = "/uncached"
    # It caches in the alias "default", and is connected by its AppConfig.
    settings = {"INSTALLED_APPS": [*settings.INSTALLED_APPS, "cachalot"]}
