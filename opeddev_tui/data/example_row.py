"""A row to copy: an object with every field that the settings' templates need, so it can be trained as it stands."""

import json
from typing import Any

from opeddev_tui.config.settings import Grading
from opeddev_tui.data import grade_scale
from opeddev_tui.data.grading_rows import fields_of
from opeddev_tui.errors import SettingsProblem

_SAMPLES = {"task": "Centre a card", "rubric": "layout, names", "submission": "<div>…</div>", "kind": "html"}
_WITHOUT_TEMPLATES = ("task", "rubric", "submission", "feedback")


def example_row(grading: Grading) -> str:
    """Return one line of JSON: a row that ``grading`` accepts, with the fields in the order of its templates."""
    try:
        names = (*fields_of("prompt_template", grading), *fields_of("completion_template", grading))
    except SettingsProblem:
        # what is wrong with the template is said where rows are read
        names = _WITHOUT_TEMPLATES
    middle = grade_scale.written((grading.minimum + grading.maximum) // 2, grading)
    grade: Any = middle if grading.grades else int(middle)
    row = dict.fromkeys((*(name for name in names if name not in ("grade", "feedback")), "submission"), "…")
    row |= {name: text for name, text in _SAMPLES.items() if name in row}
    # what a person adds comes last
    row |= {"grade": grade} | {name: "…" for name in names if name == "feedback"}
    return json.dumps(row, ensure_ascii=False)
