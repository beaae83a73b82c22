"""Rows to examples: the schemas, the grades, the templates, and every row that is refused."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from opeddev_tui.config.settings import Grading, Settings
from opeddev_tui.data import row_schemas
from opeddev_tui.data.raw_rows import RawRow
from opeddev_tui.data.row_forms import detect_schema
from opeddev_tui.data.rows import Example, Message, RowContext, fingerprint, parse_grade
from opeddev_tui.errors import DataProblem, SettingsProblem

GRADING = Grading()
GRADED: dict[str, Any] = {
    "id": "r1",
    "kind": "css",
    "task": "Style a button",
    "submission": "button { color: red }",
    "rubric": "Contrast",
    "grade": 4,
    "feedback": "Fine.",
    "meta": {"package": "x"},
}
USER, ASSISTANT = {"role": "user", "content": "ask"}, {"role": "assistant", "content": "Grade: 2"}
SYSTEM = {"role": "system", "content": "be brief"}


def row(fields: dict[str, Any], where: str = "a.jsonl:7") -> RawRow:
    return RawRow(fields, where)


def to_example(raw: RawRow, schema: str, grading: Grading) -> Example:
    example = row_schemas.to_example(raw, schema, RowContext(grading))
    assert example is not None
    return example


def read_examples(rows: list[RawRow], grading: Grading) -> tuple[str, list[Example], list[DataProblem]]:
    found = row_schemas.read_examples(rows, Settings(grading=grading))
    return found.schema, found.examples, found.problems


def graded(**changes: Any) -> dict[str, Any]:
    return {name: value for name, value in {**GRADED, **changes}.items() if value != "(none)"}


def templates(**changes: str) -> Grading:
    return msgspec.structs.replace(GRADING, **changes)


@pytest.mark.parametrize(
    ("fields", "schema"),
    [
        ({"messages": [USER, ASSISTANT]}, "messages"),
        ({"messages": [], "text": "x"}, "messages"),
        ({"messages": None, "text": "x"}, "text"),
        ({"prompt": "a", "completion": "b"}, "prompt/completion"),
        ({"instruction": "a", "input": None, "output": "b"}, "instruction/output"),
        (GRADED, "grading"),
        (graded(grade="(none)"), "grading"),
        ({"text": "a", "label": 3}, "text"),
        ({"prompt": "a"}, ""),
        ({"submission": "a"}, ""),
        ({}, ""),
    ],
)
def test_the_schema_is_recognized(fields: dict[str, Any], schema: str) -> None:
    assert detect_schema(fields) == schema


@pytest.mark.parametrize(
    ("fields", "prompt", "completion", "submission", "grade"),
    [
        ({"messages": [SYSTEM, USER, ASSISTANT]}, [SYSTEM, USER], "Grade: 2", "ask", 2),
        ({"messages": [USER, ASSISTANT, USER, ASSISTANT]}, [USER, ASSISTANT, USER], "Grade: 2", "ask", 2),
        ({"prompt": "ask", "completion": "Grade: 9"}, [USER], "Grade: 9", "ask", None),
        ({"prompt": [SYSTEM, USER], "completion": [ASSISTANT]}, [SYSTEM, USER], "Grade: 2", "ask", 2),
        ({"prompt": [USER], "completion": "yes"}, [USER], "yes", "ask", None),
        ({"instruction": "ask", "input": "", "output": "yes"}, [USER], "yes", "ask", None),
        (
            {"instruction": "ask", "input": "this", "output": "yes"},
            [{"role": "user", "content": "ask\n\nthis"}],
            "yes",
            "ask\n\nthis",
            None,
        ),
        ({"text": "all of it"}, [], "all of it", "all of it", None),
    ],
)
def test_rows_without_grades_of_their_own(
    fields: dict[str, Any], prompt: list[dict[str, str]], completion: str, submission: str, grade: int | None
) -> None:
    example = to_example(row(fields), detect_schema(fields), GRADING)
    assert example.prompt == tuple(Message(**turn) for turn in prompt)
    assert (example.completion, example.submission, example.grade) == (completion, submission, grade)
    assert (example.kind, example.id, example.where) == ("", "", "a.jsonl:7")


def test_a_grading_row() -> None:
    example = to_example(row(GRADED), "grading", GRADING)
    assert [message.role for message in example.prompt] == ["system", "user"]
    asked = "Task: Style a button\n\nRubric: Contrast\n\nSubmission:\nbutton { color: red }"
    assert example.prompt[1].content == asked
    assert example.completion == "Grade: 4\nFeedback: Fine."
    assert (example.grade, example.kind, example.id) == (4, "css", "r1")
    assert example.submission == GRADED["submission"]
    alone = to_example(row(GRADED), "grading", templates(system_prompt=""))
    assert [message.role for message in alone.prompt] == ["user"]


@pytest.mark.parametrize("grade", [4, 4.0, "4", " 4 ", "4.0", "+4"])
def test_grades_that_mean_a_whole_number(grade: object) -> None:
    example = to_example(row(graded(grade=grade)), "grading", GRADING)
    assert (example.grade, example.completion[:8]) == (4, "Grade: 4")


@pytest.mark.parametrize(
    ("grade", "message"),
    [
        (float("nan"), "is nan, not a whole number"),
        (float("inf"), "is inf, not a whole number"),
        (3.5, "is 3.5, not a whole number"),
        ("3.5", "is '3.5'"),
        ("abc", "is 'abc'"),
        ("", "is ''"),
        ("NaN", "is 'NaN'"),
        ("٣", "is '٣'"),
        (True, "is True"),
        ([4], "is a list"),
        (0, "is 0"),
        (6, "is 6"),
        ("-1", "is -1"),
        (10**400, "is 1000"),
        (1e300, "is 1000"),
        (None, "lacks grade"),
        ("(none)", "lacks grade"),
    ],
)
def test_grades_that_are_refused(grade: object, message: str) -> None:
    with pytest.raises(DataProblem) as caught:
        to_example(row(graded(grade=grade)), "grading", GRADING)
    assert message in caught.value.message
    assert len(caught.value.message) < 120
    assert caught.value.where == "a.jsonl:7"
    assert "whole number from 1 to 5" in caught.value.cure or "grade" in caught.value.cure


BAD_ROWS: list[tuple[str, dict[str, Any], str, str]] = [
    ("messages", {"messages": "hello"}, "messages is 'hello', not a list", "role (system"),
    ("messages", {"messages": []}, "does not end with the assistant", "End with"),
    ("messages", {"messages": [USER]}, "does not end with the assistant", "End with"),
    ("messages", {"messages": [ASSISTANT]}, "the prompt is empty", "user message"),
    ("messages", {"messages": [SYSTEM, ASSISTANT]}, "the prompt is empty", "user message"),
    ("messages", {"messages": [{**USER, "content": " "}, ASSISTANT]}, "the prompt is empty", "user message"),
    ("messages", {"messages": [USER, {**ASSISTANT, "content": "\n"}]}, "completion is empty", "Write the last"),
    ("messages", {"messages": [USER, 3]}, "message 2 of messages is 3", "role (system"),
    ("messages", {"messages": [{"who": "human"}]}, "message 1 of messages has the role missing", "role ("),
    ("messages", {"messages": [{"from": "human"}]}, "content of message 1 of messages is missing", "role ("),
    ("messages", {"messages": [{"role": "tool", "content": ""}]}, "has the role 'tool'", "tool calls"),
    ("messages", {"messages": [{"role": ["user"], "content": ""}]}, "has the role a list", "assistant"),
    ("messages", {"messages": [{"role": "user", "content": ["x"]}]}, "is a list, not a text", "content (a text)"),
    ("messages", {"text": "x"}, "lacks messages (it looks like text", "A messages row has messages"),
    ("prompt/completion", {"prompt": " ", "completion": "b"}, "prompt is empty", "Write prompt"),
    ("prompt/completion", {"prompt": "a", "completion": ""}, "completion is empty", "Write completion"),
    ("prompt/completion", {"prompt": "a", "completion": 3}, "completion is 3, not a text", "Make completion"),
    ("prompt/completion", {"prompt": "a"}, "lacks completion", "this one has prompt"),
    ("prompt/completion", {"prompt": "a", "completion": [USER, ASSISTANT]}, "several messages", "into prompt"),
    ("prompt/completion", {"prompt": [], "completion": "b"}, "the prompt is empty", "user message"),
    ("instruction/output", {"instruction": "a", "output": ""}, "output is empty", "Write output"),
    ("instruction/output", {"instruction": "a", "input": 3, "output": "b"}, "input is 3", "Make input a text"),
    ("text", {"text": "  "}, "text is empty", "Write text"),
    ("text", {"text": 7}, "text is 7, not a text", "Make text a text"),
    ("text", {"text": None}, "lacks text", "A text row has text"),
    ("grading", graded(submission=" "), "submission is empty", "Write submission"),
    ("grading", graded(submission=["x"]), "submission is a list", "Make submission a text"),
    ("grading", graded(submission="(none)"), "lacks submission", "this one has id, kind"),
    ("grading", graded(feedback=None), "lacks feedback", "grading.completion_template"),
    ("grading", graded(rubric="(none)"), "lacks rubric", "grading.prompt_template"),
]


@pytest.mark.parametrize(("schema", "fields", "message", "cure"), BAD_ROWS)
def test_a_bad_row_is_told_with_place_and_cure(schema: str, fields: dict[str, Any], message: str, cure: str) -> None:
    before = repr(fields)
    with pytest.raises(DataProblem) as caught:
        to_example(row(fields), schema, GRADING)
    assert message in caught.value.message
    assert cure in caught.value.cure
    assert caught.value.where == "a.jsonl:7"
    assert repr(fields) == before


@pytest.mark.parametrize("submission", ["{grade}", "{0}", "{submission.__class__}", "{{x}}", "}{", "%s $x {}"])
def test_braces_in_a_submission_are_never_expanded(submission: str) -> None:
    example = to_example(row(graded(submission=submission)), "grading", GRADING)
    assert example.prompt[-1].content.endswith(f"Submission:\n{submission}")


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{submission.__class__}", "{submission.__class__} is not a plain field"),
        ("{submission[0]}", "{submission[0]} is not a plain field"),
        ("{submission!r}", "{submission} is not a plain field"),
        ("{submission:>{task}}", "{submission} is not a plain field"),
        ("{}", "{} is not a plain field"),
        ("{0}", "{0} is not a plain field"),
        ("{submission", "is not a template"),
        ("} {submission}", "is not a template"),
        ("{submision}", "{submision} is not a plain field"),
        ("{meta}", "{meta} is not a plain field"),
        ("{submission} {grade}", "tell the model the answer"),
        ("{feedback}", "tell the model the answer"),
    ],
)
def test_a_bad_template_is_a_settings_problem(template: str, message: str) -> None:
    with pytest.raises(SettingsProblem) as caught:
        read_examples([row(GRADED)], templates(prompt_template=template))
    assert message in caught.value.message
    assert caught.value.where == "grading.prompt_template"
    assert caught.value.cure


def test_templates_use_the_rows_own_fields_and_doubled_braces() -> None:
    grading = templates(prompt_template="{{{kind}}} {level}: {submission}", completion_template="{grade}")
    example = to_example(row(graded(level=3, grade="4")), "grading", grading)
    assert example.prompt[-1].content == "{css} 3: button { color: red }"
    assert example.completion == "4"


def test_all_problems_are_collected_with_their_places() -> None:
    rows = [row(graded(grade=1 + number % 7), f"a.jsonl:{number + 1}") for number in range(14)]
    schema, examples, problems = read_examples(rows, GRADING)
    assert (schema, len(examples)) == ("grading", 10)
    assert [problem.where for problem in problems] == ["a.jsonl:6", "a.jsonl:7", "a.jsonl:13", "a.jsonl:14"]


def test_problems_beyond_fifty_are_counted() -> None:
    rows = [row({"text": "x"}), *(row({"text": ""}, f"a.jsonl:{number}") for number in range(2, 74))]
    _, examples, problems = read_examples(rows, GRADING)
    assert (len(examples), len(problems)) == (1, 51)
    assert problems[-1].message == "and 22 more problems like these."


def test_rows_of_no_known_schema_are_told_once() -> None:
    schema, examples, (problem,) = read_examples([row({"alpha": "a", "beta": "b"})] * 3, GRADING)
    assert (schema, examples, problem.where) == ("", [], "a.jsonl:7")
    assert "alpha, beta" in problem.message
    assert "prompt and completion" in problem.cure
    assert read_examples([], GRADING)[2][0].message == "there are no rows."


def test_control_characters_of_a_row_do_not_reach_a_message() -> None:
    _, _, (problem,) = read_examples([row({"\x1b[c\u202e": "a"})], GRADING)
    assert "\x1b" not in str(problem)
    assert "\u202e" not in str(problem)


@pytest.mark.parametrize(
    ("text", "grade"),
    [
        ("Grade: 4\nFeedback: x", 4),
        ("I say Grade:5.", 5),
        ("Grade: 0", None),
        ("Grade: 45", None),
        ("Grade: " + "9" * 5000, None),
        ("four", None),
        ("", None),
    ],
)
def test_grades_are_parsed_from_texts(text: str, grade: int | None) -> None:
    assert parse_grade(text, GRADING) == grade


@pytest.mark.parametrize("pattern", ["Grade: (x)?", "Grade: (.*)"])
def test_a_pattern_that_finds_no_number_states_no_grade(pattern: str) -> None:
    assert parse_grade("Grade: good", templates(pattern=pattern)) is None


def test_the_fingerprint_follows_content_and_order_only() -> None:
    _, examples, _ = read_examples([row(GRADED), row(graded(grade=2))], GRADING)
    same = [msgspec.structs.replace(example, where="b", id="other") for example in examples]
    assert fingerprint(examples) == fingerprint(same)
    assert fingerprint(examples) != fingerprint(examples[::-1])
    assert fingerprint(examples) != fingerprint(examples[:1])
    moved = msgspec.structs.replace(examples[0], completion="", prompt=(*examples[0].prompt, Message("x", "y")))
    assert fingerprint([examples[0]]) != fingerprint([moved])
    assert len({fingerprint([]), fingerprint(examples)}) == 2
    weighed = msgspec.structs.replace(examples[0], weight=0.5)
    assert fingerprint([weighed]) != fingerprint(examples[:1])
    assert len(fingerprint([])) == 64


def test_any_text_survives_the_way_from_a_file(tmp_path: Path) -> None:
    """Whatever a submission holds, the model is shown exactly that."""
    from data_rows import read_rows

    from opeddev_tui.config.settings import Data

    pieces = ["\u2028", "\x1b[c", "<|im_start|>", "\\n", '"', "{", "}", "é", "𝄞", "\t", "\r", "\x00", "[" * 60]
    submissions = [a + b + c for a in pieces for b in pieces for c in pieces[:4]]
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(json.dumps(graded(submission=text)) for text in submissions), encoding="utf-8")
    _, examples, problems = read_examples(read_rows(path, Data()), GRADING)
    kept = [text for text in submissions if text.strip()]
    assert [example.submission for example in examples] == kept
    assert len(problems) == min(len(submissions) - len(kept), 51)
