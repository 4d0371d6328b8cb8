"""The LaTeX format."""

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.outcomes import COST, complete

from bench.report.latex import latex
from bench.report.layout import make_layout
from bench.report.model import Report
from bench.report.table import build_tables
from bench.values import Cell, Outcome, Suite

PDFLATEX = shutil.which("pdflatex")

MakeCell = Callable[..., Cell]
MakeSuite = Callable[..., Suite]

HOSTILE = (
    r"a#b$c%d&e_f{g}h~i^j\k<l>m|n\"o",
    r"\input{/etc/passwd}\end{table}",
    "[-1cm] * first of its line",
    "</script><b onclick='x'>`` ''",
    "two\nlines\tand\x1b[31m a colour",
    "right \u05e9\u05dc\u05d5\u05dd to left \u202e again",
    "Ünïcödé \u7f51\u7edc \U0001f600 λ ½ e\u0301\u0323",
    "net_" * 75,
    "\u05d0" * 300,
)
"""Names of nets that somebody may have."""


def rendered(suite: Suite, outcomes: dict[str, Outcome], **words: object) -> str:
    layout = make_layout(**words)  # type: ignore[arg-type]
    return latex(Report(tables=build_tables(suite, outcomes), suites=(suite,), layout=layout))


def test_latex_has_rules_units_spread_and_sizes(make_cell: MakeCell, make_suite: MakeSuite) -> None:
    cells = [make_cell("vgg11_bn", seed=seed) for seed in range(2)] + [make_cell("alexnet")]
    outcomes = {cell.id: complete(cell, 90.0 + cell.seed, images_per_s=12345.0) for cell in cells}
    text = rendered(make_suite(*cells), outcomes, columns="model,input,top1,gap,images_s", highlight=True)
    assert r"Model & Input size & Top-1\,(\%) & Best $-$ last & Images/s \\" in text
    assert (
        r"vgg11\_bn & 8$\times$8 & \textbf{90.50 $\pm$ 0.71 ($n=2$)} & 1.00 $\pm$ 0.00 ($n=2$) & \textbf{12\,345} \\"
        in text
    )
    assert text.count(r"\toprule") == text.count(r"\bottomrule") == 1
    assert r"\caption{Digits}" in text
    assert r"\label{tab:digits}" in text
    assert f"% Digits, alexnet, cosine, seed 0: cell {cells[2].id}, MLflow run {'r' * 32}, commit -" in text


def test_labels_are_different_and_a_minus_is_one(make_cell: MakeCell, make_suite: MakeSuite) -> None:
    cells = [make_cell(dataset=f"folder:{name}") for name in ("\u05d0", "\u05d1")]
    outcomes = {cells[0].id: complete(cells[0], 90.0, best_top1=88.75)}
    text = rendered(make_suite(*cells), outcomes, columns="gap")
    assert r"\label{tab:results}" in text
    assert r"\label{tab:results-2}" in text
    assert "\n$-$1.25 \\\\\n" in text
    assert "\n-- \\\\\n" in text


@pytest.mark.slow
@pytest.mark.skipif(PDFLATEX is None, reason="needs pdflatex (apt-get install texlive-latex-recommended)")
def test_a_table_of_hostile_names_is_compiled_by_pdflatex(
    make_cell: MakeCell, make_suite: MakeSuite, tmp_path: Path
) -> None:
    cells = [make_cell(name, seed=seed) for name in HOSTILE for seed in (0, 1)]
    cells += [make_cell("resnet18", dataset=f"folder:/data/{name}") for name in HOSTILE]
    cost = replace(COST, unmeasured=HOSTILE[0], uncounted=HOSTILE)
    outcomes = {
        cell.id: complete(cell, 90.0 + i / 10, cost=cost, device=HOSTILE[i % 9], stale=HOSTILE[0], peak_mb=12345.6)
        for i, cell in enumerate(cells)
    }
    suite = replace(make_suite(*cells), description="; ".join(HOSTILE))
    for name, words in {"plain": {}, "wide": {"columns": "+time,+peak_mb,+device,+gap", "title": HOSTILE[0]}}.items():
        (tmp_path / f"{name}.tex").write_text(rendered(suite, outcomes, highlight=True, **words))
    inputs = r"\input{plain}\input{wide}\input{pivot}"
    (tmp_path / "pivot.tex").write_text(rendered(suite, outcomes, pivot="dataset"))
    document = rf"\documentclass{{article}}\usepackage{{booktabs,graphicx}}\begin{{document}}{inputs}\end{{document}}"
    (tmp_path / "paper.tex").write_text(document)
    command = [PDFLATEX or "", "-halt-on-error", "-interaction=nonstopmode", "-no-shell-escape", "paper.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    log = (tmp_path / "paper.log").read_text(errors="replace")
    assert done.returncode == 0, log[-3000:]
    assert (tmp_path / "paper.pdf").stat().st_size > 10_000
    assert "Missing character" not in log
    assert r"Overfull \hbox" not in log, "nothing stands beside the page"
