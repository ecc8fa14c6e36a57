"""Can one person see another's page?

Measures: a page of which nothing is cached is asked for by one person and then by another, in every
order of visitor, user and admin, and by who has logged out meanwhile; the list, a product and the
statistics, as HTML (Django REST framework's browsable pages) and as JSON. The second answer leaks
if it names somebody else, has a CSRF token or sets a cookie that the first answer had, shows a form
for writing to who may not write, or lacks the name or the forms that the same person has on a page
that is cold. Nothing is left to chance, so it is the same at every effort.

Counted apart: answers that name a person and that shared caches on the way may keep (RFC 9111,
section 3), whoever got them.

The method is that of tests for web cache deception, ask as one person and look as another (Mirheidari,
Arshad, Onarlioglu, Crispo, Kirda and Robertson, Cached and Confused: Web Cache Deception in the
Wild, USENIX Security 2020). Leaves out: pages asked for at the same time, other headers than cookies,
and what was cached before an account changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from catalog.benchmarks.clients.in_process import Requester
from catalog.benchmarks.experiments.leak.disclosures import FAULTS, Disclosure, faults_of
from catalog.benchmarks.experiments.leak.visits import ask_in_turn
from catalog.benchmarks.figures.results import Cell, ExperimentResult, Figure, Table
from catalog.benchmarks.figures.tables import tabulate
from catalog.benchmarks.options import Options
from catalog.benchmarks.sandbox.accounts import VISITOR, Account, scratch_accounts
from catalog.benchmarks.sandbox.isolation import empty_cache
from catalog.benchmarks.sandbox.rows import scratch_rows

QUESTION = "Can one person see another's page?"
WRITES = True

ACCEPT = {"html": "text/html", "json": "application/json"}
SECONDS_PER_STRATEGY = 1.5
# Of visitor, user and admin six ordered pairs, and two who can log out.
ORDERS = 8
AFTER_LOGOUT = "logout"
CASE = "leak"

Page = tuple[str, str]  # the names of a strategy and a path
Answers = dict[Page, Disclosure]


@dataclass(frozen=True, kw_only=True)
class Order:
    """Who asks first and who then; nobody else where the first has logged out meanwhile."""

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
    """What the two of one order were answered, page by page; a page that was no 200 is not there."""

    order: Order
    first: Answers
    then: Answers


def estimate_seconds(options: Options) -> float:
    return len(options.strategies) * SECONDS_PER_STRATEGY


def measure(options: Options) -> ExperimentResult:
    visits = []
    with scratch_rows(1) as rows, scratch_accounts() as accounts, Requester() as requester:
        paths = ("/products/", rows.detail_path(), "/products/stats/")
        for order in orders(accounts):
            visits.append(_visit(order, options, requester, paths, accounts))
            options.on_progress(estimate_seconds(options) / (ORDERS * len(ACCEPT)))
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
        "Answers to the second of two persons",
        [figure for figure in result.figures if figure.case == CASE],
        columns=columns,
        is_bad=_is_fault,
        legend="An answer may leak in several ways. shareable: of both persons' answers, those that name "
        "somebody and that shared caches may keep.",
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
    """One answer that has, or lacks, what it should not; ``kinds`` are keys of ``FAULTS``."""

    strategy: str
    case: str
    kinds: frozenset[str]


def find_leaks(visits: Sequence[Visit]) -> Iterator[Leak]:
    # Who asks first gets the page made for him.
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
        # Sessions may be kept in the cache, so it is emptied before anybody logs in.
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
    """The orders in which any strategy leaks; no table where none does."""
    figures = [figure for figure in result.figures if figure.name == "leaks"]
    leaking = dict.fromkeys(figure.case for figure in figures if figure.value)
    if not leaking:
        return []
    strategies = tuple(dict.fromkeys(figure.strategy for figure in figures))
    values = {(figure.case, figure.strategy): figure.value or 0 for figure in figures}
    rows = []
    for case in leaking:
        first, then, renderer = case.split("_")
        counts = [values[case, strategy] for strategy in strategies]
        cells = [Cell(f"{count:g}", "bad" if count else "") for count in counts]
        rows.append((Cell(first), Cell(then), Cell(renderer.upper()), *cells))
    return [
        Table(
            title="Pages that leak, of the list, a product and the statistics",
            heads=("asks first", "asks then", "as", *strategies),
            rows=tuple(rows),
            words=3,
            legend=f"{AFTER_LOGOUT}: the same person, logged out. Orders in which nobody leaks are left out.",
        )
    ]


def _verdicts(figures: Sequence[Figure]) -> Iterator[str]:
    totals = {(figure.strategy, figure.name): figure.value for figure in figures if figure.case == CASE}
    for strategy in dict.fromkeys(figure.strategy for figure in figures):
        answers, found, kept = (totals[strategy, name] or 0 for name in ("answers", "found", "shareable"))
        if not answers:
            yield f"{strategy}: no page was answered, so nothing is known of its leaks."
            continue
        said = f"{found:g} of {answers:g} answers LEAKED" if found else f"none of {answers:g} answers leaked"
        shared = f", and {kept:g} that name somebody may be kept by SHARED CACHES" if kept else ""
        yield f"{strategy}: {said} what is another person's{shared}."


def _warnings(options: Options, visits: Sequence[Visit], paths: int) -> Iterator[str]:
    for strategy in options.strategies:
        expected = len(visits) * paths * 2
        answered = sum(page[0] == strategy.name for visit in visits for page in (*visit.first, *visit.then))
        if answered < expected:
            yield (
                f"{strategy.name}: {expected - answered} of {expected} answers were no 200 and count as no "
                f"leak. Look at {strategy.url('/products/')} in a browser."
            )
