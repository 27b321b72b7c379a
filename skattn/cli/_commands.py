"""The commands of ``skattn``."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import click

from skattn import __version__

_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_name = click.argument("name")


@click.group(invoke_without_command=True)
@click.version_option(__version__, prog_name="skattn")
@click.pass_context
def main(context: click.Context) -> None:
    """Attention models of quantitative research as scikit-learn regressors."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@main.command()
@_json
def models(as_json: bool) -> None:
    """List the installed models, and why a model is not loaded."""
    from skattn.cli._models import show_models

    show_models(as_json)


@main.command()
@_name
@_json
def info(name: str, as_json: bool) -> None:
    """Describe the model NAME and its parameters.

    NAME is a name as in `skattn models`; `distribution:name` is the model of one distribution.
    """
    from skattn.cli._info import show_info

    show_info(name, as_json)


@main.command()
@_name
@_json
def check(name: str, as_json: bool) -> None:
    """Check that the model NAME keeps what skattn promises.

    Runs scikit-learn's checks and those of skattn.testing. The exit code is 1 where one fails.
    """
    from skattn.cli._check import run_checks

    raise SystemExit(run_checks(name, as_json))


@main.command("new-plugin")
@_name
@click.option("--cross-sectional", is_flag=True, help="A model that looks across stocks.")
@click.option(
    "--directory",
    default=".",
    type=click.Path(path_type=Path),
    help="Where the plugin's folder is made.",
    show_default="the current one",
)
def new_plugin(name: str, cross_sectional: bool, directory: Path) -> None:
    """Write a plugin that brings the model NAME.

    The folder skattn-NAME is a whole distribution: a model that works, its tests, and all that
    pip needs. The files are yours to change.
    """
    from skattn.cli._scaffold import write_plugin

    try:
        folder = write_plugin(name, directory, cross_sectional=cross_sectional)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="NAME") from error
    except OSError as error:
        raise click.ClickException(str(error)) from error
    # Without the dot, pip would look for the name in the package index.
    there = str(folder if folder.is_absolute() else f".{os.sep}{folder}")
    place = shlex.quote(there)
    package = folder.name.replace("-", "_")
    click.echo(f"Wrote {place}; the model is in {package}/model.py. What comes next:\n")
    click.echo(f"  pip install --editable {shlex.quote(f'{there}[dev]')}")
    click.echo(f"  skattn check {name}")
    click.echo(f"  pytest {place}")


@main.command()
@_json
def doctor(as_json: bool) -> None:
    """Say whether skattn works here: versions, devices, plugins.

    The exit code is 1 where something is broken.
    """
    from skattn.cli._doctor import examine

    raise SystemExit(examine(as_json))
