"""A mix of requests in which some pages are much more popular than others."""

from __future__ import annotations

import random
from urllib.parse import quote

from django.db.models import Count

from catalog.benchmarks.errors import BenchmarkError
from catalog.models import Category, Product

# How many pages of each kind the mix draws from.
LIST_PAGES = 20
CATEGORIES = 5
SEARCHES = 15
DETAILS = 60
ZIPF_EXPONENT = 0.8  # Within the range 0.64 to 0.83 that Breslau et al. found.


def draw_mix(seed: int, requests: int) -> list[str]:
    """The paths of the requests. They depend on the seed and the catalogue, and so do the ranks of the pages.

    Raises ``BenchmarkError`` if the catalogue is empty.
    """
    chance = random.Random(seed)
    pages = _pages(chance)
    chance.shuffle(pages)
    weights = [1 / rank**ZIPF_EXPONENT for rank in range(1, len(pages) + 1)]
    return chance.choices(pages, weights, k=requests)


def _pages(chance: random.Random) -> list[str]:
    keys = list(Product.objects.order_by("pk").values_list("pk", flat=True)[:100_000])
    if not keys:
        raise BenchmarkError("The catalogue is empty. Fill it with: python manage.py seed_products")
    # The list hides products that are sold out.
    last_page = -(-Product.objects.filter(stock__gt=0).count() // 20)
    details = chance.sample(keys, min(DETAILS, len(keys)))
    names = Product.objects.filter(pk__in=details).order_by("pk").values_list("name", flat=True)
    words = sorted({name.split()[0].lower() for name in names})[:SEARCHES]
    slugs = (
        Category.objects.annotate(size=Count("products"))
        .order_by("-size", "pk")
        .values_list("slug", flat=True)
    )
    return [
        *(f"/products/?page={number}" for number in range(1, min(LIST_PAGES, last_page) + 1)),
        *(f"/products/?category={quote(slug)}" for slug in slugs[:CATEGORIES]),
        *(f"/products/?category={quote(slug)}&ordering=price" for slug in slugs[:CATEGORIES]),
        *(f"/products/?search={quote(word)}" for word in words),
        *(f"/products/{key}/" for key in details),
        "/products/?ordering=-stock",
        "/products/?price__lt=20&ordering=-price",
        "/products/stats/",
        "/categories/",
    ]
