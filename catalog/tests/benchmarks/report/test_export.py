import csv
import io
import json
from typing import Any

import pytest

from catalog.benchmarks.figures.results import (
    Cell,
    Environment,
    ExperimentResult,
    Figure,
    MeasuredStrategy,
    Run,
    Series,
    Table,
)
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
        strategies=(MeasuredStrategy(name="readcache", description="A cache.", reference="readcache"),),
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
                question="How fast is it?",
                method=("With a stopwatch.",),
                tables=(
                    Table(title="Times", heads=("strategy", "p50 s"), rows=((Cell("a"), Cell("1", "best")),)),
                ),
            ),
        ),
    )


def test_a_run_survives_json(run: Run) -> None:
    assert from_json(to_json(run)) == run


def test_json_has_every_sample_and_the_machine(run: Run) -> None:
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
def test_anything_but_a_run_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        from_json(text)


def test_csv_has_one_row_for_each_figure(run: Run) -> None:
    first, second = csv.DictReader(io.StringIO(to_csv(run)))

    assert first | {"experiment": "latency", "value": "0.5", "low": "0.4", "seed": "7"} == first
    assert (second["name"], second["value"], second["python version"]) == ("p99", "", "3.11")


@pytest.mark.parametrize(("field", "value"), [("value", "fast"), ("low", [1]), ("unit", "parsec")])
def test_a_run_with_a_broken_figure_is_refused(run: Run, field: str, value: Any) -> None:
    document = json.loads(to_json(run))
    document["experiments"][0]["figures"][0][field] = value
    with pytest.raises(ValueError, match="it is not a whole run"):
        from_json(json.dumps(document))


def test_a_run_with_a_negative_seed_is_refused(run: Run) -> None:
    document = json.loads(to_json(run))
    with pytest.raises(ValueError, match="its seed is -1"):
        from_json(json.dumps({**document, "seed": -1}))


def test_a_run_of_an_older_schema_is_refused_with_both_versions() -> None:
    with pytest.raises(ValueError, match="it has schema version 2, but only version 3 can be read"):
        from_json('{"schema_version": 2, "experiments": []}')
