"""Foreign text as LaTeX."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.report.tex import WIDTH, tex, tex_lines

ESCAPED = re.compile(r"\\[a-zA-Z]+|\\[`'^~\"=.#$%&_{}]|\{\\char34\}|\$[\\^a-zA-Z]+\$")
"""What tex writes itself."""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a_b & 50% #1 $x$", r"a\_b \& 50\% \#1 \$x\$"),
        (r"\input{/etc/passwd}", r"\textbackslash{}input\{/etc/passwd\}"),
        ("a~b^c|d<e>", r"a\textasciitilde{}b\textasciicircum{}c\textbar{}d\textless{}e\textgreater{}"),
        ('[0] * `x` "y"', r"{[}0{]} {*} \textasciigrave{}x\textasciigrave{} {\char34}y{\char34}"),
        ("93.76 ± 0.12, 8\N{MULTIPLICATION SIGN}8", r"93.76 $\pm$ 0.12, 8$\times$8"),
        ("--rerun it''s", "-{}-rerun it'{}'s"),
        ("Café Øl, e\u0301 λ Λ", r"Caf\'{e} \O{}l, \'{e} $\lambda$ $\Lambda$"),
        ("שלום net", "{[}U+05E9 U+05DC U+05D5 U+05DD{]} net"),
        ("a\u202eb\nc\x1b[31m", "ab c"),
        ("two 网络 β", r"two {[}U+7F51 U+7EDC{]} $\beta$"),
    ],
)
def test_tex_says_what_the_text_says(text: str, expected: str) -> None:
    assert tex(text) == expected


@settings(max_examples=50)
@given(st.text(max_size=30))
def test_tex_leaves_no_sign_that_latex_acts_on(text: str) -> None:
    rest = ESCAPED.sub("", tex(text))
    assert not re.search(r"[\\#$%&_^~\"]", rest), rest
    assert rest.isascii()
    assert rest.count("{") == rest.count("}")


def test_tex_lines_break_a_long_name_and_keep_all_of_it() -> None:
    name = "net_" * 75
    lines = tex_lines(name).removeprefix(r"\begin{tabular}[t]{@{}l@{}}").removesuffix(r"\end{tabular}").split(r" \\ ")
    assert "".join(lines) == tex(name).replace(r"\allowbreak{}", "")
    assert all(len(line.replace("\\", "")) <= WIDTH for line in lines)
    assert tex_lines("short") == "short"
