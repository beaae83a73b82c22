"""Make the messages that a model is tried with: as training would ask them, from fields, a hold-out row or a text.

Must not read the sealed test set.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from opeddev_tui.config.settings import Settings
from opeddev_tui.data import grade_scale
from opeddev_tui.data.batches import load_holdout
from opeddev_tui.data.byte_order import marked_text
from opeddev_tui.data.grading_rows import from_grading
from opeddev_tui.data.raw_rows import RawRow
from opeddev_tui.data.rows import Example, Message, RowContext
from opeddev_tui.errors import DataProblem, did_you_mean
from opeddev_tui.files import open_file, reason_of
from opeddev_tui.text import clean_line

Messages = tuple[Message, ...]


def as_it_stands(text: str, settings: Settings) -> Messages:
    """Return ``text`` as the user's message, after the system prompt of the settings."""
    system = settings.grading.system_prompt
    return (*([Message("system", system)] if system else []), Message("user", text))


def in_template(fields: Mapping[str, str], settings: Settings) -> Messages:
    """Return the prompt of a row with these fields (task, rubric, submission, kind), as training asks it.

    Raises ``DataProblem`` or ``SettingsProblem`` where the template asks for a field that is empty.
    """
    grading = settings.grading
    # a row has a grade; the prompt never shows it
    grade = grade_scale.written(grading.minimum, grading)
    row = RawRow({name: text for name, text in fields.items() if text.strip()} | {"grade": grade}, "this prompt")
    if "submission" not in row.fields:
        raise DataProblem("there is no submission.", cure="Write or paste the code that is to be graded.")
    return from_grading(row, RowContext(grading)).prompt


def holdout_row(root: Path, settings: Settings, name: str) -> Example:
    """Return the hold-out row with the id ``name``, or the third one for #3; raises ``DataProblem``. Reads files."""
    examples = load_holdout(root, settings).examples
    wanted = name.strip()
    number = wanted.removeprefix("#")
    if number.isdecimal() and (wanted.startswith("#") or all(example.id != wanted for example in examples)):
        if 1 <= int(number) <= len(examples):
            return examples[int(number) - 1]
        raise DataProblem(f"the hold-out has no row {number}.", cure=f"It has rows #1 to #{len(examples)}.")
    found = next((example for example in examples if example.id and example.id == wanted), None)
    if found is not None:
        return found
    names = [clean_line(example.id) for example in examples if example.id]
    cure = did_you_mean(wanted, names, f"It has rows #1 to #{len(examples)}.")
    raise DataProblem(f"the hold-out has no row {clean_line(wanted) or 'without a name'}.", cure=cure)


def text_of_file(place: Path, most_bytes: int) -> str:
    """Return the text of a file of at most ``most_bytes``; raises ``DataProblem``."""
    try:
        with os.fdopen(open_file(place.expanduser()), "rb") as file:
            content = file.read(most_bytes + 1)
    except OSError as error:
        raise DataProblem(f"cannot be read: {reason_of(error)}.", where=str(place)) from None
    if len(content) > most_bytes:
        raise DataProblem(f"is longer than {most_bytes:,} bytes.", where=str(place), cure="See data.max_line_bytes.")
    try:
        text = marked_text(content)
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise DataProblem("is no text.", where=str(place), cure="Give a source file in UTF-8.")
    if not text.strip():
        raise DataProblem("is empty.", where=str(place), cure="Give a file with code.")
    return text
