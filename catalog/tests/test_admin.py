import re

import pytest
from django.test import Client

from catalog.factories import ProductFactory
from catalog.models import MAX_STOCK, Product

pytestmark = pytest.mark.django_db


def test_price_and_stock_inputs_of_the_product_list_are_narrow(admin_client: Client) -> None:
    ProductFactory.create()

    page = admin_client.get("/admin/catalog/product/").content.decode()

    inputs = re.findall(r'<input type="number" name="form-0-(?:price|stock)"[^>]*>', page)
    assert len(inputs) == 2
    assert all("width: 7em" in each for each in inputs)


def test_a_stock_above_the_limit_is_refused_with_a_reason(admin_client: Client) -> None:
    product = ProductFactory.create(stock=5)
    form = {
        "form-TOTAL_FORMS": 1,
        "form-INITIAL_FORMS": 1,
        "_save": "Save",
        "form-0-id": product.pk,
        "form-0-price": product.price,
        "form-0-stock": MAX_STOCK + 1,
    }

    page = admin_client.post("/admin/catalog/product/", form).content.decode()

    assert f"less than or equal to {MAX_STOCK}" in page
    assert Product.objects.get(pk=product.pk).stock == 5
