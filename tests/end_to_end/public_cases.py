"""The cases of public bug reports as whole commands, each in an empty folder: prints what is right and what is wrong.

    python tests/end_to_end/public_cases.py            all of them, some ten minutes
    python tests/end_to_end/public_cases.py M14 S5     these

Ends with 0 if all are right. The inputs are in ``tests/helpers/public_nets.py`` and ``public_files.py``.
"""

import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from helpers import public_files, public_nets  # noqa: E402, F401 - they enter their cases in the list
from helpers.public import CASES, Folder  # noqa: E402


def main(names: list[str]) -> int:
    """Try cases and return the exit code."""
    if unknown := [name for name in names if name not in CASES]:
        print(f"there is no case {', '.join(unknown)}; valid: {', '.join(CASES)}")
        return 2
    chosen = names or list(CASES)
    wrong = 0
    for name in chosen:
        began, problem = time.monotonic(), ""
        with tempfile.TemporaryDirectory(prefix="bench-case-") as folder:
            try:
                CASES[name](Folder(Path(folder, name)))
            except Exception as error:
                problem = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        wrong += bool(problem)
        says = CASES[name].__name__.replace("_", " ")
        seconds = f"{time.monotonic() - began:.0f} s"
        print(f"{name:<4} {'wrong' if problem else 'right'}  {says} ({seconds})", flush=True)
        if problem:
            print(f"            {problem}", flush=True)
    print(f"{len(chosen) - wrong} of {len(chosen)} right")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
