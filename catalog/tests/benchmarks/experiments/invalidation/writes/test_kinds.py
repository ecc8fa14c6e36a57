"""Rules that hold for every kind of write."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session

from catalog.benchmarks.experiments.invalidation.writes import KINDS, make_targets
from catalog.benchmarks.sandbox.accounts import browsing, scratch_accounts
from catalog.benchmarks.sandbox.rows import scratch_label
from catalog.factories import ProductFactory, TagFactory
from catalog.models import Category, Product, Tag

TABLES = (Product, Category, Tag, Product.tags.through, User, Session, LogEntry)


def rows() -> list[list[Any]]:
    return [list(model._default_manager.order_by("pk").values()) for model in TABLES]


def test_every_kind_has_a_unique_name_that_a_gate_can_contain() -> None:
    names = [kind.name for kind in KINDS]

    assert len(set(names)) == len(names) > 30
    assert all(name.isidentifier() and name.islower() for name in names)
    assert all(kind.changes for kind in KINDS)


@pytest.mark.django_db(transaction=True)
def test_no_kind_of_write_changes_other_rows_or_leaves_rows_behind() -> None:
    ProductFactory.create_batch(2, tags=[TagFactory.create(name="old")])
    User.objects.create_superuser("wilhelmina")
    before = rows()

    with (
        scratch_label() as label,
        scratch_accounts() as (*_, account),
        browsing(account, accept="text/html") as admin,
    ):
        here = [kind for kind in KINDS if not kind.is_elsewhere]
        for kind, target in zip(here, make_targets(label, len(here), admin=admin), strict=True):
            kind.write(target)
            kind.write_in_a_transaction(make_targets(label, 1, admin=admin)[0], before_commit=lambda: None)

    assert rows() == before
