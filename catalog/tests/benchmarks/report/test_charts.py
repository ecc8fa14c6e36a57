"""Charts: complete, legible, the same for the same figures, and skipped where there is nothing."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest
from matplotlib.text import Text

from catalog.benchmarks.figures.results import ExperimentResult, Figure
from catalog.benchmarks.report.charts import THEMES, Chart, charts_of, overview_charts, render
from catalog.benchmarks.report.charts.style import DARK, LIGHT, place_of, say_tick
from catalog.tests.benchmarks.report.example import MEDIANS, example_run, freshness, latency, throughput

EXPECTED = {
    "latency": ["latency"],
    "throughput": ["throughput"],
    "invalidation": ["invalidation"],
    "freshness": ["freshness"],
    "stampede": ["stampede"],
    "leak": ["leak"],
    "outage": ["outage"],
    "growth": ["growth-products", "growth-keys"],
}
POINTS_PER_INCH = 72
CHARTS = {
    chart.name: chart
    for charts in ([*charts_of(example_run()).values(), overview_charts(example_run())])
    for chart in charts
}


def test_each_experiment_has_its_charts() -> None:
    found = {name: [chart.name for chart in charts] for name, charts in charts_of(example_run()).items()}

    assert found == EXPECTED


@pytest.mark.parametrize("name", CHARTS)
def test_no_words_overlap_or_are_cut_off(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: dict[Text, Any] = {}
    really_draw = Text.draw

    def draw_and_measure(self: Text, renderer: Any) -> None:
        if self.get_visible() and self.get_text().strip():
            drawn[self] = self.get_window_extent(renderer).extents
        really_draw(self, renderer)

    # matplotlib keeps labels that it does not draw, so that asking for all of them is not enough.
    monkeypatch.setattr(Text, "draw", draw_and_measure)
    [svg] = render(CHARTS[name], LIGHT, ["svg"])
    found = [(text.get_text(), box) for text, box in drawn.items()]

    assert ET.fromstring(svg).tag.endswith("svg")
    assert len(found) > 5
    width, height = (
        POINTS_PER_INCH * size for size in (CHARTS[name].width_inches, CHARTS[name].height_inches)
    )
    for words, (left, bottom, right, top) in found:
        assert left >= -1, words
        assert bottom >= -1, words
        assert right <= width + 1, words
        assert top <= height + 1, words
    for (one, a), (other, b) in combinations(found, 2):
        overlap = min(min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1]))
        assert overlap <= 1, (one, other)


def test_a_chart_is_the_same_file_for_the_same_figures() -> None:
    assert render(CHARTS["stampede"], DARK, ["svg", "png"]) == render(
        CHARTS["stampede"], DARK, ["svg", "png"]
    )


def test_light_and_dark_have_backgrounds_of_their_own() -> None:
    for theme in THEMES.values():
        [svg] = render(CHARTS["stampede"], theme, ["svg"])
        assert f"fill: {theme.background}".encode() in svg


def test_every_strategy_keeps_its_place_and_strangers_differ_from_it() -> None:
    names = [*MEDIANS, "my-cache", "other-cache"]
    places = {name: place_of(name, names) for name in names}

    assert places["floor"] == places["floor-get"]
    assert len(set(places.values())) == len(names) - 1


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [
        (0, "s", "0"),
        (0.005, "s", "5 ms"),
        (1e4, "count", "10k"),
        (2**21, "bytes", "2 MiB"),
        (1e-5, "s", "10 µs"),
    ],
)
def test_ticks_have_units(value: float, unit: str, said: str) -> None:
    assert say_tick(value, unit) == said  # type: ignore[arg-type]


def test_what_is_stale_is_said_in_the_cell_and_in_the_description() -> None:
    [svg] = render(CHARTS["invalidation"], LIGHT, ["svg"])

    assert svg.decode().count("STALE") == 8 + 14
    assert svg.decode().count("stale in a race") == 6
    assert "readcache: nothing" in CHARTS["invalidation"].alt
    assert "textbook: queryset update" in CHARTS["invalidation"].alt


def charts_for(result: ExperimentResult) -> list[Chart]:
    return charts_of(replace(example_run(), experiments=(result,)))[result.experiment]


@pytest.mark.parametrize("experiment", [*EXPECTED, "unheard_of"])
def test_without_figures_there_is_no_chart(experiment: str) -> None:
    assert charts_for(ExperimentResult(experiment=experiment, parameters={}, figures=())) == []


def test_without_samples_there_are_no_distributions() -> None:
    assert charts_for(replace(latency(), series=())) == []


def test_one_load_alone_is_drawn_as_bars() -> None:
    one = tuple(figure for figure in throughput().figures if figure.case == "w2c4")
    [chart] = charts_for(replace(throughput(), figures=one))

    [svg] = render(chart, LIGHT, ["svg"])
    assert b"median latency" in svg
    assert "2 workers, asked by 4 clients" in chart.caption


def test_one_experiment_is_not_worth_a_card() -> None:
    assert overview_charts(replace(example_run(), experiments=(freshness(),))) == []


def test_samples_that_are_all_the_same_and_values_not_measured_are_drawn() -> None:
    run = latency()
    same = replace(run, series=tuple(replace(each, values=(0.001,)) for each in run.series))
    nothing = ExperimentResult(
        experiment="stampede",
        parameters={},
        figures=(
            Figure(strategy="readcache", case="stampede", name="computations", value=None, unit="count"),
        ),
    )

    for result in (same, nothing):
        for chart in charts_for(result):
            assert render(chart, LIGHT, ["svg"])
