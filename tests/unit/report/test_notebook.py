"""Tables in the cell of a notebook."""

from collections.abc import Callable
from html.parser import HTMLParser

from helpers.cells import MakeCell
from helpers.outcomes import complete

from bench.report.layout import make_layout
from bench.report.model import Report
from bench.report.notebook import ReportText, notebook_html
from bench.report.table import build_tables
from bench.values import Suite


class Texts(HTMLParser):
    """The texts of a page and its tags."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.tags: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.texts += filter(None, [data.strip()])


def report(make_suite: Callable[..., Suite], make_cell: MakeCell, model: str) -> Report:
    cell = make_cell(model)
    suite = make_suite(cell)
    tables = build_tables(suite, {cell.id: complete(cell, 93.5)})
    return Report(tables=tables, suites=(suite,), layout=make_layout(columns="model,top1", highlight=True))


def test_a_report_is_a_table_with_what_its_figures_mean(make_suite: Callable[..., Suite], make_cell: MakeCell) -> None:
    page = Texts(notebook_html([report(make_suite, make_cell, "resnet18")]))
    assert page.texts[:5] == ["Digits", "Model", "Top-1(%)", "resnet18", "93.50"]
    assert page.texts[5].startswith("Top-1 and top-5: the test set after the last epoch")
    assert not {"script", "style", "img", "a"} & {*page.tags}


def test_a_name_can_be_no_html(make_suite: Callable[..., Suite], make_cell: MakeCell) -> None:
    name = "a.py:b</td><script>alert(1)</script>\n\u202e|"
    page = Texts(notebook_html([report(make_suite, make_cell, name)]))
    assert "script" not in page.tags
    assert page.texts[3] == "a.py:b</td><script>alert(1)</script> |"


def test_the_text_of_a_report_is_a_text_that_a_notebook_shows_as_a_table(
    make_suite: Callable[..., Suite], make_cell: MakeCell
) -> None:
    text = ReportText.of("# text\n", [report(make_suite, make_cell, "resnet18")])
    assert text == "# text\n"
    assert "<table>" in text._repr_html_()
