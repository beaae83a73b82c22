"""Turn the rows of a file into examples: map columns, recognize the form, report every wrong row."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from opeddev_tui.config import settings
from opeddev_tui.data import columns, grade_scale, row_forms
from opeddev_tui.data.optional_fields import with_optional_fields
from opeddev_tui.data.raw_rows import RawRow
from opeddev_tui.data.refusals import refuse_known
from opeddev_tui.data.row_forms import GRADING, NEEDED, detect_schema
from opeddev_tui.data.rows import Example, RowContext, capped, column_names
from opeddev_tui.errors import DataProblem
from opeddev_tui.text import clean_line

_CURE = (
    "Rows have messages or conversations; prompt and completion, or another pair such as question and answer; "
    "instruction, input and output; task, submission, rubric, grade and feedback; or text."
)
_GRADE_LIKE = frozenset({"grade", "score", "rating", "mark", "marks", "points", "stars", "label"})
# columns of a grading row that may be named in another case; {setting: field}
_TEMPLATE_FIELDS = {"task": "prompt", "rubric": "prompt", "feedback": "completion"}
# with a larger share of grades off the scale, another scale is proposed
_MANY_OFF = 0.2


class ReadExamples(Struct):
    """The form of the rows, the examples of good rows, the problems of others, and notes on what was left out."""

    schema: str
    examples: list[Example]
    problems: list[DataProblem]
    notes: list[str]


def read_examples(rows: Sequence[RawRow], settings: settings.Settings) -> ReadExamples:
    """Return the examples of ``rows``, with the first 50 problems and a count of the rest; nothing is raised."""
    if not rows:
        return ReadExamples("", [], [DataProblem("there are no rows.", cure="Put rows into the file.")], [])
    mapping = settings.data.columns
    context = RowContext(settings.grading)
    notes = [f"{rows[0].where}: {words}" for words in columns.unknown_columns(rows, mapping)]
    rows = columns.renamed(rows, mapping)
    try:
        schema, rows = _recognized(rows, mapping, context)
    except DataProblem as problem:
        return ReadExamples("", [], [problem], notes)
    examples: list[Example] = []
    problems: list[DataProblem] = []
    for row in rows:
        try:
            example = to_example(row, schema, context)
        except DataProblem as problem:
            problems.append(problem)
        else:
            examples += [] if example is None else [example]
    if not examples and not problems:
        message = f"all {len(rows)} rows have weight 0: there is nothing to train on."
        problems.append(rows[0].bad(message, "Give a row or its answer a weight above 0, or take the set away."))
    if schema == GRADING and problems:
        notes += _other_scale(rows, settings.grading)
    return ReadExamples(schema, examples, capped(problems), [*notes, *context.notes])


def _other_scale(rows: Sequence[RawRow], grading: settings.Grading) -> list[str]:
    """Propose another scale if too many grades are off this one to be typing errors."""
    values = [value for row in rows if (value := row.fields.get("grade")) is not None]
    off = sum(grade_scale.grade_of(value, grading) is None for value in values)
    if off <= _MANY_OFF * len(values) or not (proposal := grade_scale.proposal(values, grading)):
        return []
    return [f"{rows[0].where}: {off} of {len(values)} grades are off the scale. For these grades set {proposal}."]


def to_example(row: RawRow, schema: str, context: RowContext) -> Example | None:
    """Return the example of ``row``, None for weight 0; raises ``DataProblem``."""
    refuse_known(row, context, is_read=schema in row_forms.FIRST_FORMS)
    lacking = [name for name in NEEDED[schema] if row.fields.get(name) is None]
    if schema == GRADING and row_forms.has_grades(row.fields):
        lacking = [name for name in lacking if name != "grade"]
    if lacking:
        other = detect_schema(row.fields)
        hint = f" (it looks like {other}, not {schema})" if other not in ("", schema) else ""
        cure = f"A {schema} row has {' and '.join(NEEDED[schema])}; this one has {column_names(row.fields)}."
        raise row.bad(f"the row lacks {' and '.join(lacking)}{hint}.", cure)
    example = row_forms.build(row, schema, context)
    if example is not None:
        example = with_optional_fields(example, row, context)
    if example is None or example.weight == 0:
        context.note(row, "the row has weight 0 and is not trained on.")
        return None
    return example


def _recognized(
    rows: Sequence[RawRow], mapping: Mapping[str, str], context: RowContext
) -> tuple[str, Sequence[RawRow]]:
    """Return the form of the rows, and the rows with their columns named as it needs; raises ``DataProblem``."""
    first = rows[0]
    schema = detect_schema(first.fields, mapping)
    known = {name for needed in NEEDED.values() for name in needed} | {*_TEMPLATE_FIELDS, "kind", "id"}
    # a form is not read into a row that has one; a grading row may lack what the templates need, or its grade
    wanted = sorted(known) if not schema else [*NEEDED[GRADING], *_TEMPLATE_FIELDS] if schema == GRADING else []
    if implied := columns.implied(first.fields, wanted):
        rows = columns.renamed(rows, implied)
        schema = detect_schema(rows[0].fields, mapping)
        if schema:
            words = ", ".join(f"{column} as {field}" for field, column in implied.items())
            context.note(first, f"columns are read by their names: {words}.")
    if not schema:
        refuse_known(first, context, is_read=False)
        cure = _proposal(first) or _CURE
        raise first.bad(f"the row has no known fields, but {column_names(first.fields)}.", cure)
    if schema == GRADING and len(rows) > 1 and not any(_has_grade(row) for row in rows):
        cure = _proposal(first) or "Write a column grade; a grading row has submission and grade."
        raise first.bad(f"no row has a grade: the columns are {column_names(first.fields)}.", cure)
    _mind_grades(rows[0], schema, mapping, context)
    _note_unused(rows[0], schema, {*mapping, *mapping.values(), *implied.values()}, context)
    return schema, rows


def _has_grade(row: RawRow) -> bool:
    return "grade" in row.fields or row_forms.has_grades(row.fields)


def _note_unused(row: RawRow, schema: str, read: set[str], context: RowContext) -> None:
    """Note the columns that are not used; templates may use any column of a grading row."""
    if schema == GRADING:
        return
    read |= row_forms.used_columns(schema)
    unused = [name for name, value in row.fields.items() if name not in read and value not in (None, "", [], {})]
    unused = [name for name in unused if columns.plain(name) not in _GRADE_LIKE]
    if unused:
        context.note(row, f"columns that are not used: {clean_line(', '.join(unused), max_chars=120)}.")


def _proposal(row: RawRow) -> str:
    mapping = columns.proposed(row.fields)
    if not mapping:
        return ""
    return f"Write into config.toml, under [data]: {columns.as_setting(mapping)}.{_templates(row, mapping)}"


def _templates(row: RawRow, mapping: dict[str, str]) -> str:
    """Return the fields to take out of the templates, if a proposal for grading rows lacks them."""
    if "submission" not in mapping and "submission" not in row.fields:
        return ""
    lacking = [name for name in _TEMPLATE_FIELDS if name not in mapping and name not in row.fields]
    parts = ", ".join(f"{{{name}}} out of grading.{_TEMPLATE_FIELDS[name]}_template" for name in lacking)
    return f" Take {parts}." if parts else ""


def _mind_grades(row: RawRow, schema: str, mapping: Mapping[str, str], context: RowContext) -> None:
    """Note a column of grades that is not used; raises ``DataProblem`` if the answers may be what is graded."""
    named = [name for name, value in row.fields.items() if columns.plain(name) in _GRADE_LIKE and value is not None]
    if schema == GRADING or not named or set(mapping) & set(NEEDED[schema]):
        return
    proposal = _proposal(row)
    if schema in row_forms.FIRST_FORMS or not proposal:
        hint = f" {proposal}" if proposal else ""
        context.note(row, f"the column {named[0]} is not used: the rows are read as {schema}.{hint}")
        return
    question, answer = (*NEEDED[schema], "", "")[:2]
    as_pair = columns.as_setting({"prompt": question, "completion": answer})
    form = schema.replace("/", " and ")
    message = f"the row has {form} and also {named[0]}: it may be graded, or an example to follow."
    cure = f"Graded: {proposal} An example to follow: {as_pair}."
    raise row.bad(message, cure)
