"""The web page: whole, without a network, and without an error in a real browser."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from catalog.benchmarks.report.charts import charts_of
from catalog.benchmarks.report.charts.inline import inline_svg
from catalog.benchmarks.report.page import command_of, render_page
from catalog.tests.benchmarks.report.example import example_run, freshness, invalidation, latency

PHONE_PIXELS = 390
RUN = replace(example_run(), experiments=(latency(), invalidation(), freshness()))
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="module")
def page() -> str:
    return render_page(RUN)


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


def test_chromium_opens_it_without_an_error_and_no_wider_than_a_phone(
    page: str, browser: str, tmp_path: Path
) -> None:
    (tmp_path / "index.html").write_text(page)
    # A window is never as narrow as a phone; a frame is.
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


def test_the_console_of_a_page_that_loads_something_is_heard(browser: str, tmp_path: Path) -> None:
    broken = '<img src="missing.png"><script>throw new Error("heard")</script>'
    (tmp_path / "broken.html").write_text(broken)
    _, console = open_in(browser, tmp_path / "broken.html", tmp_path / "profile")

    assert any("heard" in line for line in console)


def test_it_needs_nothing_but_itself(page: str) -> None:
    loaded = re.findall(r'(?:src|srcset)="([^"]*)"|@import|<script|<link[^>]*href="(?!data:)', page)
    links = re.findall(r'href="([^"#][^"]*)"', page)

    assert loaded == []
    assert all(link == "data:," or re.fullmatch(r"[\w-]+\.(svg|png)", link) for link in links)
    assert "default-src 'none'" in page


def test_every_id_is_there_once_and_every_reference_finds_its_own(page: str) -> None:
    ids = Counter(re.findall(r'\bid="([^"]*)"', page))
    referred = set(re.findall(r'(?:href="#|url\(#|aria-labelledby=")([^")]*)', page))

    assert [name for name, count in ids.items() if count > 1] == []
    assert referred <= set(ids)


def test_it_says_everything_that_a_reader_may_ask(page: str) -> None:
    for expected in (
        "How often is an answer stale?",
        "textbook: a sentence about freshness.",
        "Warning:</strong> uncached, textbook, builtin, readcache, floor, floor-get: the standard deviation",
        "Breslau",
        "Example CPU @ 3.00GHz",
        "python manage.py bench_cache latency invalidation",
        '<td class="bad">1,356<span class="sign">!</span></td>',
        "prefers-color-scheme: dark",
    ):
        assert expected in page


def test_charts_take_their_colours_from_the_page(page: str) -> None:
    [chart] = charts_of(RUN)["freshness"]
    svg = inline_svg(chart)

    assert set(re.findall(r"#[0-9a-f]{6}\b", svg)) == set()
    used = set(re.findall(r"var\((--chart-[\w-]+)\)", svg))
    assert used
    for name in used:
        assert page.count(f"{name}: #") == 2  # light and dark


def test_what_a_run_says_is_text_and_never_markup() -> None:
    malicious = replace(freshness(), verdicts=("<script>alert(1)</script>",), warnings=("a < b",))
    page = render_page(replace(example_run(), path="/products/?x=<b>", experiments=(malicious,)))

    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "?x=<b>" not in page


def test_the_command_measures_the_same_again() -> None:
    mine = [replace(each, strategy="mine") for each in freshness().figures if each.strategy == "builtin"]
    textbook = [each for each in freshness().figures if each.strategy in ("uncached", "textbook")]
    run = replace(
        example_run(),
        path="/products/?search=lamp&page=2",
        effort="normal",
        seed=7,
        simulated_latency_seconds=0.05,
        experiments=(replace(freshness(), figures=(*textbook, *mine)),),
    )

    assert command_of(run) == (
        "python manage.py bench_cache freshness --strategy textbook --strategy MODULE:CLASS "
        "--path '/products/?search=lamp&page=2' --seed 7 --simulate-latency 0.05"
    )
