"""Notes on data that can be trained on: grades that cannot be read, scales that disagree, files that are not used."""

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from opeddev_tui.config import settings
from opeddev_tui.data import folder_files, formats, grade_scale, rows, split_names
from opeddev_tui.data.rows import Example
from opeddev_tui.errors import DataProblem, Problem, SettingsProblem
from opeddev_tui.text import clean_line

_PLACES = 5
# a grade as a person would write it, whatever grading.pattern says
_LOOKS_GRADED = re.compile(
    r"(?i)\b(?:grade|score|rating|mark|points|verdict)\b\W{0,6}(?:[0-9]|[a-f]\b)|[:：]\s*[0-9]{1,3}\b|\A\s*[0-9]{1,3}\s*\Z"
)

# part of the submissions from which a way of writing is that of the set, not of a text about it
_MANY = 0.5
# letters with accents and quotes of UTF-8, read as Windows-1252
_GARBLED = re.compile("Ã[¤¶¼Ÿ©¨±³¡ª«§]|â€[œ™“”˜¦]|Â[ §°·»«]")
_CHANGED: tuple[tuple[Callable[[str], bool], str], ...] = (
    (
        lambda text: "\\n" in text and "\n" not in text.strip() and text.count("\\n") > 1,
        'have "\\n" as two characters and no line breaks: they may have been escaped twice',
    ),
    (
        lambda text: re.search(r"&lt;/?[a-zA-Z]", text) is not None and "<" not in text,
        "have &lt; and &gt; for all brackets: they may have been escaped for a web page",
    ),
)


def unread_grades(examples: Iterable[Example], grading: settings.Grading) -> list[Problem]:
    """Return a problem if grades in completions are read back as other grades, or not at all."""
    graded = [(row, rows.parse_grade(row.completion, grading)) for row in examples if row.grade is not None]
    wrong = [(row, read) for row, read in graded if read != row.grade]
    if not wrong:
        return []
    shown = ", ".join(
        f"{row.where} (grade {grade_scale.written(row.grade or 0, grading)}, read {_read(read, grading)})"
        for row, read in wrong[:_PLACES]
    )
    more = f" and {len(wrong) - _PLACES} more" if len(wrong) > _PLACES else ""
    message = (
        f"grading.pattern does not read the grade that grading.completion_template writes, in {len(wrong)} of "
        f"{len(graded)} rows: {shown}{more}."
    )
    cure = "Change one of the two so that they agree; the first match in the completion counts."
    return [SettingsProblem(message, where=wrong[0][0].where, cure=cure)]


def _read(grade: int | None, grading: settings.Grading) -> str:
    return "nothing" if grade is None else grade_scale.written(grade, grading)


def notes_of(name: str, examples: Sequence[Example], grading: settings.Grading) -> list[str]:
    """Return what a person should know of the rows of the set ``name``."""
    return [*_grade_notes(name, examples, grading), *_text_notes(name, examples)]


def _grade_notes(name: str, examples: Sequence[Example], grading: settings.Grading) -> list[str]:
    """Return notes on completions whose grade is off the scale or cannot be read; ``name`` is that of the set."""
    without = [row for row in examples if row.grade is None]
    if not without:
        return []
    stated = [(row, text) for row in without if (text := rows.stated_grade(row.completion, grading)) is not None]
    notes = []
    if stated:
        shown = ", ".join(f"{row.where} ({clean_line(text, max_chars=20)})" for row, text in stated[:_PLACES])
        notes.append(
            f"{name}: {len(stated)} rows state a grade that is not {grade_scale.range_words(grading)}, and count as "
            f"rows without a grade: {shown}{', …' if len(stated) > _PLACES else ''}."
        )
    if len(without) < len(examples):
        notes.append(
            f"{name}: {len(without)} of {len(examples)} rows have no grade that grading.pattern reads, the first is "
            f"{without[0].where}. Grades are scored only where every hold-out row has one."
        )
    elif sum(bool(_LOOKS_GRADED.search(row.completion[:400])) for row in without) > len(without) // 2:
        shown = clean_line(without[0].completion, max_chars=40)
        notes.append(
            f"{name}: no completion has a grade that grading.pattern reads, the first begins {shown!r}. If the rows "
            "are graded, set grading.pattern."
        )
    return notes


def _text_notes(name: str, examples: Sequence[Example]) -> list[str]:
    """Return notes on submissions that were changed on their way: escaped, or read with a wrong encoding."""
    texts = [(row, row.submission) for row in examples]
    notes = []
    for is_changed, words in _CHANGED:
        changed = [(row, text) for row, text in texts if is_changed(text)]
        if len(changed) > len(texts) * _MANY:
            notes.append(f"{name}: {len(changed)} of {len(texts)} submissions {words} ({changed[0][0].where}).")
    garbled = [row for row in examples if _GARBLED.search(row.submission) or _GARBLED.search(row.completion)]
    if garbled:
        found = _GARBLED.search(f"{garbled[0].submission}\n{garbled[0].completion}")
        shown = found.group() if found else ""
        notes.append(
            f"{name}: {len(garbled)} rows have characters such as {shown!r}, as of UTF-8 read as Windows-1252, "
            f"the first is {garbled[0].where}. Export the texts again as UTF-8."
        )
    return notes


def scale_note(examples: Iterable[Example], grading: settings.Grading) -> list[str]:
    """Return a note if the system message names another scale than the settings."""
    usual = settings.Grading()
    is_usual_scale = (grading.minimum, grading.maximum) == (usual.minimum, usual.maximum) and not grading.grades
    if is_usual_scale or grading.system_prompt != usual.system_prompt:
        return []
    if not any(message.content == usual.system_prompt for row in examples for message in row.prompt[:1]):
        return []
    words = grade_scale.range_words(grading)
    return [f"grading.system_prompt still says from 1 to 5, a grade is {words}: say so there."]


def not_used(path: Path, used: Sequence[str]) -> list[str]:
    """Return a sentence for everything at ``path`` beside the ``used`` splits."""
    try:
        notes = folder_files.passed_over(path) if path.is_dir() and formats.detect_kind(path)[:5] != "saved" else []
        splits = formats.split_files(path)
    except DataProblem:
        return []  # reported as a problem of the set
    others = {split: names for split, names in splits.items() if split not in used} if len(splits) > 1 else {}
    for split, names in others.items():
        shown = clean_line(", ".join(names[:_PLACES]), max_chars=200) + (", …" if len(names) > _PLACES else "")
        verb = "trained on" if split_names.TRAIN in used else "used"
        notes.append(f"{path}: its {split} split is not {verb} ({shown}).")
    return notes
