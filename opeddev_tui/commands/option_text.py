"""Read a text that a command line gives as it is, or as the name of a file after @."""

from pathlib import Path

from opeddev_tui.errors import SettingsProblem
from opeddev_tui.files import read_text, reason_of


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
