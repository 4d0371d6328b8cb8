"""``bench doctor``: one line for each thing that a run needs, with what to do where it is not well."""

from dataclasses import asdict

import click

from bench.cli.options import json_option, tracking_option
from bench.cli.output import print_json, say

COLOURS = {"ok": "green", "warning": "yellow", "problem": "red"}


@click.command()
@tracking_option
@json_option
def doctor(tracking_uri: str | None, as_json: bool) -> None:
    """Check devices, libraries, data, disk and store. Exit code 1 if something would stop a run."""
    from bench.api.doctor import examine

    findings = examine(tracking_uri)
    if as_json:
        print_json({"findings": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            say(f"{finding.state.ljust(7)} {finding.topic}: {finding.text}", style=COLOURS[finding.state])
    raise SystemExit(any(finding.state == "problem" for finding in findings))
