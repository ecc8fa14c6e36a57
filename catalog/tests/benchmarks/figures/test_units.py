import pytest

from catalog.benchmarks.figures.results import Unit
from catalog.benchmarks.figures.units import column, say


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1.5, "s", "1.50 s"),
        (0.25, "s", "0.25 s"),
        (0.0123, "s", "12.3 ms"),
        (0.000_45, "s", "0.45 ms"),
        (0.000_045, "s", "45.0 µs"),
        (0, "s", "0 s"),
        (1234.5, "1/s", "1,234/s"),
        (0.925, "share", "92.5%"),
        (3 * 2**20, "bytes", "3.00 MiB"),
        (2500, "bytes", "2.44 KiB"),
        (12, "bytes", "12.0 B"),
        (1_000_000, "count", "1,000,000"),
        (2.5, "count", "2.50"),
        (1.234, "ratio", "1.23"),
        (-0.001, "ratio", "0.00"),
        (None, "s", "n/a"),
    ],
)
def test_a_number_is_written_in_a_fitting_unit(value: float | None, unit: Unit, text: str) -> None:
    assert say(value, unit) == text


def test_a_column_uses_one_unit_that_fits_its_smallest_number() -> None:
    assert column([0.5, 0.002], "s") == ("ms", ["500", "2.00"])
    assert column([0.5, None, 0.0], "s") == ("s", ["0.50", "n/a", "0"])
    assert column([None, None], "s") == ("", ["n/a", "n/a"])
