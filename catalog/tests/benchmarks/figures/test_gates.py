import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.benchmarks.figures.gates import EXAMPLE, missed_gates, parse_gate, require_strategies
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
    strategies=(),
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
        "textbook.keys_1000.memory_per_page = 0.00390625 MiB",
        "readcache.hit.p50 = 1200 us",
        "readcache.hit.p50 <= 1.2 ms",
        "readcache.hit.p50 >= 1.2 ms",
        "readcache.freshness.stale < 1",
        "readcache.freshness.hit_share = 80%",
        "floor-get.hit.p50 < readcache.hit.p50",
        " textbook.w2c8.of_floor<0.5 ",
    ],
)
def test_a_gate_that_holds_prints_nothing(gate: str) -> None:
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
        (
            "readcache.freshness.stale > 0",
            "readcache.freshness.stale > 0: readcache.freshness.stale is 0.",
        ),
        (
            "readcache.freshness.stale < 0",
            "readcache.freshness.stale < 0: readcache.freshness.stale is 0.",
        ),
        (
            "readcache.freshness.stale >= 1",
            "readcache.freshness.stale >= 1: readcache.freshness.stale is 0.",
        ),
        ("readcache.hit.p50 < 1.2 ms", "readcache.hit.p50 < 1.2 ms: readcache.hit.p50 is 1.20 ms."),
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
def test_a_missed_gate_shows_the_measured_values(gate: str, sentence: str) -> None:
    assert missed(gate) == [sentence]


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        ("magic.hit.p50 < 1", "names magic.hit.p50, which was not measured. The strategies of this run are"),
        ("readcache.hit.p51 < 1", "The figures of this run are readcache.hit.p50, readcache.hit.p99."),
        ("readcache.hit.p50 < uncached", "names uncached.hit.p50, which was not measured."),
    ],
)
def test_a_gate_on_an_unmeasured_figure_is_an_error(gate: str, message: str) -> None:
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
def test_an_invalid_gate_is_refused_with_an_example(gate: str) -> None:
    with pytest.raises(InvalidOption, match=r"--fail-under must have .* Try --fail-under 'readcache"):
        parse_gate(gate)


@pytest.mark.parametrize(
    ("gate", "rule"),
    [
        (
            "readcache.hit.p50",
            "two operands and one of < <= > >= = != between them, got 'readcache.hit.p50'.",
        ),
        ("1 < 2", "a figure, named strategy.case.name, got '1 < 2'."),
        ("readcache < textbook", "a figure, named strategy.case.name, got 'readcache < textbook'."),
        (
            "readcache.hit.p50 < 1 week",
            "numbers and figures; '1 week' is neither, got 'readcache.hit.p50 < 1 week'.",
        ),
    ],
)
def test_an_invalid_gate_is_refused_with_the_broken_rule(gate: str, rule: str) -> None:
    with pytest.raises(InvalidOption) as raised:
        parse_gate(gate)
    assert str(raised.value) == f"--fail-under must have {rule} Try --fail-under {EXAMPLE}"


@pytest.mark.parametrize(
    ("gate", "unknown"),
    [
        ("magic.hit.p50 < 1", "magic"),
        ("readcache.hit.p50 < 2 * magic", "magic"),
        ("magic > textbook.hit.p50", "magic"),
    ],
)
def test_a_gate_on_an_unknown_strategy_is_refused_before_the_run(gate: str, unknown: str) -> None:
    with pytest.raises(InvalidOption) as raised:
        require_strategies([parse_gate("readcache.hit.p50 < 1"), parse_gate(gate)], ["readcache", "textbook"])
    assert str(raised.value) == (
        f"--fail-under {gate!r} names {unknown}, which this run does not measure. "
        "This run measures readcache, textbook."
    )


def test_gates_on_measured_strategies_are_accepted() -> None:
    require_strategies([parse_gate("1 ms > readcache.hit.p50")], ["readcache"])


def test_each_missed_gate_is_described_in_a_sentence() -> None:
    gates = [parse_gate(f"readcache.hit.p50 < {limit}") for limit in ("1 ms", "2 ms", "1.1 ms")]

    assert [sentence.partition(":")[0] for sentence in missed_gates(gates, RUN)] == [
        "readcache.hit.p50 < 1 ms",
        "readcache.hit.p50 < 1.1 ms",
    ]


@given(st.text())
def test_any_text_is_either_a_gate_or_refused(text: str) -> None:
    with contextlib.suppress(InvalidOption):
        parse_gate(text)


@pytest.mark.parametrize(
    ("limit", "value"),
    [
        ("3", 3),
        ("3 s", 3),
        ("3 ms", 0.003),
        ("3 us", 0.000003),
        ("3%", 0.03),
        ("3 KiB", 3072),
        ("3 MiB", 3145728),
    ],
)
def test_a_limit_is_converted_from_its_unit(limit: str, value: float) -> None:
    assert parse_gate(f"readcache.hit.p50 < {limit}").right.factor == pytest.approx(value, rel=1e-12)
