"""Write the fields of a checkpoint for people; ``--json`` has them as they are."""

from typing import Any

from opeddev_tui.format import moment, number, share, signed, size
from opeddev_tui.text import clean_line

_NONE = "–"


def field_text(name: str, value: Any) -> str:
    """Return ``value`` of the field ``name`` as a text in one line."""
    match name, value:
        case _, None | "" | () | []:
            return _NONE
        case "size", int():
            return size(value)
        case "created", float() | int():
            return moment(value)
        case _, bool():
            return "yes" if value else "no"
        case "gain", float():
            return signed(value, 4)
        case "interval", (float() as low, float() as high):
            return f"{signed(low, 4)} to {signed(high, 4)}"
        case (("exact" | "human"), float()):
            return share(value)
        case "val_loss", float():
            return number(value, 4)
        case _, float():
            return f"{value:g}"
        case _, tuple() | list():
            return clean_line(", ".join(map(str, value)))
    return clean_line(str(value))
