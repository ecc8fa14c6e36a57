"""The steps of the demonstration. Each does only what was not done yet."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from django.contrib.auth import get_user_model
from django.core.management import call_command

from catalog import signals
from catalog.composer import SKU_PREFIX
from catalog.flushing import flush_textbook_pages
from catalog.models import Product
from catalog.seeding import SeedingPlan, add_missing, plan_seeding, seeded_products

FIXTURE = "catalog"
ADMIN_NAME = "admin"
PASSWORD_BYTES = 12
BATCH_SIZE = 2000


def load_fixture_once() -> int:
    """Load the fixture into a catalogue that has nothing of it; return how many products came.

    A second load would undo what people changed since.
    """
    by_hand = Product.objects.filter(sku__isnull=False).exclude(sku__startswith=SKU_PREFIX)
    if by_hand.exists():
        return 0
    with signals.disconnected():
        call_command("loaddata", FIXTURE, verbosity=0)
    flush_textbook_pages()
    return by_hand.count()


def plan_at_least(count: int) -> SeedingPlan | None:
    """What it takes to have ``count`` seeded products or more; ``None`` where they are there.

    Raises ``InvalidOption``.
    """
    return None if seeded_products().count() >= count else plan_seeding(count=count)


def seed(plan: SeedingPlan, *, on_progress: Callable[[int], None]) -> int:
    """Add what the plan misses, removing nothing; return how many were added."""
    try:
        return add_missing(plan, batch_size=BATCH_SIZE, on_progress=on_progress)
    finally:
        # Also after an interrupt: whole batches are there.
        flush_textbook_pages()


def make_admin() -> str | None:
    """Make the admin and return the password, which is kept nowhere; ``None`` if there is one."""
    users = get_user_model()._default_manager
    if users.filter(username=ADMIN_NAME).exists():
        return None
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    users.create_superuser(ADMIN_NAME, "admin@example.com", password)
    return password
