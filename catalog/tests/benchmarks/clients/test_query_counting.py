import pytest
from django.db import connection

from catalog.benchmarks.clients.query_counting import counted_queries
from catalog.models import Product


@pytest.mark.django_db
def test_queries_are_counted_beyond_what_django_keeps_of_them() -> None:
    with counted_queries() as count:
        for _ in range(connection.queries_limit + 5):
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")

    assert count.queries == connection.queries_limit + 5


@pytest.mark.django_db
def test_only_the_block_is_counted() -> None:
    Product.objects.exists()
    with counted_queries() as count:
        Product.objects.exists()
    Product.objects.exists()

    assert count.queries == 1
