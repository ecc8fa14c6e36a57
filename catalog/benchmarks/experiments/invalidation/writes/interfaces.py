"""Writes through the admin, the API, a fixture, and another process."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from django.core import serializers
from django.core.management import call_command
from django.forms import model_to_dict
from django.urls import reverse
from rest_framework.test import APIClient

from catalog.benchmarks.errors import BenchmarkError
from catalog.benchmarks.experiments.invalidation.writes.kinds import kind
from catalog.benchmarks.experiments.invalidation.writes.targets import Target


@kind("list", "detail")
def save_in_the_admin(target: Target) -> None:
    product = target.product
    form = model_to_dict(product, fields=["description", "price", "stock", "category"])
    url = reverse("admin:catalog_product_change", args=[product.pk])
    response = target.admin.browser.post(url, {**form, "name": target.new_name, "tags": [target.tag.pk]})
    _require(response, 302)


@kind("list", "detail", "statistics", "category")
def delete_in_the_admin(target: Target) -> None:
    """With the action that deletes the selected rows of the list."""
    form = {"action": "delete_selected", "_selected_action": [target.product.pk], "post": "yes"}
    _require(target.admin.browser.post(reverse("admin:catalog_product_changelist"), form), 302)


@kind("list", "detail")
def save_through_the_api(target: Target) -> None:
    """The request saves the product with its name, and then its tags."""
    client = APIClient()
    client.force_authenticate(target.admin.user)
    changes = {"name": target.new_name, "tags": []}
    _require(client.patch(f"/products/{target.product.pk}/", changes, format="json"), 200)


@kind("list", "detail")
def loaddata(target: Target) -> None:
    [record] = json.loads(serializers.serialize("json", [target.product]))
    record["fields"]["name"] = target.new_name
    with TemporaryDirectory() as folder:
        fixture = Path(folder) / "products.json"
        fixture.write_text(json.dumps([record]))
        call_command("loaddata", fixture, verbosity=0)


@kind("list", "detail", is_elsewhere=True)
def second_process(target: Target) -> None:
    if target.process is None:
        raise BenchmarkError("No other process can write to a database in memory. Use a file.")
    target.process.rename(target.product.pk, target.new_name)


def _require(response: Any, status: int) -> None:
    if response.status_code != status:
        raise BenchmarkError(
            f"A write was answered {response.status_code}, not {status}: {response.content[:200]!r}"
        )
