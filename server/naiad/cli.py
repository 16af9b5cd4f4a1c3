"""The `naiad` command. Imports what a command needs when it runs, so that `--help` is quick.

Exit codes: 0 all went well; 1 something was found wrong, or the server ended before its time; 2 the command line, the
environment or the surroundings (port, repository) do not allow a start.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Serve trained models over the KServe V2 protocol.")


@app.callback(invoke_without_command=True)
def _version(
    *, version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False
) -> None:
    if version:
        import naiad

        typer.echo(naiad.__version__)
        raise typer.Exit


@app.command(
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    help="Serve model repositories; `naiad serve --help` lists the settings.",
)
def serve(context: typer.Context) -> None:
    from naiad.app import CannotStart, run
    from naiad.observability import logs
    from naiad.settings import BadSettings, Settings

    try:
        settings = Settings.parse(context.args)
        logs.configure(settings.log_level)
        run(settings)
    except (BadSettings, CannotStart) as error:
        typer.echo(f"naiad serve: {error}", err=True)
        raise typer.Exit(2) from None


@app.command(
    help="Say what would be served from repositories, and everything that is wrong with them. "
    "Exit code 1 says that something would not be served; warnings do not count."
)
def check(
    repositories: Annotated[list[Path], typer.Argument(help="Repositories, or single model directories.")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    from naiad.app import check_repositories

    text, healthy = check_repositories(repositories, as_json=as_json)
    typer.echo(text)
    raise typer.Exit(0 if healthy else 1)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; gives its exit code."""
    try:
        app(args=None if arguments is None else list(arguments), prog_name="naiad", standalone_mode=True)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    return 0
