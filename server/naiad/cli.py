"""The `naiad` command. Imports what a command needs when it runs, so that `--help` is quick.

Exit codes: 0 all went well; 1 something was found wrong, or the server ended before its time; 2 the command line, the
environment or the surroundings (port, repository) do not allow a start.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from naiad.settings import Settings

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
    from naiad.settings import BadSettings, Settings

    if {"-h", "--help"} & set(context.args):
        from naiad.settings.help import help_text

        typer.echo(help_text(), nl=False)
        return
    try:
        _serve(Settings.parse(context.args))
    except BadSettings as error:
        raise _refuse("serve", error) from None


def _serve(settings: Settings) -> None:
    # grpcio's core writes past our log, each failed handshake too; it reads this when it is imported.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    from naiad.app import run
    from naiad.observability import logs
    from naiad.starting import CannotStart

    try:
        logs.configure(settings.least_level, settings.log_format, settings.log_file, settings.muted_levels)
    except OSError as error:
        origin = settings.origin("log_file")
        raise _refuse("serve", f"{origin}: {settings.log_file} cannot be written: {error.strerror}") from None
    try:
        run(settings)
    except CannotStart as error:
        logs.flush()
        raise _refuse("serve", error) from None


def _refuse(command: str, why: object) -> typer.Exit:
    """Say why in one line for each reason; gives how the command ends."""
    for line in str(why).splitlines():
        typer.echo(f"naiad {command}: {line}", err=True)
    return typer.Exit(2)


@app.command(
    help="Say what would be served from repositories, everything that is wrong with them and what to do about it, and "
    "how many models run the same, better, with a warning, not yet or never. Exit code 1 says that something would not "
    "be served; warnings do not count."
)
def check(
    repositories: Annotated[list[str], typer.Argument(help="Repositories, or single model directories.")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text, with every model.")] = False,
    every: Annotated[bool, typer.Option("--all", help="Show every model, however many there are.")] = False,
    summary: Annotated[bool, typer.Option("--summary", help="Show no model, only the counts.")] = False,
    config_name: Annotated[
        str | None, typer.Option("--model-config-name", metavar="NAME", help="As for `naiad serve`.")
    ] = None,
    backend_config: Annotated[
        list[str], typer.Option("--backend-config", metavar="BACKEND,KEY=VALUE", help="As for `naiad serve`.")
    ] = [],  # noqa: B006 -- typer's way to say that there may be none
    strict: Annotated[
        bool,
        typer.Option("--disable-auto-complete-config", "--strict-model-config", help="As for `naiad serve`."),
    ] = False,
) -> None:
    from naiad.app import check_repositories
    from naiad.settings import BadSettings, Settings
    from naiad.starting import CannotStart

    flags = [f"--disable-auto-complete-config={str(strict).lower()}"]
    flags += [f"--model-repository={repository}" for repository in repositories]
    flags += [f"--backend-config={option}" for option in backend_config]
    flags += [f"--model-config-name={name}" for name in [config_name] if name is not None]
    detail = "none" if summary else "all" if every else "auto"
    try:
        text, healthy = check_repositories(Settings.parse(flags, {}), as_json=as_json, detail=detail)
    except (BadSettings, CannotStart) as error:
        raise _refuse("check", error) from None
    typer.echo(text)
    raise typer.Exit(0 if healthy else 1)


@app.command(help="Show how a running server and its models stand. Exit code 1 says that it could not be asked.")
def status(
    address: Annotated[str, typer.Argument(help="HOST:PORT of its gRPC, or unix:PATH.")] = "127.0.0.1:8001",
    *,
    models: Annotated[
        list[str], typer.Option("--model", metavar="NAME", help="Only this model. May be repeated.")
    ] = [],  # noqa: B006 -- as above
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Go on, once a second, until Ctrl-C.")] = False,
    authority: Annotated[
        Path | None, typer.Option("--tls-root-cert", metavar="FILE", help="Ask over TLS; a PEM file of who signs.")
    ] = None,
) -> None:
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from naiad.status import Target, Unreachable, show

    try:
        show(Target(address, authority), models, as_json=as_json, watch=watch)
    except Unreachable as error:
        typer.echo(f"naiad status: {error}", err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; gives its exit code."""
    try:
        app(args=None if arguments is None else list(arguments), prog_name="naiad", standalone_mode=True)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    return 0
