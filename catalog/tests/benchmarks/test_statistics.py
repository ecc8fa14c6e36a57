import random
import statistics

import pytest

from catalog.benchmarks.statistics import compare, percentile, summarise


def test_a_summary_is_in_seconds() -> None:
    summary = summarise([1_000_000_000, 3_000_000_000])

    assert (summary.min, summary.p50, summary.max, summary.mean) == (1, 2, 3, 2)
    assert summary.stdev == pytest.approx(2**0.5)
    assert summary.requests_per_second == 0.5


def test_percentiles_follow_the_inclusive_method() -> None:
    values = [float(value) for value in range(101)]

    assert percentile(values, 95) == 95
    assert percentile([1.0, 2.0], 95) == pytest.approx(1.95)
    assert percentile([7.0], 99) == 7.0


@pytest.mark.parametrize(("count", "has_p99"), [(99, False), (100, True)])
def test_there_is_no_p99_of_fewer_than_a_hundred_samples(count: int, has_p99: bool) -> None:
    assert (summarise(range(1, count + 1)).p99 is not None) is has_p99


def test_one_sample_is_enough_for_a_summary() -> None:
    assert summarise([5_000_000_000]).stdev == 0


def samples(seed: int, mean: float) -> list[int]:
    chance = random.Random(seed)
    return [int(chance.gauss(mean, mean / 10)) for _ in range(200)]


def test_a_speed_up_has_an_interval_around_it() -> None:
    speedup = compare(samples(1, 4e6), samples(2, 1e6))

    assert speedup.low < speedup.ratio < speedup.high
    assert speedup.ratio == pytest.approx(4, rel=0.05)
    assert speedup.is_significant


def test_equal_distributions_do_not_differ_significantly() -> None:
    significant = [compare(samples(2 * n, 1e6), samples(2 * n + 1, 1e6)).is_significant for n in range(20)]

    # A 95 % interval is wrong one time in twenty; four in twenty has a chance of 1.6 %.
    assert sum(significant) <= 3


def test_the_interval_covers_the_true_ratio_as_often_as_it_says() -> None:
    covered = 0
    for n in range(40):
        speedup = compare(samples(1000 + n, 3e6), samples(2000 + n, 1e6))
        covered += speedup.low <= 3 <= speedup.high

    assert covered >= 33


def test_the_same_seed_gives_the_same_interval() -> None:
    arguments = samples(1, 4e6), samples(2, 1e6)

    assert compare(*arguments, seed=3) == compare(*arguments, seed=3)
    assert compare(*arguments).ratio == statistics.median(arguments[0]) / statistics.median(arguments[1])
