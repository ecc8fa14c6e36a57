import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.benchmarks.figures.gates import missed_gates, parse_gate
from catalog.benchmarks.figures.results import Environment, ExperimentResult, Figure, Run, Unit
from catalog.options import InvalidOption


def figure(path: str, value: float | None, unit: Unit = "s") -> Figure:
    strategy, case, name = path.split(".")
    return Figure(strategy=strategy, case=case, name=name, value=value, unit=unit)


RUN = Run(
    path="/products/",
    seed=0,
    effort="quick",
    products=5,
    simulated_latency_seconds=0.0,
    environment=Environment(cpu="A CPU", cores=2, system="Linux", versions={}),
    experiments=(
        ExperimentResult(
            experiment="latency",
            parameters={},
            figures=(
                figure("readcache.hit.p50", 0.0012),
                figure("textbook.hit.p50", 0.0024),
                figure("floor-get.hit.p50", 0.001),
                figure("readcache.hit.p99", None),
                figure("readcache.freshness.stale", 0, "count"),
                figure("readcache.freshness.hit_share", 0.8, "share"),
                figure("textbook.keys_1000.memory_per_page", 4096, "bytes"),
                figure("textbook.w2c8.of_floor", 0.36, "ratio"),
            ),
        ),
    ),
)


def missed(gate: str) -> list[str]:
    return missed_gates([parse_gate(gate)], RUN)


@pytest.mark.parametrize(
    "gate",
    [
        "readcache.hit.p50 < 1.3 * floor-get",
        "readcache.hit.p50 < 1.3*floor-get.hit.p50",
        "2 * readcache <= textbook.hit.p50",
        "readcache.hit.p50 < 2 ms",
        "readcache.hit.p50 > 1100us",
        "readcache.hit.p50 < 2e-3",
        "0.5 s > readcache.hit.p50",
        "readcache.freshness.stale = 0",
        "readcache.freshness.hit_share >= 80%",
        "readcache.freshness.hit_share != 0.7",
        "textbook.keys_1000.memory_per_page = 4 KiB",
        " textbook.w2c8.of_floor<0.5 ",
    ],
)
def test_a_gate_that_holds_says_nothing(gate: str) -> None:
    assert missed(gate) == []


@pytest.mark.parametrize(
    ("gate", "sentence"),
    [
        (
            "readcache.hit.p50 < 1.1 * floor-get",
            (
                "readcache.hit.p50 < 1.1 * floor-get: "
                "readcache.hit.p50 is 1.20 ms, floor-get.hit.p50 is 1.00 ms."
            ),
        ),
        ("readcache.hit.p50 < 1 ms", "readcache.hit.p50 < 1 ms: readcache.hit.p50 is 1.20 ms."),
        (
            "readcache.freshness.stale != 0",
            "readcache.freshness.stale != 0: readcache.freshness.stale is 0.",
        ),
        (
            "readcache.freshness.hit_share > 80%",
            "readcache.freshness.hit_share > 80%: readcache.freshness.hit_share is 80.0%.",
        ),
        ("readcache.hit.p99 < 1 s", "readcache.hit.p99 < 1 s: readcache.hit.p99 could not be measured."),
    ],
)
def test_a_gate_that_is_missed_says_by_what(gate: str, sentence: str) -> None:
    assert missed(gate) == [sentence]


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        ("magic.hit.p50 < 1", "names magic.hit.p50, which was not measured. The strategies of this run are"),
        ("readcache.hit.p51 < 1", "The figures of this run are readcache.hit.p50, readcache.hit.p99."),
        ("readcache.hit.p50 < uncached", "names uncached.hit.p50, which was not measured."),
    ],
)
def test_a_figure_that_was_not_measured_is_a_mistake(gate: str, message: str) -> None:
    with pytest.raises(InvalidOption) as raised:
        missed(gate)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    "gate",
    [
        "",
        "2",
        "1 < 2",
        "readcache < textbook",
        "readcache.hit.p50",
        "readcache.hit.p50 <",
        "readcache.hit.p50 < 1 < 2",
        "readcache.hit.p50 < 1 week",
        "readcache.hit.p50 < 2 floor",
        "readcache.hit.p50 < floor * 2",
        "readcache.hit < 2",
        "readcache.hit.p50 < -1",
        "readcache.hit.p50 == 1",
        "__import__('os').system('true') < 1",
    ],
)
def test_what_is_no_gate_is_refused_with_an_example(gate: str) -> None:
    with pytest.raises(InvalidOption, match=r"--fail-under must have .* Try --fail-under 'readcache"):
        parse_gate(gate)


@given(st.text())
def test_no_text_is_more_than_refused(text: str) -> None:
    with contextlib.suppress(InvalidOption):
        parse_gate(text)
