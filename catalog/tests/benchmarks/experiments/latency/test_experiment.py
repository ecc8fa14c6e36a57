from itertools import count
from typing import Any

import pytest
from rest_framework.response import Response

from catalog import textbook, views
from catalog.benchmarks.clients.in_process import Page, Requester
from catalog.benchmarks.errors import BenchmarkError
from catalog.benchmarks.experiments.latency import experiment
from catalog.benchmarks.experiments.latency.experiment import tables
from catalog.benchmarks.experiments.latency.mix import draw_mix
from catalog.benchmarks.figures.results import ExperimentResult, Figure
from catalog.benchmarks.options import Effort, Options, Scale
from catalog.benchmarks.run import run_benchmark
from catalog.benchmarks.strategies.registry import READ_CACHE, TEXTBOOK, UNCACHED, Strategy
from catalog.factories import CategoryFactory, ProductFactory
from catalog.models import Product

pytestmark = pytest.mark.django_db(transaction=True)

NAMES = ["uncached", "textbook", "readcache", "floor", "floor-get"]


def measure(**changed: Any) -> ExperimentResult:
    latency_seconds = changed.pop("simulated_latency_seconds", None)
    defaults = {"strategies": (UNCACHED, TEXTBOOK, READ_CACHE), "effort": Effort.QUICK, "requests": 3}
    options = Options(**{**defaults, "warmup": 1, **changed})
    run = run_benchmark(options, experiments=["latency"], simulated_latency_seconds=latency_seconds)
    return run.experiments[0]


@pytest.fixture
def shelf() -> list[Product]:
    return [*ProductFactory.create_batch(30, stock=50, category=CategoryFactory.create(slug="kitchen"))]


@pytest.mark.usefixtures("shelf")
@pytest.mark.parametrize(
    ("path", "mix"),
    [
        ("/products/", 150),
        # The mix does not depend on the path, so it is measured in full only once.
        ("/products/?page=2&page_size=10", 3),
        ("/products/stats/", 3),
    ],
)
def test_every_strategy_and_the_floors_are_timed(
    path: str, mix: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert experiment.MIX_REQUESTS.quick == 150
    monkeypatch.setattr(experiment, "MIX_REQUESTS", Scale(quick=mix, normal=mix, thorough=mix))

    result = measure(path=path)

    for case, samples in (("cold", 6), ("hit", 3), ("mix", mix)):
        series = {each.strategy: each.values for each in result.series if each.case == case}
        assert list(series) == NAMES
        assert {len(values) for values in series.values()} == {samples}
        assert all(0 < value < 5 for values in series.values() for value in values)
    for name in ("textbook", "readcache"):
        cold, hit = result.figure(name, "cold", "queries"), result.figure(name, "hit", "queries")
        assert cold
        assert cold.value
        assert hit
        assert hit.value == 0


@pytest.mark.usefixtures("shelf", "small_experiments")
def test_ratios_are_ratios_of_medians() -> None:
    result = measure()

    def value(name: str, figure: str) -> float:
        found = result.figure(name, "hit", figure)
        assert found
        assert found.value
        return found.value

    faster = value("uncached", "p50") / value("readcache", "p50")
    floors = value("readcache", "p50") / value("floor-get", "p50")
    assert value("readcache", "times_faster") == pytest.approx(faster)
    assert value("readcache", "floors") == pytest.approx(floors)


@pytest.mark.usefixtures("shelf", "small_experiments")
def test_the_tables_show_all_cases_and_the_best_values() -> None:
    cold, hit, mix = tables(measure(requests=100))

    assert [len(table.rows) for table in (cold, hit, mix)] == [5, 5, 5]
    assert hit.heads[0] == "strategy"
    column = next(number for number, head in enumerate(hit.heads) if head.startswith("p50"))
    assert [row[0].text for row in hit.rows if row[column].rating == "best"] == ["readcache"]
    assert mix.legend


@pytest.mark.usefixtures("shelf", "small_experiments")
def test_few_samples_and_unstable_samples_give_warnings() -> None:
    assert any("no p99 from 3 samples. Raise --requests to 100." in line for line in measure().warnings)


@pytest.mark.usefixtures("shelf", "small_experiments")
def test_the_simulated_latency_slows_misses_only() -> None:
    result = measure(simulated_latency_seconds=0.02, requests=5)

    assert min(result.samples("uncached", "hit", "time")) > 0.02
    # The minimum, because a busy machine makes single requests slow.
    assert min(result.samples("readcache", "hit", "time")) < 0.02
    assert min(result.samples("readcache", "cold", "time")) > 0.02


def test_the_mix_follows_its_seed_and_zipfs_law(shelf: list[Product]) -> None:
    mix = draw_mix(1, 5000)

    assert draw_mix(1, 5000) == mix != draw_mix(2, 5000)
    counts = sorted((mix.count(path) for path in set(mix)), reverse=True)
    # By Zipf's law the first rank is requested 2 ** 0.8 times as often as the second.
    assert counts[0] > 1.3 * counts[1] > 1.3 * counts[5]
    kinds = {path.partition("?")[0] for path in mix}
    assert {"/products/", "/products/stats/", "/categories/"} < kinds


def test_a_different_body_is_an_error(shelf: list[Product], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        textbook.ProductListCreateAPIView, "list", lambda *args, **kwargs: Response({"results": []})
    )

    with pytest.raises(BenchmarkError, match="textbook answers /products/ with another body"):
        measure()


def test_a_different_body_in_the_mix_is_an_error(
    shelf: list[Product], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        textbook.CategoryViewSet, "list", lambda *args, **kwargs: Response([{"slug": "another"}])
    )

    with pytest.raises(BenchmarkError, match="textbook answers /categories/ with another body"):
        measure()


def test_a_repeat_that_runs_a_query_is_an_error(
    shelf: list[Product], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(textbook.ProductListCreateAPIView, "list", views.ProductListCreateAPIView.list)

    with pytest.raises(BenchmarkError, match="textbook ran 3 queries to repeat"):
        measure()


def test_an_empty_catalogue_is_an_error_with_a_remedy() -> None:
    with pytest.raises(BenchmarkError, match="seed_products"):
        measure()


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ((1.8, 2.2), "is 2.0 times faster than uncached (95% interval 1.8 to 2.2)"),
        ((0.9, 2.2), "shows no significant difference from uncached"),
        (
            (None, None),
            "is 2.0 times faster than uncached, or this is chance: there were too few requests to",
        ),
    ],
)
def test_a_verdict_claims_no_more_than_its_interval(limits: tuple[float, float], words: str) -> None:
    low, high = limits
    faster = Figure(
        strategy="mine", case="hit", name="times_faster", value=2.0, low=low, high=high, unit="ratio"
    )
    [line] = experiment._verdicts([faster])
    assert line.startswith(f"mine: a repeat request {words}")


def test_a_slower_strategy_is_not_called_times_faster() -> None:
    slower = Figure(
        strategy="mine", case="mix", name="times_faster", value=0.5, low=0.4, high=0.8, unit="ratio"
    )
    assert list(experiment._verdicts([slower])) == [
        "mine: a request of the mix takes 2.0 times as long as uncached (95% interval 1.2 to 2.5)."
    ]


def test_a_catalogue_that_changes_during_the_run_is_reported(
    shelf: list[Product], monkeypatch: pytest.MonkeyPatch
) -> None:
    ask, stocks = Requester.ask, count()

    def write_and_ask(requester: Requester, strategy: Strategy, path: str) -> Page:
        Product.objects.filter(pk=shelf[0].pk).update(stock=next(stocks))
        return ask(requester, strategy, path)

    monkeypatch.setattr(Requester, "ask", write_and_ask)
    with pytest.raises(
        BenchmarkError, match="/products/ changed during the measurement: another program writes"
    ):
        measure()
