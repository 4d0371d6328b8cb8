"""The MLflow UI on a store that bench filled, seen in a real headless browser."""

import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests

if TYPE_CHECKING:
    from playwright.sync_api import Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SUITE = """
suite: digits
recipe: {epochs: 3, batch_size: 64, optimizer: {name: sgd, lr: 0.05}}
grid: {model: [shufflenet_v2_x0_5, mobilenet_v2], dataset: digits, schedule: cosine}
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (apt-get install chromium)"),
]


@pytest.fixture
def page(project: Path) -> Iterator[str]:
    """The address that ``bench ui`` prints for a store with two trained nets."""
    (project / "digits.yaml").write_text(SUITE)
    bench = [sys.executable, "-m", "bench"]
    subprocess.run([*bench, "run", "digits.yaml", "--device", "cpu"], check=True, capture_output=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen([*bench, "ui", "--port", str(port)], stderr=subprocess.PIPE, text=True)
    assert server.stderr is not None
    try:
        line = server.stderr.readline()
        assert f"http://127.0.0.1:{port}" in line, line
        assert server.stderr.readline().strip().endswith("/artifacts"), "the suite's own run"
        yield line.split()[2]
    finally:
        server.send_signal(signal.SIGINT)
        assert server.wait(timeout=30) == 0
        server.stderr.close()
    with pytest.raises(requests.ConnectionError):
        requests.get(f"http://127.0.0.1:{port}/health", timeout=2)


def columns_from_the_left(tab: "Page") -> list[str]:
    """The headers of the runs' table as a person sees them; the page's source has them in another order."""
    places = "headers => headers.map(header => [header.getBoundingClientRect().x, header.innerText.trim()])"
    headers = tab.locator(".ag-header-cell").evaluate_all(places)
    return list(dict.fromkeys(text for _, text in sorted(headers) if text))


def test_the_ui_opens_with_the_runs_their_accuracy_and_cost_and_draws_their_curves(page: str, tmp_path: Path) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        tab = browser.new_page(viewport={"width": 1500, "height": 1000})
        tab.goto(page)
        tab.get_by_text("shufflenet_v2_x0_5 · cosine · s0").first.wait_for(timeout=60_000)
        tab.get_by_text("mobilenet_v2 · cosine · s0").first.wait_for(timeout=10_000)
        for column in ("test/top1", "test/top5", "cost/params_m", "cost/flops_m"):
            tab.get_by_text(column, exact=True).first.wait_for(timeout=10_000)
        tab.screenshot(path=tmp_path / "runs.png")
        assert columns_from_the_left(tab)[:5] == ["Run Name", "Created", "test/top1", "test/top5", "cost/params_m"]
        tab.goto(f"{page}&compareRunsMode=CHART")
        tab.locator(".js-plotly-plot").first.wait_for(state="attached", timeout=60_000)
        sections = re.findall(r"^(\w+)\s*\(\d+\)", tab.inner_text("body"), re.MULTILINE)
        assert sections[:3] == ["test", "train", "cost"], "charts of accuracy first"
        tab.get_by_placeholder("Search metric charts").fill("test/top1", timeout=60_000)
        tab.get_by_text("test/top1").first.wait_for(timeout=60_000)
        tab.locator(".js-plotly-plot .scatterlayer .trace").first.wait_for(state="attached", timeout=60_000)
        tab.wait_for_timeout(1_000)
        tab.screenshot(path=tmp_path / "charts.png")
        browser.close()
    assert (tmp_path / "charts.png").stat().st_size > 20_000
