"""``python -m bench.worker``: see :mod:`bench.worker.main`."""

import sys

from bench.worker.main import main

if __name__ == "__main__":
    sys.exit(main())
