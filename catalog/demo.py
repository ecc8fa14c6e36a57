"""The steps of the command ``demo``. Each step skips the work that an earlier run has done."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from django.contrib.auth import get_user_model
from django.core.management import call_command

from catalog import signals
from catalog.flushing import flush_textbook_pages
from catalog.models import Product
from catalog.seeding import SeedingPlan, add_missing, plan_seeding, seeded_products
from catalog.seeding.composer import SKU_PREFIX

FIXTURE = "catalog"
ADMIN_NAME = "admin"
PASSWORD_BYTES = 12
BATCH_SIZE = 2000


def load_fixture_once() -> int:
    """Load the fixture unless some of its products exist; return the number of products loaded.

    Loading it again would overwrite the changes that an admin has made since.
    """
    by_hand = Product.objects.filter(sku__isnull=False).exclude(sku__startswith=SKU_PREFIX)
    if by_hand.exists():
        return 0
    with signals.disconnected():
        call_command("loaddata", FIXTURE, verbosity=0)
    flush_textbook_pages()
    return by_hand.count()


def plan_at_least(count: int) -> SeedingPlan | None:
    """A plan for at least ``count`` seeded products; ``None`` if there are as many already.

    Raises ``InvalidOption``.
    """
    return None if seeded_products().count() >= count else plan_seeding(count=count)


def seed(plan: SeedingPlan, *, on_progress: Callable[[int], None]) -> int:
    """Add the products that are missing, remove none, and return the number added."""
    try:
        return add_missing(plan, batch_size=BATCH_SIZE, on_progress=on_progress)
    finally:
        # An interrupted run has written whole batches, so the pages are cleared then too.
        flush_textbook_pages()


def make_admin() -> str | None:
    """Create the admin and return the password, which is not stored; ``None`` if the admin exists."""
    users = get_user_model()._default_manager
    if users.filter(username=ADMIN_NAME).exists():
        return None
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    users.create_superuser(ADMIN_NAME, "admin@example.com", password)
    return password
