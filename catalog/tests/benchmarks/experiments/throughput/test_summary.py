from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import pytest

from catalog.benchmarks.errors import BenchmarkError
from catalog.benchmarks.experiments.throughput.generator import Outcome
from catalog.benchmarks.experiments.throughput.summary import Turns, figures_of, series_of, verdict, warnings


def outcome(rate: float, *, milliseconds: Sequence[int] = (), **fields: Any) -> Outcome:
    latencies = tuple(each / 1000 for each in milliseconds)
    given = {"requests": 10, "errors": 0, "first_error": "", "ceiling_per_second": 10_000.0, **fields}
    return Outcome(requests_per_second=rate, latencies=latencies, **given)


def turns(strategy: str = "readcache", **fields: Any) -> Turns:
    given = {
        "closed": [outcome(80), outcome(30), outcome(70)],
        "opened": [outcome(0, milliseconds=[1] * 60), outcome(0, milliseconds=[5] * 60)],
        "floor": [outcome(100), outcome(50), outcome(100)],
        "arrivals_per_second": 40,
        **fields,
    }
    return Turns(strategy=strategy, case="w2c8", seed=0, **given)


def values(of: Turns) -> dict[str, float | None]:
    return {figure.name: figure.value for figure in figures_of(of)}


def test_a_share_of_the_floor_is_computed_within_a_round() -> None:
    # The second round was slow for all strategies. Dividing medians would hide the share 0.6.
    assert turns().shares_of_floor == (0.8, 0.6, 0.7)
    assert values(turns())["of_floor"] == 0.7


def test_figures_are_medians_of_rounds_and_name_their_series() -> None:
    rates = (80, 30, 70, 71, 60, 79)
    measured = turns(closed=[outcome(rate) for rate in rates], floor=[outcome(100)] * 6)
    figures = {figure.name: figure for figure in figures_of(measured)}

    rate = figures["requests_per_second"]
    assert (rate.value, rate.better) == (70.5, "higher")
    assert 30 <= (rate.low or 0) < 70.5 < (rate.high or 0) <= 80
    assert {series.name: series.values for series in series_of(measured)}[rate.series or ""] == rates
    assert figures["p50"].value == 0.003
    assert figures["p50"].better == figures["p99"].better == figures["errors"].better == "lower"
    assert figures["arrivals_per_second"].value == 40


def test_percentiles_of_evenly_spread_latencies_are_exact() -> None:
    opened = [outcome(0, milliseconds=range(1, 101))]

    found = values(turns(opened=opened))

    assert found["p50"] == pytest.approx(0.0505)
    # By the inclusive method: 99% of the way from the first to the last of a hundred values.
    assert found["p99"] == pytest.approx(0.09901)


def test_each_series_has_one_value_for_each_round() -> None:
    rounds = [outcome(0, milliseconds=[1] * 60), outcome(0), outcome(0, milliseconds=[5] * 60)]

    found = {series.name: series.values for series in series_of(turns(opened=rounds))}

    assert list(found) == ["requests_per_second", "of_floor", "p50"]
    assert found["requests_per_second"] == (80, 30, 70)
    assert found["of_floor"] == (0.8, 0.6, 0.7)
    # A round in which nothing was answered has no latency.
    assert found["p50"] == (0.001, 0.005)


def test_empty_series_and_the_floors_share_of_itself_are_left_out() -> None:
    assert [series.name for series in series_of(turns(opened=[]))] == ["requests_per_second", "of_floor"]
    assert [series.name for series in series_of(turns("floor"))] == ["requests_per_second", "p50"]


def test_the_p99_covers_all_rounds_so_one_slow_round_shows() -> None:
    assert values(turns())["p99"] == 0.005
    exactly_enough = [outcome(0, milliseconds=[1] * 60), outcome(0, milliseconds=[1] * 40)]
    assert values(turns(opened=exactly_enough))["p99"] == 0.001
    few = [outcome(0, milliseconds=[1] * 99)]
    assert values(turns(opened=few))["p99"] is None


def test_a_strategy_that_answered_nothing_has_no_latency() -> None:
    found = values(turns(closed=[outcome(0)] * 3, opened=[], arrivals_per_second=0))

    assert (found["requests_per_second"], found["of_floor"], found["p50"], found["p99"]) == (0, 0, None, None)


def test_the_floor_is_not_compared_with_itself() -> None:
    assert "of_floor" not in values(turns("floor"))


def test_a_floor_without_answers_is_an_error_with_its_cause() -> None:
    failing = outcome(0, errors=3, first_error="an answer was 500")
    silent = turns(closed=[failing, outcome(0)], floor=[outcome(100), outcome(0)])
    with pytest.raises(BenchmarkError, match=r"answered nothing in a round of w2c8\. an answer was 500"):
        values(silent)


def test_errors_of_both_loads_are_counted_and_reported() -> None:
    failing = turns(
        closed=[outcome(50), outcome(50, errors=2, first_error="an answer was 500"), outcome(50)],
        opened=[outcome(0, errors=1, first_error="TimeoutError: timed out")],
    )

    assert values(failing)["errors"] == 3
    assert verdict(failing, workers=2, clients=8) == (
        "readcache: 50 answers per second from 2 workers to 8 clients, 50% of the floor's rate; "
        "3 of 40 requests FAILED."
    )
    (line,) = [each for each in warned([failing]) if "failed" in each]
    assert line == "readcache, w2c8: 3 of 40 requests failed, the first with: an answer was 500."


def test_a_verdict_without_faults_gives_the_p99() -> None:
    assert verdict(turns(), workers=2, clients=8) == (
        "readcache: 70 answers per second from 2 workers to 8 clients, 70% of the floor's rate; "
        "at half of that, 99% within 5.00 ms."
    )


def warned(all_turns: Sequence[Turns]) -> list[str]:
    return list(warnings(all_turns, workers=2, generators=2))


@pytest.fixture
def many_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 8)


@pytest.mark.usefixtures("many_cores")
def test_steady_rates_far_below_the_generators_limit_need_no_warning() -> None:
    steady = [outcome(100)] * 3
    assert warned([turns("floor", closed=steady), turns(closed=steady)]) == []


@pytest.mark.usefixtures("many_cores")
def test_a_generator_near_its_own_limit_gives_a_warning() -> None:
    near = [outcome(100, ceiling_per_second=ceiling) for ceiling in (None, 199.0, 199.0)]
    (line,) = warned([turns("floor", closed=near)])
    assert "the limit of the load generator, 199 requests per second from 2 processes" in line
    # Only the floor, which is the fastest, gives the warning.
    assert warned([turns(closed=near)]) == []


@pytest.mark.usefixtures("many_cores")
@pytest.mark.parametrize("ceiling", [200.0, None])
def test_a_generator_far_from_its_limit_gives_no_warning(ceiling: float | None) -> None:
    assert warned([turns("floor", closed=[outcome(100, ceiling_per_second=ceiling)] * 3)]) == []


@pytest.mark.usefixtures("many_cores")
def test_rates_that_differ_between_rounds_give_a_warning() -> None:
    (line,) = warned([turns(), turns(closed=[outcome(100)] * 3)])
    assert line.startswith("The rates of 1 of 2 rows differ by more than 25% between rounds.")


@pytest.mark.usefixtures("many_cores")
@pytest.mark.parametrize(("highest", "is_unstable"), [(115, False), (115.1, True)])
def test_rates_that_differ_by_a_quarter_of_the_median_give_no_warning(
    highest: float, is_unstable: bool
) -> None:
    rates = [outcome(rate) for rate in (90, 100, highest)]

    assert bool(warned([turns(closed=rates, floor=rates)])) is is_unstable


@pytest.mark.parametrize(("cores", "said"), [(2, 2), (3, 3), (None, 1)])
def test_too_few_cores_give_a_warning(cores: int | None, said: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    (line,) = warned([turns(closed=[outcome(100)] * 3)])
    assert line.startswith(f"2 workers share {said} cores with Redis and the load generator")


def test_a_core_for_each_worker_and_two_for_others_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    assert warned([turns(closed=[outcome(100)] * 3)]) == []
