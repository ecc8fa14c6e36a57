"""Charts are complete, legible and reproducible, and left out if there are no figures for them."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest
from matplotlib.text import Text

from catalog.benchmarks.figures.results import ExperimentResult, Figure
from catalog.benchmarks.report.charts import charts_of, draw_charts
from catalog.benchmarks.report.charts.drawing import DARK, LIGHT, PAINT, draw, place_of, say_tick
from catalog.benchmarks.report.charts.overview import overview_charts
from catalog.tests.benchmarks.report.example import (
    MEDIANS,
    example_run,
    freshness,
    latency,
    stampede,
    throughput,
)

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
    for charts in (*map(charts_of, example_run().experiments), overview_charts(example_run()))
    for chart in charts
}


def test_each_experiment_has_charts() -> None:
    found = {
        result.experiment: [chart.name for chart in charts_of(result)] for result in example_run().experiments
    }

    assert found == EXPECTED


@pytest.mark.parametrize("name", CHARTS)
def test_no_words_overlap_or_are_cut_off(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: dict[Text, Any] = {}
    really_draw = Text.draw

    def draw_and_measure(self: Text, renderer: Any) -> None:
        if self.get_visible() and self.get_text().strip():
            drawn[self] = self.get_window_extent(renderer).extents
        really_draw(self, renderer)

    # matplotlib also keeps labels that it does not draw.
    monkeypatch.setattr(Text, "draw", draw_and_measure)
    svg = draw(CHARTS[name]).svg
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


def test_the_same_figures_give_the_same_file() -> None:
    assert draw(CHARTS["stampede"]) == draw(CHARTS["stampede"])


def test_a_file_has_the_colours_of_its_theme_and_no_others() -> None:
    drawn = draw(CHARTS["stampede"])

    for theme in (LIGHT, DARK):
        svg = drawn.coloured(theme)
        assert f"fill: {theme['background']}" in svg
        assert set(re.findall(r"#[0-9a-f]{6}\b", svg)) <= set(theme.values())
    assert not {*LIGHT.values(), *DARK.values()} & {*PAINT.values()}
    assert len(set(PAINT.values())) == len(PAINT)


def test_charts_that_were_drawn_before_are_not_drawn_again() -> None:
    run = example_run()
    drawn: dict[str, list[Any]] = {}
    first = draw_charts(replace(run, experiments=(stampede(),)), drawn)
    second = draw_charts(replace(run, experiments=(stampede(), freshness())), drawn)

    assert second["stampede"][0] is first["stampede"][0]
    assert (first["overview"], [each.chart.name for each in second["overview"]]) == ([], ["overview"])
    assert list(drawn) == ["stampede", "freshness"]


def test_every_strategy_has_its_own_colour_also_those_of_users() -> None:
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


def test_cells_and_description_say_which_writes_leave_a_page_stale() -> None:
    svg = draw(CHARTS["invalidation"]).svg

    assert svg.count("STALE") == 8 + 14
    assert svg.count("stale in a race") == 6
    assert "readcache: nothing" in CHARTS["invalidation"].alt
    assert "textbook: queryset update" in CHARTS["invalidation"].alt


@pytest.mark.parametrize("experiment", [*EXPECTED, "unheard_of"])
def test_without_figures_there_is_no_chart(experiment: str) -> None:
    assert charts_of(ExperimentResult(experiment=experiment, parameters={}, figures=())) == []


def test_without_samples_there_are_no_distributions() -> None:
    assert charts_of(replace(latency(), series=())) == []


def test_a_single_load_is_drawn_as_bars() -> None:
    one = tuple(figure for figure in throughput().figures if figure.case == "w2c4")
    [chart] = charts_of(replace(throughput(), figures=one))

    assert "median latency" in draw(chart).svg
    assert "2 workers, asked by 4 clients" in chart.caption


def test_a_single_experiment_has_no_overview() -> None:
    assert overview_charts(replace(example_run(), experiments=(freshness(),))) == []


def test_equal_samples_and_missing_values_can_be_drawn() -> None:
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
        for chart in charts_of(result):
            assert draw(chart).svg
