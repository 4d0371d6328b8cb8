"""``bench schema``: what a suite file may hold, for editors (JSON schema) and for people (markdown)."""

from collections.abc import Sequence
from pathlib import Path

import click

from bench.cli.output import write_output


@click.command()
@click.argument("suites", metavar="[SUITE]...", nargs=-1)
@click.option("--markdown", is_flag=True, help="Print the reference page instead, with a list of the given suites.")
def schema(suites: Sequence[str], markdown: bool) -> None:
    """Print the JSON schema of suite files.

    Editors with a YAML language server complete and check a suite that begins with the line
    "# yaml-language-server: $schema=suite.schema.json".
    """
    from bench.suite import load_suite
    from bench.suite.reference import reference, schema_json

    if suites and not markdown:
        raise click.UsageError("SUITE is only listed on the page of --markdown")
    page = reference([(Path(path).name, load_suite(path)) for path in suites]) if markdown else schema_json()
    write_output(page, None)
