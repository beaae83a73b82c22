"""Declare and read texts that a command line gives as they are, or as the name of a file after @."""

import argparse
from pathlib import Path

from opeddev_tui.config.settings import FILLED_FIELDS, GIVEN_FIELDS
from opeddev_tui.errors import SettingsProblem
from opeddev_tui.files import read_text, reason_of


def add_fields(parser: argparse.ArgumentParser, of: str, usual: str, *, kind: bool = True) -> None:
    """Add ``--task``, ``--rubric`` and ``--kind``: what is taken for ``of`` that have none, else ``usual``."""
    for name in FILLED_FIELDS:
        parser.add_argument(f"--{name}", metavar="TEXT|@FILE", help=f"of {of} that have none (default: {usual})")
    if kind:
        parser.add_argument("--kind", metavar="KIND", help=f"of {of} that have none: html, css, js …")


def fields_of(options: argparse.Namespace) -> dict[str, str]:
    """Return what was given for the fields, by name, empty where nothing was; raises ``SettingsProblem``."""
    return {name: option_text(name, getattr(options, name, None)) for name in GIVEN_FIELDS}


def option_text(name: str, value: str | None) -> str:
    """Return the text of the option ``name``; a kind is never a file. Raises ``SettingsProblem``."""
    if not value or not value.startswith("@") or name == "kind":
        return value or ""
    path = Path(value[1:]).expanduser()
    try:
        return read_text(path).strip()
    except (OSError, ValueError) as error:
        raise SettingsProblem(
            f"{path} cannot be read: {reason_of(error)}.", where=f"--{name}", cure="Name a text file after @."
        ) from error
