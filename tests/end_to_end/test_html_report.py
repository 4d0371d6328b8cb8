"""The HTML report in a real headless browser without a network: what it does, and that it asks for nothing."""

import itertools
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from helpers.cells import make_small_cell
from helpers.journals import write_epoch, write_start
from helpers.outcomes import complete

from bench.report.html import ROWS_AT_FIRST, html
from bench.report.model import Report
from bench.report.predictions import Predictions
from bench.report.table import build_tables
from bench.values import Cell, Outcome, Suite
from bench.workspace.journal import Journal
from bench.workspace.paths import CellFolder

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
HOSTILE = "<b>\u202e'net'\"|</script><script>alert(1)</script>\n{{ 7 * 7 }} " + "x" * 300
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
READABLE = 4.5
"""Contrast of text that WCAG 2.2 asks for (1.4.3, level AA)."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (apt-get install chromium)"),
]
Open = Callable[..., "Page"]


def small_report(home: Path) -> Report:
    """Rows of every kind, among them one with a hostile name, with curves of three of them and predictions of one."""
    cells = [
        make_small_cell("alpha", seed=0),
        make_small_cell("alpha", seed=1),
        make_small_cell("beta", "digits", "step"),
        make_small_cell(HOSTILE),
        make_small_cell("failing"),
        make_small_cell("diverging"),
        make_small_cell("never ran"),
    ]
    outcomes = {
        cells[0].id: complete(cells[0], 91.5, total_s=10.0, images_per_s=500.0),
        cells[1].id: complete(cells[1], 92.5, total_s=11.0, images_per_s=510.0),
        cells[2].id: complete(cells[2], 97.25, total_s=30.0, images_per_s=200.0, stale="torch changed"),
        cells[3].id: complete(cells[3], 88.0, total_s=20.0, images_per_s=300.0, device=HOSTILE),
        cells[4].id: Outcome(cell_id=cells[4].id, state="failed", kind="oom"),
        cells[5].id: Outcome(cell_id=cells[5].id, state="failed", kind="diverged"),
    }
    for cell in cells[:4]:
        with Journal(CellFolder.of(home, cell.id).attempt(1).journal) as journal:
            write_start(journal)
            for epoch in (1, 2, 3):
                write_epoch(journal, epoch, top1=80.0 + epoch)
    suite = suite_of(cells)
    labels = np.array([0, 0, 1])
    said = Predictions(labels=labels, classes=labels[::-1, None], scores=np.ones((3, 1)), names=("cat", "dog"))
    return replace(report_of(suite, outcomes), home=home, charts=True, predictions={cells[2].id: said})


def suite_of(cells: list[Cell]) -> Suite:
    return Suite(name="page", description=f"About {HOSTILE}", path="page.yaml", source="", cells=tuple(cells))


def report_of(suite: Suite, outcomes: dict[str, Outcome]) -> Report:
    return Report(tables=build_tables(suite, outcomes), suites=(suite,))


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of :func:`small_report`."""
    folder = tmp_path_factory.mktemp("page")
    path = folder / "report.html"
    path.write_text(html(small_report(folder / ".bench")))
    return path.as_uri()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator["Browser"]:
    """A browser in a network namespace without interfaces; where that is not allowed, requests are noticed anyway."""
    from playwright.sync_api import sync_playwright

    alone = subprocess.run(["unshare", "-n", "true"], check=False, capture_output=True).returncode == 0
    starter = tmp_path_factory.mktemp("browser") / "chromium"
    starter.write_text(f'#!/bin/sh\nexec {"unshare -n" if alone else ""} "{CHROMIUM}" "$@"\n')
    starter.chmod(0o755)
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=starter, args=QUIET)
        yield opened
        opened.close()


@pytest.fixture
def visit(browser: "Browser") -> Iterator[Open]:
    """A function that opens an address. The page must ask for nothing, say nothing to the console and not fail."""
    faults: list[str] = []
    contexts = []

    def open_page(address: str, *, size: dict[str, int] = DESK, scheme: str = "light", script: bool = True) -> "Page":
        context = browser.new_context(viewport=size, color_scheme=scheme, java_script_enabled=script)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: faults.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda r: None if r.url.startswith(("file:", "data:")) else faults.append(r.url))
        page.goto(address)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert faults == []


def column(page: "Page", number: int) -> list[str]:
    """The texts of a column of the first table, from top to bottom."""
    cells = page.locator("table.results").first.locator(f"tbody tr > :nth-child({number})")
    return [str(text).split("\n")[0] for text in cells.all_inner_texts()]


def names(page: "Page") -> list[str]:
    return [name.split(" ")[0] for name in column(page, 1)]


def headings(page: "Page") -> list[str]:
    return [str(text) for text in page.locator("table.results").first.locator("thead th:visible").all_inner_texts()]


def draw_all(page: "Page") -> None:
    """Have every chart drawn, which they are when they come into view."""
    for plot in page.locator(".plot").all():
        plot.scroll_into_view_if_needed()
        plot.locator("svg").first.wait_for()


def test_a_table_sorts_filters_and_switches_columns(address: str, visit: Open) -> None:
    page = visit(address)
    order = names(page)
    top1 = page.get_by_role("columnheader", name="Top-1(%)")
    top1.get_by_role("button").click()
    assert top1.get_attribute("aria-sort") == "descending"
    assert names(page)[:3] == ["beta", "alpha", "<b>'net'\"|</script><script>alert(1)</script>"]
    top1.get_by_role("button").click()
    assert top1.get_attribute("aria-sort") == "ascending"
    assert names(page)[2] == "beta", "what is missing comes last both ways"
    top1.get_by_role("button").click()
    assert top1.get_attribute("aria-sort") is None
    assert names(page) == order

    page.get_by_role("searchbox").fill("ALPHA cosine")
    assert names(page) == ["alpha"]
    assert page.locator("output").inner_text() == "1 of 6 rows"
    page.get_by_role("searchbox").fill("stale")
    assert names(page) == ["beta"]
    page.get_by_role("searchbox").fill("")

    before = headings(page)
    page.locator("summary", has_text="Columns").click()
    page.get_by_label("Time(s)").check()
    page.get_by_label("Input size").uncheck()
    page.keyboard.press("Escape")
    assert headings(page) == [*(heading for heading in before if heading != "Input size"), "Time(s)"]
    page.get_by_role("columnheader", name="Time(s)").get_by_role("button").click()
    assert names(page)[0] == "alpha"
    assert page.locator("table.results tbody tr").first.locator("td:visible").last.inner_text() == "10.5"


def test_every_figure_leads_to_its_runs_by_mouse_and_by_keyboard_alone(address: str, visit: Open) -> None:
    page = visit(address)
    dialog = page.get_by_role("dialog")
    page.get_by_text("97.25").first.click()
    assert dialog.get_by_role("heading", name="beta").is_visible()
    text = dialog.inner_text()
    for part in ("r" * 32, "a CPU", "torch changed", "step(gamma", "2 epochs, batch 64", "Images of each class"):
        assert part in text
    dialog.get_by_role("button", name="Close").click()
    assert not dialog.is_visible()

    page = visit(address)
    dialog = page.get_by_role("dialog")
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.closest('th a')?.textContent") == "alpha":
            break
    page.keyboard.press("Enter")
    assert dialog.get_by_role("heading", name="alpha").is_visible()
    assert dialog.locator("tbody tr").first.inner_text().split() == ["Seed", "0", "1"]
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.textContent") == "alpha", "the focus is where it was"
    page.keyboard.press("Shift+Tab")  # back over the table to the buttons of its head
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    assert page.locator("[aria-sort]").count() == 1


def test_the_address_of_a_row_opens_its_details(address: str, visit: Open) -> None:
    page = visit(address)
    link = page.get_by_role("link", name="beta").get_attribute("href")
    page = visit(f"{address}{link}")
    assert page.get_by_role("dialog").get_by_role("heading", name="beta").is_visible()


def test_charts_answer_to_the_mouse_the_chosen_rows_and_the_theme(address: str, visit: Open) -> None:
    page = visit(address)
    draw_all(page)
    plots = page.locator(".plot")
    assert plots.count() >= 8
    mark = plots.first.locator(".mark-symbol[aria-roledescription='point'] path, .mark-symbol path").first
    mark.hover(force=True)
    page.locator("#vg-tooltip-element.visible").wait_for()
    assert "Top-1" in page.locator("#vg-tooltip-element").inner_text()
    page.mouse.move(0, 0)

    curves = page.locator(".gallery", has=page.locator("[data-rows]"))
    legends = curves.locator(".plot").first
    assert "beta" in legends.inner_text()
    curves.locator("summary").click()
    box = curves.get_by_role("checkbox", name="beta · step")
    box.uncheck()
    page.wait_for_function("plot => !plot.innerText.includes('beta')", arg=legends.element_handle())
    box.check()
    page.wait_for_function("plot => plot.innerText.includes('beta')", arg=legends.element_handle())

    ground = "getComputedStyle(document.querySelector('.plot svg')).backgroundColor"
    light = page.evaluate(ground)
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(f"{ground} !== '{light}'")


def test_the_page_can_be_read_in_the_light_in_the_dark_on_a_phone_and_on_paper(
    address: str, visit: Open, tmp_path: Path
) -> None:
    folder = Path(os.environ.get("BENCH_SCREENSHOTS") or tmp_path)
    for (kind, size), scheme in itertools.product({"desk": DESK, "phone": PHONE}.items(), ("light", "dark")):
        page = visit(address, size=size, scheme=scheme)
        assert page.evaluate("document.documentElement.scrollWidth") == size["width"]
        draw_all(page)
        assert page.evaluate(CONTRASTS) == []
        assert page.evaluate("document.documentElement.scrollWidth") == size["width"]
        page.evaluate("scrollTo(0, 0)")
        page.screenshot(path=folder / f"{kind}-{scheme}.png", full_page=True)
    page.emulate_media(media="print", color_scheme="dark")
    assert not page.locator(".tools:visible, input:visible, dialog:visible").count()
    assert page.locator(".plot img:visible").count() == page.locator(".plot").count()
    assert not page.locator(".plot svg:visible").count()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    page.pdf(path=folder / "print.pdf", format="A4")
    assert (folder / "print.pdf").stat().st_size > 20_000


CONTRASTS = """() => {
  const parse = (colour) => (colour.match(/[\\d.]+/g) || [0, 0, 0, 0]).map(Number);
  const light = (colour) => {
    const linear = (x) => (x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
    const [r, g, b] = parse(colour).map((x) => linear(x / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = light(getComputedStyle(document.body).backgroundColor);
  const texts = [...document.body.querySelectorAll('h1, h2, h3, p, a, th, td, span, label, output, summary, small, b')];
  return texts
    .filter((node) => node.checkVisibility() && node.textContent.trim() && !node.closest('svg'))
    .map((node) => [light(getComputedStyle(node).color), node.textContent.slice(0, 40)])
    .filter(([text]) => (Math.max(text, ground) + 0.05) / (Math.min(text, ground) + 0.05) < READABLE)
}""".replace("READABLE", str(READABLE))


def test_nothing_moves_while_the_page_is_read(address: str, visit: Open) -> None:
    page = visit(address)
    page.evaluate(
        "window.moved = 0;"
        "new PerformanceObserver((list) => list.getEntries().forEach(({ value }) => (moved += value)))"
        ".observe({ type: 'layout-shift', buffered: true })"
    )
    for _ in range(30):
        page.mouse.wheel(0, 400)
        page.evaluate("new Promise(requestAnimationFrame)")
    draw_all(page)
    assert page.evaluate("moved") < 0.1  # what web.dev calls good


def test_without_scripts_tables_pictures_and_runs_are_there(address: str, visit: Open) -> None:
    page = visit(address, script=False)
    assert names(page)[0] == "alpha"
    assert page.locator(".plot img:visible").count() == page.locator(".plot").count()
    assert not page.locator(".tools:visible").count()
    page.locator("summary", has_text="The runs behind the figures").click()
    assert "r" * 32 in page.locator("table.behind").inner_text()


def test_thousands_of_rows_are_shown_in_parts_and_sorted_as_a_whole(visit: Open, tmp_path: Path) -> None:
    cells = [make_small_cell(f"net{number}") for number in range(3_000)]
    outcomes = {cell.id: complete(cell, number / 30) for number, cell in enumerate(cells)}
    path = tmp_path / "many.html"
    path.write_text(html(report_of(suite_of(cells), outcomes)))
    page = visit(path.as_uri())
    rows = page.locator("table.results tbody tr")
    assert rows.count() == ROWS_AT_FIRST
    page.get_by_role("columnheader", name="Top-1(%)").get_by_role("button").click()
    assert rows.first.locator("a").inner_text() == "net2999"
    page.get_by_role("button", name="Show 1000 more of 3000 rows").click()
    assert rows.count() == 2 * ROWS_AT_FIRST
    page.get_by_role("searchbox").fill("net77")
    assert re.fullmatch(r"\d+ of 3000 rows", page.locator("output").inner_text())
    rows.first.click()
    assert page.get_by_role("dialog").get_by_text("r" * 32).is_visible()
