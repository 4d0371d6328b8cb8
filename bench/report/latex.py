"""The LaTeX format: a table per data set, to be read into a paper with ``\\input``. Needs booktabs and graphicx.

What the figures mean, and the recipes, schedules and devices, stand in a note below each table. The runs behind the
numbers are comments at the end of the file.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

from bench.report.against_grid import against_grid, against_sentences
from bench.report.grid import Entry, Grid, Heading, make_grids
from bench.report.legend import decays, devices, figures, recipes, row_notes, speeds, stale_rows
from bench.report.model import Report, Table
from bench.report.tex import tex, tex_lines
from bench.text import one_line

PACKAGES = r"% \usepackage{booktabs,graphicx}"
FITTED = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"
"""Before what is made smaller where it is wider than the text, and else stays as it is."""


def latex(report: Report) -> str:
    """Tables as LaTeX."""
    labels: list[str] = []
    blocks = [PACKAGES]
    for grid in make_grids(report):
        labels.append(_label(grid.title, labels))
        blocks.append(_table(grid, labels[-1], _notes(grid, report)))
    compared = [tex(sentence) for sentence in against_sentences(report)]
    if changed := against_grid(report):
        blocks.append(_table(changed, _label(changed.title, labels), compared))
    elif compared:
        blocks.append("\n".join(compared))
    return "\n\n".join([*blocks, *_runs(report.tables)]) + "\n"


def _table(grid: Grid, label: str, notes: Sequence[str]) -> str:
    columns = "".join("r" if heading.numeric else "l" for heading in grid.headings)
    lines = [
        " & ".join(_entry(entry, heading) for entry, heading in zip(line.entries, grid.headings, strict=True)) + r" \\"
        for line in grid.lines
    ]
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{tex(grid.title)}}}",
            rf"\label{{{label}}}",
            r"\par\smallskip",
            FITTED,
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            " & ".join(_heading(heading) for heading in grid.headings) + r" \\",
            r"\midrule",
            *lines,
            r"\bottomrule",
            r"\end{tabular}}",
            r"\par\medskip",
            r"\begin{minipage}{\linewidth}\footnotesize\raggedright",
            *(rf"{note}\par" for note in notes),
            r"\end{minipage}",
            r"\end{table}",
        ]
    )


def _heading(heading: Heading) -> str:
    """``Top-1 (\\%)``, with a thin space before the unit."""
    return re.sub(r"(?<=\w)\(", r"\\,(", tex_lines(heading.text)).replace(" - ", " $-$ ")


def _entry(entry: Entry, heading: Heading) -> str:
    if not heading.numeric:
        text = tex_lines(entry.text)
    elif entry.text == "-":
        text = "--"
    else:
        text = _numbers(entry.text, heading)
    return rf"\textbf{{{text}}}" if entry.bold else text


def _numbers(text: str, heading: Heading) -> str:
    """Numbers with thin spaces between thousands, minus signs, and a cross between the sides of an image."""
    text = re.sub(r"(?<=\d)x(?=\d)", "\N{MULTIPLICATION SIGN}", text) if heading.name == "input" else text
    text = tex(text)
    text = re.sub(r"(?<=\d) (?=\d{3}\b)", r"\\,", text)
    text = re.sub(r"(?<!\w)-(?=\d)", "$-$", text)
    return re.sub(r"\(n=(\d+)\)", r"($n=\1$)", text)


def _notes(grid: Grid, report: Report) -> list[str]:
    """What stands below a table, a paragraph each."""
    tables = grid.tables
    suites = {name for table in tables for name in table.suite.split(", ")}
    notes = [*figures(report, [grid])]
    notes += [f"{label}: {note}." for label, note in row_notes(tables)]
    notes += [f"(stale): {reason} since the figures of {rows} were made." for reason, rows in stale_rows(tables)]
    notes += [f"Suite {s.name}: {s.description}." for s in report.suites if s.description and s.name in suites]
    notes += [f"Recipe{_of(rows)}: {recipe}." for recipe, rows in recipes(tables)]
    notes += [f"Schedule {name}: {decay}." for name, decay in decays(tables)]
    notes += [f"Device{_of(rows)}: {device}." for device, rows in devices(tables)]
    notes += speeds(replace(report, tables=tables), [grid])
    return [tex(note) for note in notes]


def _of(rows: str) -> str:
    return f" of {rows}" if rows else ""


def _label(title: str, taken: Sequence[str]) -> str:
    """``tab:`` and what a label may have of a title, different from those that are taken."""
    label = "tab:" + (re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:40] or "results")
    return next(each for each in (label, *(f"{label}-{n}" for n in range(2, len(taken) + 3))) if each not in taken)


def _runs(tables: Sequence[Table]) -> list[str]:
    """The runs behind the numbers, as comments."""
    lines = [
        f"% {table.title}, {row.label}, {row.schedule}, seed {run.seed}: cell {run.cell_id}, "
        f"MLflow run {run.run_id or run.state}, commit {run.commit[:10] or '-'}"
        for table in tables
        for row in table.rows
        for run in row.runs
    ]
    return ["\n".join(map(one_line, ["% Runs behind the numbers:", *lines]))] if lines else []
