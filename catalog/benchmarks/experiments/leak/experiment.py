"""Can one account see another account's page?

Measures: one account and then another requests a page of which nothing is cached, in every order of
visitor, user and admin, and in every order of an account before and after its logout. The pages are the
list, a product and the statistics, as HTML (the browsable pages of Django REST framework) and as JSON.
The second answer leaks if it names another account, contains a CSRF token or sets a cookie of the first
answer, shows a form for writing to an account that may not write, or lacks the name or the forms that
the same account gets when nothing is cached. Chance plays no part, so the measurement is the same at
every effort.

It also counts all answers that name an account and that shared caches may store (RFC 9111, section 3).

The method is that of tests for web cache deception, which request as one account and look as another
(Mirheidari, Arshad, Onarlioglu, Crispo, Kirda and Robertson, Cached and Confused: Web Cache Deception in
the Wild, USENIX Security 2020). Leaves out: simultaneous requests, headers other than cookies, and pages
that were cached before an account changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from catalog.benchmarks.clients.in_process import Requester
from catalog.benchmarks.experiments.leak.disclosures import FAULTS, Disclosure, ask_in_turn, faults_of
from catalog.benchmarks.figures.results import Cell, ExperimentResult, Figure, Table
from catalog.benchmarks.figures.tables import tabulate
from catalog.benchmarks.options import Options, Scale
from catalog.benchmarks.sandbox.accounts import VISITOR, Account, scratch_accounts
from catalog.benchmarks.sandbox.isolation import empty_cache
from catalog.benchmarks.sandbox.rows import scratch_rows

QUESTION = "Can one account see another account's page?"
WRITES = True
SECONDS_PER_STRATEGY = Scale(quick=1.5, normal=1.5, thorough=1.5)

ACCEPT = {"html": "text/html", "json": "application/json"}
# Visitor, user and admin make six ordered pairs, and two of them can log out.
ORDERS = 8
AFTER_LOGOUT = "logout"
CASE = "leak"

Page = tuple[str, str]  # The name of a strategy, and a path.
Answers = dict[Page, Disclosure]


@dataclass(frozen=True, kw_only=True)
class Order:
    """The account of the first request and of the second; ``None`` if the first account logs out."""

    first: Account
    then: Account | None
    renderer: str

    @property
    def second(self) -> Account:
        return self.then or VISITOR

    @property
    def case(self) -> str:
        return f"{self.first.role}_{self.then.role if self.then else AFTER_LOGOUT}_{self.renderer}"


@dataclass(frozen=True, kw_only=True)
class Visit:
    """The disclosures of the first and the second answer for each page that was answered with 200."""

    order: Order
    first: Answers
    then: Answers


def measure(options: Options) -> ExperimentResult:
    visits = []
    with scratch_rows(1) as rows, scratch_accounts() as accounts, Requester() as requester:
        paths = ("/products/", rows.detail_path(), "/products/stats/")
        for order in orders(accounts):
            visits.append(_visit(order, options, requester, paths, accounts))
            options.on_progress(1 / (ORDERS * len(ACCEPT)))
    leaks = list(find_leaks(visits))
    figures = [figure for strategy in options.strategies for figure in _figures(strategy.name, visits, leaks)]
    return ExperimentResult(
        experiment="leak",
        parameters={"orders": ORDERS, "renderers": list(ACCEPT), "pages": ["list", "detail", "stats"]},
        figures=tuple(figures),
        verdicts=tuple(_verdicts(figures)),
        warnings=tuple(_warnings(options, visits, len(paths))),
    )


def tables(result: ExperimentResult) -> list[Table]:
    columns = {"answers": "answers", "found": "leaks", **FAULTS, "shareable": "shareable"}
    totals = tabulate(
        "Answers to the second of two accounts",
        [figure for figure in result.figures if figure.case == CASE],
        columns=columns,
        is_bad=_is_fault,
        legend="An answer may leak in several ways. shareable: answers to either account that name an "
        "account and that shared caches may store.",
    )
    return [totals, *_matrix(result)]


def orders(accounts: Sequence[Account]) -> Iterator[Order]:
    for renderer in ACCEPT:
        for first in accounts:
            for then in accounts:
                if then is not first:
                    yield Order(first=first, then=then, renderer=renderer)
            if first.user:
                yield Order(first=first, then=None, renderer=renderer)


@dataclass(frozen=True, kw_only=True)
class Leak:
    """One answer with faults. ``kinds`` are keys of ``FAULTS``."""

    strategy: str
    case: str
    kinds: frozenset[str]


def find_leaks(visits: Sequence[Visit]) -> Iterator[Leak]:
    # Nothing was cached for the first account, so it got a page that was computed for it.
    own = {
        (visit.order.first.role, visit.order.renderer, page): answer
        for visit in visits
        for page, answer in visit.first.items()
    }
    for visit in visits:
        second = visit.order.second
        for page, answer in visit.then.items():
            mine = own.get((second.role, visit.order.renderer, page), Disclosure())
            kinds = faults_of(second, answer, before=visit.first.get(page, Disclosure()), own=mine)
            if kinds:
                yield Leak(strategy=page[0], case=visit.order.case, kinds=kinds)


def _visit(
    order: Order, options: Options, requester: Requester, paths: Sequence[str], accounts: Sequence[Account]
) -> Visit:
    visit = Visit(order=order, first={}, then={})
    for strategy in options.strategies:
        # Sessions may be in the cache, so it is emptied before an account logs in.
        empty_cache()
        pages = {strategy.url(path): (strategy.name, path) for path in paths}
        found = requester.run(
            strategy,
            ask_in_turn,
            first=order.first,
            then=order.then,
            accept=ACCEPT[order.renderer],
            urls=list(pages),
            usernames=[account.username for account in accounts if account.username],
        )
        for disclosures, known in zip(found, (visit.first, visit.then), strict=True):
            known.update({pages[url]: disclosure for url, disclosure in disclosures.items()})
    return visit


def _figures(strategy: str, visits: Sequence[Visit], leaks: Iterable[Leak]) -> Iterator[Figure]:
    mine = [leak for leak in leaks if leak.strategy == strategy]
    count = partial(Figure, strategy=strategy, unit="count")
    seconds = [answer for visit in visits for page, answer in visit.then.items() if page[0] == strategy]
    firsts = [answer for visit in visits for page, answer in visit.first.items() if page[0] == strategy]
    yield count(case=CASE, name="answers", value=len(seconds), better="neither")
    yield count(case=CASE, name="found", value=len(mine) if seconds else None)
    for kind in FAULTS:
        yield count(case=CASE, name=kind, value=sum(kind in leak.kinds for leak in mine))
    yield count(case=CASE, name="shareable", value=sum(each.is_shareable for each in (*firsts, *seconds)))
    for visit in visits:
        case = visit.order.case
        yield count(case=case, name="leaks", value=sum(leak.case == case for leak in mine))


def _is_fault(figure: Figure) -> bool:
    return figure.name != "answers" and bool(figure.value)


def _matrix(result: ExperimentResult) -> list[Table]:
    """The orders in which any strategy leaks; no table if there is none."""
    figures = [figure for figure in result.figures if figure.name == "leaks"]
    leaking = dict.fromkeys(figure.case for figure in figures if figure.value)
    if not leaking:
        return []
    values = {(figure.case, figure.strategy): figure.value or 0 for figure in figures}
    rows = []
    for case in leaking:
        first, then, renderer = case.split("_")
        counts = [values[case, strategy] for strategy in result.strategies]
        cells = [Cell(f"{count:g}", "bad" if count else "") for count in counts]
        rows.append((Cell(first), Cell(then), Cell(renderer.upper()), *cells))
    return [
        Table(
            title="Leaking pages among the list, a product and the statistics",
            heads=("first", "second", "format", *result.strategies),
            rows=tuple(rows),
            words=3,
            legend=f"{AFTER_LOGOUT}: the first account, logged out. Orders without a leak are left out.",
        )
    ]


def _verdicts(figures: Sequence[Figure]) -> Iterator[str]:
    totals = {(figure.strategy, figure.name): figure.value for figure in figures if figure.case == CASE}
    for strategy in dict.fromkeys(figure.strategy for figure in figures):
        answers, found, kept = (totals[strategy, name] or 0 for name in ("answers", "found", "shareable"))
        if not answers:
            yield f"{strategy}: no page was answered, so its leaks are unknown."
            continue
        said = f"{found:g} of {answers:g} answers LEAKED" if found else f"none of {answers:g} answers leaked"
        shared = f"; SHARED CACHES may store {kept:g} answers that name an account" if kept else ""
        yield f"{strategy}: {said} data of another account{shared}."


def _warnings(options: Options, visits: Sequence[Visit], paths: int) -> Iterator[str]:
    for strategy in options.strategies:
        expected = len(visits) * paths * 2
        answered = sum(page[0] == strategy.name for visit in visits for page in (*visit.first, *visit.then))
        if answered < expected:
            yield (
                f"{strategy.name}: {expected - answered} of {expected} answers had another status than 200 "
                f"and were not examined. Look at {strategy.url('/products/')} in a browser."
            )
