"""Open the one object of a JSON file that holds all rows: {"data": [...]}, tables of pandas, pages of a service."""

from pathlib import Path
from typing import Any

from opeddev_tui.data.raw_rows import RawRow

# an object with one of these is a row, whatever else it holds
_OF_ROWS = frozenset({"messages", "conversations", "prompt", "instruction", "question", "input", "text", "submission"})
_ROW_LISTS = ("data", "rows", "examples", "items", "records", "instances", "samples", "entries", "train")


def unwrapped(row: RawRow, path: Path) -> list[RawRow]:
    """Return the rows inside the only object of a file, or the object itself if it is a row; raises ``DataProblem``."""
    fields = row.fields
    if any(isinstance(fields.get(name), str | list) for name in _OF_ROWS):
        return [row]
    if _is_pandas_split(fields):
        names = fields["columns"]
        listed: list[Any] = [dict(zip(names, values, strict=True)) for values in fields["data"]]
    elif _is_by_column(fields):
        message = "is one object of columns, as DataFrame.to_json writes it by default, not rows."
        raise row.bad(message, 'Write it with to_json(path, orient="records", lines=True).')
    else:
        # {"messages": [...]} is one row: only names that mean rows are opened
        holders = [name for name in _ROW_LISTS if _is_row_list(fields.get(name))]
        if len(holders) != 1:
            return [row]
        listed = fields[holders[0]]
        if all(isinstance(item.get("row"), dict) and "row_idx" in item for item in listed):
            listed = [item["row"] for item in listed]
    return [RawRow(item, f"{path} (row {number})") for number, item in enumerate(listed, 1)]


def _is_row_list(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)


def _is_pandas_split(fields: dict[str, Any]) -> bool:
    names, values = fields.get("columns"), fields.get("data")
    return (
        isinstance(names, list)
        and isinstance(values, list)
        and all(isinstance(name, str) for name in names)
        and all(isinstance(item, list) and len(item) == len(names) for item in values)
    )


def _is_by_column(fields: dict[str, Any]) -> bool:
    """Return whether the object has one object per column, and all have the same keys, the row numbers."""
    columns = list(fields.values())
    if len(columns) < 2 or not all(isinstance(column, dict) and column for column in columns):
        return False
    return all(column.keys() == columns[0].keys() for column in columns)
