"""Files as people bring them: rows, tables in every dialect, and a short way to put them into a workspace."""

import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from opeddev_tui.config.settings import Data, Grading, Paths, Settings
from opeddev_tui.data.batches import DataReport, check_data

PATHS = Paths(base="base", increments="more", holdout="held")
GRADES = (1, 2, 3, 4, 5, 2)
WORDS = (
    *("button", "menu", "table", "form", "grid", "card", "list", "image"),
    *("footer", "header", "dialog", "slider", "badge", "chart", "tab", "panel"),
)


def graded(number: int, **changes: Any) -> dict[str, Any]:
    """A grading row; ``None`` as a change leaves the field out."""
    word = WORDS[number % len(WORDS)]
    row = {
        "task": f"Build the {word}.",
        "submission": f"<section class='{word}-{number}'><h2>{word} number {number}</h2><p>{number * 7}</p></section>",
        "rubric": "Names, contrast, markup.",
        "grade": GRADES[number % len(GRADES)],
        "feedback": f"Look at the {word} again.",
        **changes,
    }
    return {name: value for name, value in row.items() if value is not None}


def graded_rows(count: int, first: int = 0, **changes: Any) -> list[dict[str, Any]]:
    """Grading rows that differ from each other."""
    return [graded(first + number, **changes) for number in range(count)]


def asked(number: int, answer: str = "") -> tuple[str, str]:
    """A question and an answer with a grade."""
    word = WORDS[number % len(WORDS)]
    return (
        f"Grade this {word}: <i>{word} {number}</i>",
        answer or f"Grade: {GRADES[number % len(GRADES)]}\nFeedback: {word}.",
    )


def chat(number: int, answer: str = "", **last: Any) -> list[dict[str, Any]]:
    """Messages of a question and an answer; ``last`` are more fields of the answer."""
    question, answer = asked(number, answer)
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer, **last}]


def jsonl(rows: list[dict[str, Any]]) -> bytes:
    """The rows as lines of JSON."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def table(rows: list[dict[str, Any]], separator: str = ",", names: list[str] | None = None) -> str:
    """The rows as a quoted table."""
    names = names or list(rows[0])
    lines = [names, *([str(value) for value in row.values()] for row in rows)]
    return "".join(separator.join('"' + value.replace('"', '""') + '"' for value in line) + "\n" for line in lines)


def check(
    root: Path, files: Mapping[str, bytes | str], *, grading: Grading | None = None, data: Data | None = None
) -> DataReport:
    """Write ``files`` into the workspace at ``root`` and read everything in it."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return check_data(root, Settings(paths=PATHS, grading=grading or Grading(), data=data or Data()))


HELD = {"held/validation.jsonl": jsonl(graded_rows(3, first=100))}
HELD_CHAT = {"held/validation.jsonl": jsonl([{"messages": chat(number)} for number in range(100, 103)])}
GZIPPED = gzip.compress(jsonl(graded_rows(4)))
