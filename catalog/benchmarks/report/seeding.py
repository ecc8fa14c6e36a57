"""The comparison of seeding with a bare ``bulk_create``, in words."""

from __future__ import annotations

import statistics

from catalog.benchmarks.seeding import SeedingComparison


def render_text(result: SeedingComparison) -> str:
    lines = [
        f"{name:<38}{middle:>9,.0f} products/s ({low:,.0f} to {high:,.0f})"
        for name, middle, low, high in rows(result)
    ]
    return "\n".join([*lines, verdict(result)])


def rows(result: SeedingComparison) -> list[tuple[str, float, float, float]]:
    """What, and its products per second: the median, the least and the most."""
    turns = {
        "seed_products": result.seeding_seconds,
        "bulk_create of ready-made products": result.bare_seconds,
        "the same, and of ready-made tag rows": result.bare_with_tags_seconds,
    }
    return [
        (
            name,
            result.count / statistics.median(seconds),
            result.count / max(seconds),
            result.count / min(seconds),
        )
        for name, seconds in turns.items()
    ]


def verdict(result: SeedingComparison) -> str:
    return (
        f"Seeding is {result.speed_share:.2f} times as fast as bulk_create of ready-made products, "
        f"and {result.speed_share_with_tags:.2f} times as fast as writing the same rows."
    )
