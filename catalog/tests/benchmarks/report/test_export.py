import csv
import io
import json
from typing import Any

import pytest

from catalog.benchmarks.figures.results import Environment, ExperimentResult, Figure, Run, Series
from catalog.benchmarks.report.export import SCHEMA_VERSION, from_json, to_csv, to_json


@pytest.fixture
def run() -> Run:
    return Run(
        path="/products/",
        seed=7,
        effort="quick",
        products=5,
        simulated_latency_seconds=0.0,
        environment=Environment(cpu="A CPU", cores=2, system="Linux", versions={"python": "3.11"}),
        experiments=(
            ExperimentResult(
                experiment="latency",
                parameters={"requests": 3},
                figures=(
                    Figure(
                        strategy="readcache",
                        case="hit",
                        name="p50",
                        value=0.5,
                        unit="s",
                        low=0.4,
                        high=0.6,
                        series="time",
                    ),
                    Figure(strategy="readcache", case="hit", name="p99", value=None, unit="s"),
                ),
                series=(
                    Series(strategy="readcache", case="hit", name="time", unit="s", values=(0.4, 0.5, 0.6)),
                ),
                verdicts=("It is fast.",),
                warnings=("It is noisy.",),
            ),
        ),
    )


def test_json_that_is_read_again_is_the_same_run(run: Run) -> None:
    assert from_json(to_json(run)) == run


def test_json_has_every_sample_and_what_it_was_measured_on(run: Run) -> None:
    document = json.loads(to_json(run))

    assert document["schema_version"] == SCHEMA_VERSION
    assert (document["seed"], document["environment"]["cores"]) == (7, 2)
    [experiment] = document["experiments"]
    assert experiment["series"][0]["values"] == [0.4, 0.5, 0.6]
    assert experiment["figures"][1]["value"] is None


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"schema_version": 1}', f'{{"schema_version": {SCHEMA_VERSION}}}', "null", "\x00"],
)
def test_what_is_no_run_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        from_json(text)


def test_csv_has_a_row_a_figure(run: Run) -> None:
    first, second = csv.DictReader(io.StringIO(to_csv(run)))

    assert first | {"experiment": "latency", "value": "0.5", "low": "0.4", "seed": "7"} == first
    assert (second["name"], second["value"], second["python version"]) == ("p99", "", "3.11")


@pytest.mark.parametrize(("field", "value"), [("value", "fast"), ("low", [1]), ("unit", "parsec")])
def test_a_figure_that_is_none_is_no_run(run: Run, field: str, value: Any) -> None:
    document = json.loads(to_json(run))
    document["experiments"][0]["figures"][0][field] = value
    with pytest.raises(ValueError, match="it is not a whole run"):
        from_json(json.dumps(document))


def test_a_seed_that_nothing_can_be_drawn_from_is_no_run(run: Run) -> None:
    document = json.loads(to_json(run))
    with pytest.raises(ValueError, match="its seed is -1"):
        from_json(json.dumps({**document, "seed": -1}))
