"""Who runs cells: the tags that every run of an invocation carries."""

import getpass
import subprocess

from bench.workspace.host import process_tags
from bench.workspace.journal import COMMIT_TAG


def run_context() -> dict[str, str]:
    """What every run of this invocation is tagged with: process, user and, in a git work tree, the commit."""
    context = {**process_tags(), "mlflow.source.name": "bench run", "mlflow.source.type": "LOCAL"}
    try:
        context["mlflow.user"] = getpass.getuser()
    except (KeyError, OSError):
        context["mlflow.user"] = "unknown"
    git = ["git", "rev-parse", "HEAD"]
    try:
        found = subprocess.run(git, capture_output=True, text=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return context
    if found.returncode == 0:
        context[COMMIT_TAG] = found.stdout.strip()
    return context
