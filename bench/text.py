"""Numbers and foreign text as people see them: one way to round, to shorten and to clean, for every display.

Used by all rooms that show something. Needs nothing but the standard library, so that ``bench --help`` may import it.
"""

import math
import re

CONTROL = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # colours, movements of the cursor
    r"|\x1b\][^\x07\x1b\n]*(?:\x07|\x1b\\)?"  # titles of windows, links
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]"
)
"""Terminal sequences as a whole, other control characters, and those that change the direction of a line."""


def printable(text: str) -> str:
    """Foreign text without what a terminal would act on. Tabs and line breaks stay."""
    return CONTROL.sub("", text) if CONTROL.search(text) else text


def one_line(text: str) -> str:
    """Foreign text as one printable line."""
    return " ".join(printable(text).split())


def percent(value: float) -> str:
    """Two decimals; halves are rounded up.

    The value is taken as it is written in decimals: 88.205 is a half, though the nearest float lies below it.
    """
    from decimal import ROUND_HALF_UP, Decimal  # here, because ``bench --help`` needs no number

    if not math.isfinite(value):
        return str(value)
    # nine decimals: more than the mean of any accuracies has, fewer than the last bit of a float disturbs
    return str(Decimal(repr(round(value, 9))).quantize(Decimal("0.01"), ROUND_HALF_UP))


def millions(count: int | None, digits: int = 3) -> str:
    """A count in millions, ``-`` if there is none.

    From ten million on with ``digits`` decimals, below with three; below 0.1 million with three significant digits.
    """
    if count is None:
        return "-"
    if count >= 10_000_000:
        return f"{count / 1e6:.{digits}f}"
    # six decimals show a count as it is
    return f"{count / 1e6:.{min(6, max(3, 9 - len(str(count)))) if count else 3}f}"


def counted(count: int, noun: str) -> str:
    """``1 cell``, ``2 cells``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
