from dataclasses import replace

import pytest

from catalog.benchmarks.figures.results import ExperimentResult, Figure
from catalog.tests.benchmarks.report.example import example_run
from tools.measurements.targets import Target, targets


def target_of(*shares: float | None) -> Target:
    """The target for the share of the floor, for a run that also has shares of another strategy."""
    figures = tuple(
        Figure(strategy=strategy, case=f"w2c{2**place}", name="of_floor", value=share, unit="share")
        for strategy, values in (("readcache", shares), ("textbook", (0.1, 0.9)))
        for place, share in enumerate(values)
    )
    result = ExperimentResult(experiment="throughput", parameters={}, figures=figures)
    found = targets(replace(example_run(), experiments=(result,)))
    return next(target for target in found if "gunicorn" in target.what)


@pytest.mark.parametrize(
    ("shares", "reached", "is_met"),
    [
        ((0.7, 0.74, 0.9), "0.740 (0.70 to 0.90)", False),
        ((0.7, 0.76, 0.8), "0.760 (0.70 to 0.80)", True),
        ((0.75,), "0.750 (0.75 to 0.75)", True),
        ((0.8, None), "0.800 (0.80 to 0.80)", True),
        ((), None, None),
    ],
)
def test_the_share_of_the_floor_is_the_median_and_not_the_maximum(
    shares: tuple[float | None, ...], reached: str | None, is_met: bool | None
) -> None:
    target = target_of(*shares)

    assert (target.reached, target.is_met) == (reached, is_met)
