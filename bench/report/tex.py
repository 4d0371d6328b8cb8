# ruff: noqa: RUF001 - letters that look like others are what this module is about
"""Foreign text as LaTeX that compiles with pdflatex, whatever the text is, and says what the text says.

Needs no package of LaTeX. Letters that pdflatex has no glyph for become their code points, e.g. ``[U+05D0]``.
"""

import re
import textwrap
import unicodedata
from functools import cache
from itertools import groupby

from bench.text import one_line

WIDTH = 44
"""Characters of a name in one line of a table; longer ones are broken, so that a table stays on its page."""

SPECIAL = {
    "\0": "{}",  # between letters that would be set as one
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "#": r"\#",
    "$": r"\$",
    "%": r"\%",
    "&": r"\&",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"{\char34}",  # babel gives the character a meaning in some languages
    "`": r"\textasciigrave{}",
    "[": "{[}",  # after the end of a line it would be an option of that command
    "]": "{]}",
    "*": "{*}",
    "±": r"$\pm$",
    "×": r"$\times$",
    "·": r"$\cdot$",
    "°": r"$^\circ$",
    "µ": r"$\mu$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "→": r"$\to$",
    "∞": r"$\infty$",
    "–": "--",
    "—": "---",
    "…": r"\ldots{}",
    "‘": "`{}",
    "’": "'{}",
    "“": "``{}",
    "”": "''{}",
    "ß": r"\ss{}",
    "æ": r"\ae{}",
    "Æ": r"\AE{}",
    "ø": r"\o{}",
    "Ø": r"\O{}",
    "ł": r"\l{}",
    "Ł": r"\L{}",
    "ı": r"\i{}",
}
ACCENTS = dict(
    zip("\u0300\u0301\u0302\u0303\u0308\u0304\u0307\u0306\u030c\u030b\u0327\u0323\u030a", "`'^~\"=.uvHcdr", strict=True)
)
"""Combining marks and the commands that set them, which every encoding of LaTeX has."""
GREEK = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau phi chi psi omega"
GREEK_CAPITALS = "Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega"


def tex(text: str) -> str:
    """A text in one paragraph of LaTeX, in which words that are too long for a line may be broken."""
    words = re.split(rf"(\S{{{WIDTH},}})", _legible(text))
    parts = [
        textwrap.wrap(word, 8, break_on_hyphens=False) if place % 2 else [word] for place, word in enumerate(words)
    ]
    return "".join(r"\allowbreak{}".join(map(_letters, part)) for part in parts)


def tex_lines(text: str) -> str:
    """A name in an entry of a table: broken into several lines where it is long."""
    parts = textwrap.wrap(_legible(text), WIDTH) or [""]
    lines = [_letters(part) for part in parts]
    return lines[0] if len(lines) == 1 else r"\begin{tabular}[t]{@{}l@{}}" + r" \\ ".join(lines) + r"\end{tabular}"


def _legible(text: str) -> str:
    """One line without what pdflatex cannot set."""
    text = unicodedata.normalize("NFC", one_line(text))
    return re.sub(r"[^\x20-\x7e]+", lambda run: _code_points(run[0]), text)


def _letters(text: str) -> str:
    """Every letter in LaTeX; two hyphens, commas or apostrophes stay two, which it would set as one sign."""
    return "".join(_letter(letter) for letter in re.sub(r"([-,'])(?=\1)", "\\1\0", text))


def _code_points(run: str) -> str:
    """Letters that can be set as they are, the others as their code points."""
    parts = [(legible, "".join(letters)) for legible, letters in groupby(run, lambda letter: bool(_letter(letter)))]
    return "".join(
        part if legible else f"[{' '.join(f'U+{ord(letter):04X}' for letter in part)}]" for legible, part in parts
    )


@cache
def _letter(letter: str) -> str:
    """A letter in LaTeX; empty if there is no way to set it."""
    if letter in SPECIAL:
        return SPECIAL[letter]
    if letter in _greek():
        return _greek()[letter]
    if letter.isascii():
        return letter
    base, *marks = list(unicodedata.normalize("NFD", letter))
    if base.isascii() and base.isalpha() and len(marks) == 1 and marks[0] in ACCENTS:
        return rf"\{ACCENTS[marks[0]]}{{{base}}}"
    return ""


@cache
def _greek() -> dict[str, str]:
    names = {f"GREEK SMALL LETTER {name.upper()}": name for name in GREEK.split()}
    names |= {f"GREEK CAPITAL LETTER {name.upper()}": name for name in GREEK_CAPITALS.split()}
    names = {name.replace("LAMBDA", "LAMDA"): command for name, command in names.items()}  # as Unicode spells it
    return {unicodedata.lookup(name): rf"$\{command}$" for name, command in names.items()}
