"""What is taken for a field of the form that is left empty: the words in it, as the answer says them later. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from opeddev_tui.data.ungraded import KINDS
from opeddev_tui.text import clean_line
from opeddev_tui.ui.tasks.grader import Typed

if TYPE_CHECKING:
    from opeddev_tui.serving.asked import Filling

_MOST = 200


def empty_words(fill: Filling | None, template: str, typed: Typed) -> Mapping[str, str]:
    """Return the words for an empty path, task, rubric and kind, beside what is ``typed``.

    ``fill`` is what the grader itself fills in, None until it is read; ``template`` is the prompt's.
    """
    kind, kind_words = _kind(fill, typed)
    return {
        "path": "a file or folder; empty: the code",
        "task": _filled("task", fill, template, kind),
        "rubric": _filled("rubric", fill, template, kind),
        "kind": kind_words,
    }


def _kind(fill: Filling | None, typed: Typed) -> tuple[str | None, str]:
    """Return the kind that is graded, None where it is told by files that nobody has read, and the words for it."""
    default = clean_line(fill.defaults.get("kind", ""), max_chars=_MOST) if fill is not None else ""
    path, kind = typed.path.strip(), typed.kind.strip() or None
    if fill is not None and Path(path).suffix.lower() in KINDS:
        found, _ = fill.kind_of(path)
        return kind or found, f"empty: {clean_line(found, max_chars=_MOST)}, by the file's name"
    if typed.code.strip() and not path:
        return kind or default, f"empty: grade.kind: {default}" if default else "empty: unknown"
    return kind, f"empty: by file name, else {default or 'unknown'}"


def _filled(name: str, fill: Filling | None, template: str, kind: str | None) -> str:
    if f"{{{name}}}" not in template:
        return f"not asked: your prompt has no {name}"
    if fill is None:
        return "empty: the commonest of your rows, else none"
    text, origin = fill.of(name, kind or "")
    by_kind = fill.usual.by_kind.get(name, {})
    if origin == f"grade.{name}":
        return f"empty: {origin}: {clean_line(text, max_chars=_MOST)}"
    if kind is None and by_kind and (not text or len(set(by_kind.values())) > 1):
        # a file may be of a kind whose rows share no text
        return f"empty: the commonest of its kind{'' if text else ', else none'}"
    if text:
        return f"empty: the commonest: {clean_line(text, max_chars=_MOST)}"
    return "empty: none, so a person is asked"
