"""The defects that demo rows contain, and the grade and feedback that follow from them.

They are listed in ``snippets/defects.toml``: by kind of code (html, css, js) and rubric area.
"""

import tomllib
from collections.abc import Sequence
from importlib import resources

_LISTED = tomllib.loads((resources.files("opeddev_tui.demo") / "snippets" / "defects.toml").read_text(encoding="utf-8"))

RUBRICS: dict[str, str] = {kind: listed["rubric"] for kind, listed in _LISTED.items()}
# kind -> rubric area, in the order of the feedback -> code of the defect -> how the feedback names it
AREAS: dict[str, dict[str, dict[str, str]]] = {kind: listed["areas"] for kind, listed in _LISTED.items()}

NO_DEFECT = "No defect found."


def grade_of(kind: str, codes: Sequence[str]) -> int:
    """Return 5 minus one for each rubric area with a defect."""
    return 5 - sum(any(code in defects for code in codes) for defects in AREAS[kind].values())


def feedback_of(kind: str, codes: Sequence[str]) -> str:
    """Return each defect in a short sentence after the name of its rubric area."""
    parts: list[str] = []
    for area, defects in AREAS[kind].items():
        sentences = [sentence for code, sentence in defects.items() if code in codes]
        if sentences:
            parts.append(f"{area.capitalize()}: {'; '.join(sentences)}.")
    return " ".join(parts) or NO_DEFECT
