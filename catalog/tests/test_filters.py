import pytest
from rest_framework.test import APIClient

from catalog.filters import ProductFilter

pytestmark = pytest.mark.django_db


def test_the_labels_of_the_filter_form_are_plain_english() -> None:
    labels = {name: field.label for name, field in ProductFilter().form.fields.items()}

    assert labels == {
        "name__iexact": "Name is",
        "name__icontains": "Name contains",
        "price": "Price is",
        "price__lt": "Price is less than",
        "price__gt": "Price is greater than",
        "price__range": "Price is from, to (such as 5,20)",
        "category": "Category",
        "tag": "Tag",
    }


def test_the_filter_dialog_shows_the_labels(api: APIClient) -> None:
    page = api.get("/products/", headers={"accept": "text/html"}).content.decode()

    assert "Price is less than:" in page
    assert page.count('<option value="" selected>Any</option>') == 2
    assert "Multiple values" not in page
