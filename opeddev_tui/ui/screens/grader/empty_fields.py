"""What is taken for a field of the form that is left empty: the words in it, as the answer says them later. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from opeddev_tui.text import clean_line

if TYPE_CHECKING:
    from opeddev_tui.serving.asked import Filling

_MOST = 200


def empty_words(fill: Filling | None, template: str, kind: str) -> Mapping[str, str]:
    """Return the words for an empty path, task, rubric and kind.

    ``fill`` is what the grader itself fills in, None until it is read; ``template`` is the prompt's, ``kind`` what is
    typed as the kind.
    """
    default = clean_line(fill.defaults.get("kind", ""), max_chars=_MOST) if fill is not None else ""
    return {
        "path": "a file or folder; empty: the code",
        "task": _filled("task", fill, template, kind),
        "rubric": _filled("rubric", fill, template, kind),
        "kind": f"empty: by file name, else {default or 'unknown'}",
    }


def _filled(name: str, fill: Filling | None, template: str, kind: str) -> str:
    if f"{{{name}}}" not in template:
        return f"not asked: your prompt has no {name}"
    if fill is None:
        return "empty: the commonest of your rows"
    text, origin = fill.of(name, kind)
    by_kind = fill.usual.by_kind.get(name, {})
    if origin == f"grade.{name}":
        return f"empty: {origin}: {clean_line(text, max_chars=_MOST)}"
    if by_kind and not kind and (not text or len(set(by_kind.values())) > 1):
        return "empty: the commonest of its kind"
    if text:
        return f"empty: the commonest: {clean_line(text, max_chars=_MOST)}"
    return "empty: none, so a person is asked"
