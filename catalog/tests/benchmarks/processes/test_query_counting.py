import pytest
from django.db import connection

from catalog.benchmarks.processes.query_counting import counted_queries
from catalog.models import Product


@pytest.mark.django_db
def test_more_queries_are_counted_than_django_keeps() -> None:
    with counted_queries() as count:
        for _ in range(connection.queries_limit + 5):
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")

    assert count.queries == connection.queries_limit + 5


@pytest.mark.django_db
def test_only_queries_inside_the_block_are_counted() -> None:
    Product.objects.exists()
    with counted_queries() as count:
        Product.objects.exists()
    Product.objects.exists()

    assert count.queries == 1
