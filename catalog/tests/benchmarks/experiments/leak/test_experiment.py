from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client

from catalog.benchmarks.experiments.leak import disclosures, experiment
from catalog.benchmarks.experiments.leak.disclosures import FAULTS
from catalog.benchmarks.figures.results import ExperimentResult, Figure
from catalog.benchmarks.options import Options
from catalog.benchmarks.sandbox.isolation import isolated_cache
from catalog.benchmarks.strategies.registry import READ_CACHE, TEXTBOOK, UNCACHED, Strategy, find_strategy
from catalog.factories import ProductFactory
from catalog.models import Product

pytestmark = pytest.mark.django_db(transaction=True)

PLANTED = "catalog.tests.benchmarks.strategies.planted_strategies"
HTML_ORDERS = {
    "visitor_user_html",
    "visitor_admin_html",
    "user_visitor_html",
    "user_admin_html",
    "user_logout_html",
    "admin_visitor_html",
    "admin_user_html",
    "admin_logout_html",
}


def measure(*strategies: Strategy, **options: Any) -> ExperimentResult:
    with isolated_cache():
        return experiment.measure(Options(strategies=strategies, **options))


def totals(result: ExperimentResult, strategy: str) -> dict[str, float | None]:
    return {
        figure.name: figure.value
        for figure in result.figures
        if (figure.strategy, figure.case) == (strategy, "leak")
    }


def state() -> list[Any]:
    return [list(rows.order_by("pk").values()) for rows in (User.objects, Session.objects, Product.objects)]


def test_the_textbook_leaks_every_html_page_and_the_read_cache_none(redis: Any, read_redis: Any) -> None:
    ProductFactory.create()
    Client().force_login(User.objects.create(username="bench-cache-of-somebody-else"))
    before = state()
    # The tokens of these writes would expire during the test.
    read_redis.flushdb()
    read_redis.set("precious", "somebody else's")
    done: list[float] = []
    strategies = (UNCACHED, TEXTBOOK, READ_CACHE)

    result = measure(*strategies, on_progress=done.append)

    nothing = dict.fromkeys(("found", "names", "csrf_tokens", "cookies", "forms", "lacking", "shareable"), 0)
    assert totals(result, "uncached") == totals(result, "readcache") == {"answers": 48, **nothing}
    # Three pages in each of eight orders: the second account always gets the page of the first.
    assert totals(result, "textbook") == {
        "answers": 48,
        "found": 24,
        # Three pages in each of the six orders in which the first account has a name.
        "names": 18,
        "csrf_tokens": 24,
        "cookies": 0,
        # The statistics have no form, even for an admin, so two pages in each of three orders.
        "forms": 6,
        # Three pages in each of the four orders in which a user or an admin comes after another account.
        "lacking": 12,
        # The 18 pages with names, and the 18 pages of the first accounts themselves.
        "shareable": 36,
    }
    leaks = {
        (figure.strategy, figure.case): figure.value for figure in result.figures if figure.name == "leaks"
    }
    assert len(leaks) == 3 * 16
    assert {place: value for place, value in leaks.items() if value} == {
        ("textbook", case): 3 for case in HTML_ORDERS
    }
    assert result.warnings == ()
    assert [("LEAKED" in line, "SHARED" in line) for line in result.verdicts] == [
        (False, False),
        (True, True),
        (False, False),
    ]
    assert sum(done) == pytest.approx(1)
    # All scratch rows and keys have been removed, and no others.
    assert state() == before
    assert redis.keys() == []
    assert read_redis.keys() == [b"precious"]


def test_each_kind_of_leak_is_distinguished_from_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    ProductFactory.create()
    monkeypatch.setattr(experiment, "ACCEPT", {"html": "text/html"})
    leaky, careless = (find_strategy(f"{PLANTED}:{name}") for name in ("Leaky", "Careless"))

    result = measure(leaky, careless)

    # Each kind of leak is planted in one of three pages. There are eight orders.
    assert totals(result, "leaky") == {
        "answers": 24,
        # The orders in which the first account has a name.
        "names": 6,
        "csrf_tokens": 8,
        "cookies": 0,
        # All orders except the two in which the second account is the admin.
        "forms": 6,
        "lacking": 0,
        "found": 20,
        "shareable": 0,
    }
    assert totals(result, "careless") == {
        "answers": 24,
        "names": 0,
        "csrf_tokens": 0,
        "cookies": 8,
        "forms": 0,
        # The orders in which a user or an admin comes after another account.
        "lacking": 4,
        "found": 12,
        # One page of each order for each of its two accounts that has a name.
        "shareable": 10,
    }
    assert result.verdicts == (
        "leaky: 20 of 24 answers LEAKED data of another account.",
        (
            "careless: 12 of 24 answers LEAKED data of another account; "
            "SHARED CACHES may store 10 answers that name an account."
        ),
    )


def test_a_strategy_with_a_separate_process_is_asked_in_that_process() -> None:
    ProductFactory.create()
    before = state()

    result = measure(UNCACHED, find_strategy("catalog.tests.benchmarks.strategies.example_strategies:Apart"))

    # Its middleware, which runs only in the separate process, caches whole pages for all accounts.
    found = {name: totals(result, name)["found"] for name in ("uncached", "apart")}
    assert found["uncached"] == 0
    assert found["apart"] == 24
    assert totals(result, "apart")["answers"] == 48
    assert state() == before


def made_of(*figures: tuple[str, str, str, float]) -> ExperimentResult:
    return ExperimentResult(
        experiment="leak",
        parameters={},
        figures=tuple(
            Figure(strategy=strategy, case=case, name=name, value=value, unit="count")
            for strategy, case, name, value in figures
        ),
    )


def test_the_matrix_shows_the_orders_with_a_leak() -> None:
    [_, matrix] = experiment.tables(
        made_of(
            ("good", "user_logout_html", "leaks", 0),
            ("good", "user_admin_json", "leaks", 0),
            ("bad", "user_logout_html", "leaks", 3),
            ("bad", "user_admin_json", "leaks", 0),
        )
    )

    assert matrix.heads == ("first", "second", "format", "good", "bad")
    assert [[cell.text for cell in row] for row in matrix.rows] == [["user", "logout", "HTML", "0", "3"]]
    assert [cell.rating for cell in matrix.rows[0]] == ["", "", "", "", "bad"]
    assert len(experiment.tables(made_of(("good", "user_logout_html", "leaks", 0)))) == 1


def test_every_count_except_the_answers_is_marked() -> None:
    [total] = experiment.tables(
        made_of(*(("bad", "leak", name, 1) for name in ("answers", "found", *FAULTS, "shareable")))
    )

    assert [cell.rating for cell in total.rows[0]] == ["", "", *["bad"] * 7]


class Nowhere(Strategy):
    name = "nowhere"
    url_prefix = "/nowhere"
    caches = False


def test_a_strategy_without_these_pages_is_not_called_safe() -> None:
    result = measure(Nowhere())

    assert totals(result, "nowhere")["found"] is None
    assert result.verdicts == ("nowhere: no page was answered, so its leaks are unknown.",)
    assert "nowhere: 96 of 96 answers had another status than 200" in result.warnings[0]


def test_an_interrupt_removes_accounts_and_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    before = state()

    def interrupt(*arguments: Any, **options: Any) -> None:
        # A session means that the user is logged in.
        if Session.objects.exists():
            assert User.objects.count() == 2
            raise KeyboardInterrupt

    monkeypatch.setattr(disclosures, "disclosure_of", interrupt)
    with pytest.raises(KeyboardInterrupt):
        measure(UNCACHED)

    assert state() == before
