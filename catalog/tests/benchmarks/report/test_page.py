"""The web page is complete, loads nothing, and causes no error in a real browser."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from catalog.benchmarks.figures.results import MeasuredStrategy
from catalog.benchmarks.report.charts import draw_charts
from catalog.benchmarks.report.page import command_of, render_page
from catalog.tests.benchmarks.report.example import example_run, freshness, invalidation, latency

PHONE_PIXELS = 390
RUN = replace(example_run(), experiments=(latency(), invalidation(), freshness()))
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="module")
def page() -> str:
    return render_page(RUN, draw_charts(RUN))


@pytest.fixture(scope="module")
def browser() -> str:
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("CI has no Chromium. On Debian: apt-get install chromium")
        pytest.skip("there is no Chromium")
    return found


def open_in(browser: str, page: Path, profile: Path) -> tuple[str, list[str]]:
    """The document as the browser has it after loading, and the lines of its console."""
    options = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-component-update")
    quiet = ("--disable-background-networking", "--disable-sync", "--hide-scrollbars")
    done = subprocess.run(
        [
            *(browser, *options, *quiet, f"--user-data-dir={profile}"),
            *(
                "--allow-file-access-from-files",
                "--enable-logging=stderr",
                "--v=0",
                "--dump-dom",
                page.as_uri(),
            ),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def test_chromium_opens_the_page_without_errors_and_it_fits_a_phone(
    page: str, browser: str, tmp_path: Path
) -> None:
    (tmp_path / "index.html").write_text(page)
    # Chromium's windows cannot be as narrow as a phone, but a frame can.
    (tmp_path / "phone.html").write_text(
        f'<iframe src="index.html" width="{PHONE_PIXELS}" height="800" style="border: 0" '
        "onload=\"document.title = 'width ' + this.contentDocument.documentElement.scrollWidth + "
        "' charts ' + this.contentDocument.querySelectorAll('figure svg text').length\"></iframe>"
    )
    document, console = open_in(browser, tmp_path / "phone.html", tmp_path / "profile")

    assert console == []
    shown = re.search(r"<title>width (\d+) charts (\d+)</title>", document)
    assert shown, document[:500]
    assert int(shown[1]) == PHONE_PIXELS
    assert int(shown[2]) > 100


def test_an_error_in_the_console_of_a_page_would_be_noticed(browser: str, tmp_path: Path) -> None:
    broken = '<img src="missing.png"><script>throw new Error("heard")</script>'
    (tmp_path / "broken.html").write_text(broken)
    _, console = open_in(browser, tmp_path / "broken.html", tmp_path / "profile")

    assert any("heard" in line for line in console)


def test_the_page_loads_nothing(page: str) -> None:
    loaded = re.findall(r'(?:src|srcset)="([^"]*)"|@import|<script|<link[^>]*href="(?!data:)', page)
    links = re.findall(r'href="([^"#][^"]*)"', page)

    assert loaded == []
    assert all(link == "data:," or re.fullmatch(r"[\w-]+\.svg", link) for link in links)
    assert "default-src 'none'" in page


def test_ids_are_unique_and_references_have_their_targets(page: str) -> None:
    ids = Counter(re.findall(r'\bid="([^"]*)"', page))
    referred = set(re.findall(r'(?:href="#|url\(#|aria-labelledby=")([^")]*)', page))

    assert [name for name, count in ids.items() if count > 1] == []
    assert referred <= set(ids)


def test_the_page_has_questions_verdicts_methods_and_the_machine(page: str) -> None:
    for expected in (
        "How often is an answer stale?",
        "textbook: a sentence about freshness.",
        "Warning:</strong> uncached, textbook, builtin, readcache, floor, floor-get: the standard deviation",
        "Breslau",
        "<dt>textbook</dt><dd>The recipe of tutorials: <code>cache_page</code> on django-redis",
        "Example CPU @ 3.00GHz",
        "python manage.py bench_cache latency invalidation",
        '<td class="bad">1,356<span class="sign">!</span></td>',
        '<th scope="row" class="word bad">stale in a race!</th>',
        "prefers-color-scheme: dark",
    ):
        assert expected in page


def test_the_colours_of_charts_are_variables_of_the_page(page: str) -> None:
    svg = draw_charts(RUN)["freshness"][0].inline()

    assert set(re.findall(r"#[0-9a-f]{6}\b", svg)) == set()
    used = set(re.findall(r"var\((--chart-[\w-]+)\)", svg))
    assert used
    for name in used:
        assert page.count(f"{name}: #") == 2  # light and dark


def test_the_sentences_of_a_run_are_text_and_not_markup() -> None:
    malicious = replace(freshness(), verdicts=("<script>alert(1)</script>",), warnings=("a < b",))
    run = replace(example_run(), path="/products/?x=<b>", experiments=(malicious,))
    page = render_page(run, draw_charts(run))

    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "?x=<b>" not in page


def test_the_command_on_the_page_measures_the_same_again() -> None:
    mine = MeasuredStrategy(name="mine", description="", reference="my.caches:Mine")
    described = {each.name: each for each in example_run().strategies}
    run = replace(
        example_run(),
        path="/products/?search=lamp&page=2",
        effort="normal",
        seed=7,
        simulated_latency_seconds=0.05,
        strategies=(described["uncached"], described["textbook"], mine, described["floor"]),
        experiments=(freshness(),),
    )

    assert command_of(run) == (
        "python manage.py bench_cache freshness --strategy textbook --strategy my.caches:Mine "
        "--path '/products/?search=lamp&page=2' --seed 7 --simulate-latency 0.05"
    )
