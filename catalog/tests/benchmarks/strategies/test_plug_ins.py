"""Users' strategies are found, refused and measured."""

from __future__ import annotations

import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from catalog.benchmarks.clients import in_process
from catalog.benchmarks.clients.http import HTTPClient, wait_until_ready
from catalog.benchmarks.clients.in_process import Requester
from catalog.benchmarks.errors import BenchmarkError
from catalog.benchmarks.experiments.latency import experiment
from catalog.benchmarks.options import Effort, Options
from catalog.benchmarks.processes.servers import running_server
from catalog.benchmarks.sandbox.isolation import garbage_collector_off, isolated_cache
from catalog.benchmarks.strategies.registry import (
    UNCACHED,
    find_strategy,
    only_invalidation_of,
    select_strategies,
)
from catalog.factories import ProductFactory
from catalog.options import InvalidOption
from catalog.tests.benchmarks.conftest import children
from catalog.tests.benchmarks.strategies import example_strategies as examples
from conftest import ROOT

BASE = "catalog.benchmarks.strategies.base.Strategy"
HERE = examples.__name__
EXAMPLES = "docs.examples"
PAGE = "/products/"


@pytest.mark.django_db(transaction=True)
def test_a_users_strategies_are_measured_together_with_the_built_in_ones(redis: Any) -> None:
    ProductFactory.create_batch(3)
    before = children()
    names = [f"{HERE}:Apart", "textbook", f"{EXAMPLES}.memo_strategy:Memo"]
    if find_spec("cachalot"):
        names.append(f"{EXAMPLES}.cachalot_strategy:Cachalot")
    strategies = tuple(select_strategies(names))

    with isolated_cache():
        result = experiment.measure(Options(strategies=strategies, effort=Effort.QUICK, requests=3, warmup=0))

    measured = [series.strategy for series in result.series if series.case == "hit"]
    assert measured == [*(strategy.name for strategy in strategies), "floor", "floor-get"]
    for strategy in strategies[1:]:
        cold, hit = (result.figure(strategy.name, case, "queries") for case in ("cold", "hit"))
        assert cold is not None
        assert hit is not None
        assert (cold.value, hit.value) == (3, 0)
        assert len(result.samples(strategy.name, "hit", "time")) == 3
    assert children() <= before
    assert not redis.keys("*")


@pytest.mark.django_db(transaction=True)
def test_a_strategy_in_a_separate_process_gives_the_same_answers() -> None:
    ProductFactory.create_batch(3)
    apart = find_strategy(f"{HERE}:Apart")
    with isolated_cache(), Requester() as requester:
        here = requester.ask(UNCACHED, PAGE)
        first, second = requester.ask(apart, PAGE), requester.ask(apart, PAGE)
        nanoseconds = requester.time(apart, PAGE)
        again = requester.ask(UNCACHED, PAGE)

    assert first.body == second.body == here.body
    # The middleware of "apart" runs only in its process, so it does not cache the answers of this one.
    assert (first.queries, second.queries) == (here.queries, 0)
    assert again.queries == here.queries
    assert 0 < nanoseconds < 1_000_000_000


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", [f"{HERE}:Remembering", f"{HERE}:Apart", "textbook", "readcache"])
def test_a_write_runs_in_the_process_where_the_invalidation_is_connected(name: str) -> None:
    product = ProductFactory.create(stock=1)
    strategy = find_strategy(name)

    def shown() -> int:
        stock: int = requester.ask(strategy, PAGE).body["results"][0]["stock"]
        return stock

    with isolated_cache(), Requester() as requester:
        assert shown() == 1
        with only_invalidation_of(UNCACHED):
            examples.set_stock(product.pk, 2)
        assert shown() == 1
        assert requester.run(strategy, examples.set_stock, pk=product.pk, stock=3) == 3
        assert shown() == 3


@pytest.mark.django_db(transaction=True)
def test_a_separate_process_has_its_own_settings_and_collects_garbage_with_this_one() -> None:
    others, apart = children(), find_strategy(f"{HERE}:Apart")
    with isolated_cache(), Requester() as requester:
        before = requester.run(apart, examples.describe_process)
        with garbage_collector_off():
            within = requester.run(apart, examples.describe_process)
        after = requester.run(apart, examples.describe_process)
        # Keep a reference, so that garbage collection is not what ends the process.
        running = requester._running

    assert running
    assert children() <= others
    assert before["alias"]["TIMEOUT"] == 7
    assert before["alias"]["KEY_PREFIX"].startswith("bench_cache.")
    assert (before["collects"], within["collects"], after["collects"]) == (True, False, True)


@pytest.mark.django_db(transaction=True)
def test_a_server_serves_a_users_strategies() -> None:
    product = ProductFactory.create()
    remembering, apart = select_strategies([f"{HERE}:Remembering", f"{HERE}:Apart"])[1:]
    with isolated_cache(), running_server(workers=1, counts_queries=True, strategy=apart) as server:
        client = HTTPClient(server.port)
        responses = [client.get(strategy.url(PAGE)) for strategy in (remembering, apart, apart)]
        client.close()

    assert [response.status for response in responses] == [200] * 3
    assert all(product.name in response.content.decode() for response in responses)
    assert [response.queries for response in responses[1:]] == [3, 0]


@pytest.mark.django_db(transaction=True)
def test_a_server_whose_worker_ignores_signals_is_killed() -> None:
    ProductFactory.create()
    deaf = find_strategy(f"{HERE}:Deaf")
    with isolated_cache():
        with running_server(workers=1, strategy=deaf) as server:
            wait_until_ready(server, deaf.url(PAGE))
            began = time.monotonic()
        assert time.monotonic() - began < 15


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("name", "last_words"),
    [("BrokenSettings", "No module named 'no_such_app'"), ("Apart", "ArithmeticError: Nothing adds up.")],
)
def test_a_separate_process_that_fails_is_reported_and_leaves_no_process(name: str, last_words: str) -> None:
    before = children()
    strategy = find_strategy(f"{HERE}:{name}")
    with isolated_cache(), pytest.raises(BenchmarkError, match=last_words), Requester() as requester:
        requester.run(strategy, examples.fail)
    assert children() <= before


@pytest.mark.django_db(transaction=True)
def test_a_separate_process_that_does_not_answer_is_reported_after_the_timeout(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(in_process, "ANSWER_PATIENCE_SECONDS", 0.1)
    apart = find_strategy(f"{HERE}:Apart")
    with (
        isolated_cache(),
        pytest.raises(BenchmarkError, match=r"did not answer within 0\.1 s"),
        Requester() as requester,
    ):
        requester.run(apart, examples.never_return)


def test_a_strategy_with_a_separate_process_cannot_be_measured_in_this_one() -> None:
    apart = find_strategy(f"{HERE}:Apart")

    with pytest.raises(BenchmarkError, match="apart needs a separate process"):
        Requester().time(apart, PAGE)
    with pytest.raises(BenchmarkError, match="apart needs a separate process"), only_invalidation_of(apart):
        pass


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("magic", "--strategy must be one of uncached, textbook, builtin, readcache, or MODULE:CLASS"),
        ("a:b:c", "--strategy must be a name or MODULE:CLASS, got 'a:b:c'."),
        ("no.such.module:X", "there is no module no.such.module. Give its name as Python finds it from "),
        (f"{HERE}:Missing", f"{HERE} has no Missing."),
        (
            f"{HERE}:NOT_A_CLASS",
            f"must be a class derived from {BASE}, got <",
        ),
        (
            "catalog.models:Product",
            f"must be a class derived from {BASE}, got",
        ),
        (f"{HERE}:Nameless", "must have a name of lower-case letters, digits, - and _, got None."),
        (f"{HERE}:Shouting", "must have a name of lower-case letters, digits, - and _, got 'SHOUTING'."),
        (f"{HERE}:InFloor", "must have a unique name, but another strategy is named 'floor'."),
        ("catalog.benchmarks.strategies.registry:Textbook", "but another strategy is named 'textbook'."),
        (f"{HERE}:Viewless", "cannot be served: AttributeError: 'types.SimpleNamespace' object has no"),
        (f"{HERE}:NeedsMore", "Install it with: pip install no-such-distribution"),
        (f"{HERE}:SettingsWithoutProcess", "has settings, so it must set own_process = True."),
        (f"{HERE}:UnspeakableSettings", "must have settings that JSON can represent: Object of type set is"),
        (f"{HERE}:CacheElsewhere", "its cache 'mine' must not have a LOCATION"),
    ],
)
def test_an_invalid_strategy_is_refused_in_one_line(reference: str, message: str) -> None:
    with pytest.raises(InvalidOption) as raised:
        select_strategies([reference])
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import no_such_package.part", "needs the module no_such_package, which is not installed."),
        ("1 / 0", "cannot be imported: ZeroDivisionError: division by zero"),
        ("def", "cannot be imported: SyntaxError: invalid syntax"),
    ],
)
def test_a_module_that_fails_is_reported_in_one_line(
    source: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "failing_strategy.py").write_text(source)

    with pytest.raises(InvalidOption, match=message):
        find_strategy("failing_strategy:Mine")


def test_the_documented_strategies_are_the_files_in_docs_examples() -> None:
    text = (ROOT / "docs/strategies.md").read_text()
    for example in ROOT.glob("docs/examples/*.py"):
        assert f"```python\n{example.read_text()}```" in text


def test_two_strategies_with_one_name_are_refused() -> None:
    names = [f"{HERE}:Remembering", f"{HERE}:Remembering", "remembering"]
    assert [each.name for each in select_strategies(names)] == ["uncached", "remembering"]

    with pytest.raises(InvalidOption, match="another strategy is named 'remembering'"):
        find_strategy(f"{HERE}:Double")


def test_an_invalid_strategy_ends_the_command_with_exit_code_2() -> None:
    with pytest.raises(CommandError, match="there is no module no") as raised:
        call_command("bench_cache", strategies=["no.such.module:X"])
    assert raised.value.returncode == 2
