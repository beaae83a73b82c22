"""Rows in every form that people bring: read right, refused by name, or noted where something is left out."""

# ruff: noqa: E501 - a case is one line of the table

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from real_files import HELD, HELD_CHAT, WORDS, asked, chat, check, graded, graded_rows, jsonl

from opeddev_tui.config.settings import Data, Grading
from opeddev_tui.data.rows import Example

Rows = list[dict[str, Any]]
QUESTION, ANSWER = asked(1)
TALK = [("user", QUESTION), ("assistant", ANSWER)]
SYSTEM = ("system", "You grade.")
CALL = {"id": "1", "type": "function", "function": {"name": "lint", "arguments": "{}"}}


@dataclass(frozen=True)
class Form:
    """One row in a form, and the turns that it must become."""

    name: str
    row: dict[str, Any]
    turns: list[tuple[str, str]] = field(default_factory=lambda: TALK)
    notes: tuple[str, ...] = ()


def _sharegpt(*turns: tuple[str, str]) -> list[dict[str, str]]:
    return [{"from": sender, "value": text} for sender, text in turns]


FORMS = [
    Form("ShareGPT", {"conversations": _sharegpt(("human", QUESTION), ("gpt", ANSWER))}),
    Form("ShareGPT with a system column", {"system": "You grade.", "conversations": _sharegpt(("human", QUESTION), ("gpt", ANSWER))}, [SYSTEM, *TALK]),
    Form("ShareGPT with a system turn", {"conversations": _sharegpt(SYSTEM, ("human", QUESTION), ("gpt", ANSWER))}, [SYSTEM, *TALK]),
    Form("conversations of role and content", {"conversations": chat(1)}),
    Form("messages of from and value", {"messages": _sharegpt(("human", QUESTION), ("gpt", ANSWER))}),
    Form("a conversation in the singular", {"conversation": chat(1)}),
    Form("roles in capitals", {"messages": [{"role": "User", "content": QUESTION}, {"role": "ASSISTANT", "content": ANSWER}]}),
    Form("content as a list of one text", {"messages": [{"role": role, "content": [{"type": "text", "text": text}]} for role, text in TALK]}),
    Form("content as several texts", {"messages": [{"role": "user", "content": [{"type": "text", "text": QUESTION[:9]}, {"type": "input_text", "text": QUESTION[9:]}]}, chat(1)[1]]}),
    Form("messages as a text of JSON", {"messages": json.dumps(chat(1))}),
    Form("messages as columns of lists", {"messages": {"role": ["user", "assistant"], "content": [QUESTION, ANSWER]}}),
    Form("the developer's role", {"messages": [{"role": "developer", "content": "You grade."}, *chat(1)]}, [SYSTEM, *TALK]),
    Form("roles in capitals, a chatbot", {"messages": [{"role": "User", "content": QUESTION}, {"role": "Chatbot", "content": ANSWER}]}),
    Form("parts without a type", {"messages": [{"role": role, "content": [{"text": text}]} for role, text in TALK]}),
    Form("prompt and response", {"prompt": QUESTION, "response": ANSWER}),
    Form("prompt as messages and response", {"prompt": chat(1)[:1], "response": ANSWER}),
    Form("question and answer", {"question": QUESTION, "answer": ANSWER}),
    Form("question, context and answer", {"question": QUESTION, "context": "Seen today.", "answer": ANSWER}, [("user", f"{QUESTION}\n\nSeen today."), TALK[1]]),
    Form("query and response", {"query": QUESTION, "response": ANSWER}),
    Form("problem and solution", {"problem": QUESTION, "solution": ANSWER}),
    Form("input and output", {"input": QUESTION, "output": ANSWER}),
    Form("inputs and targets", {"inputs": QUESTION, "targets": ANSWER}),
    Form("input and ideal", {"input": chat(1)[:1], "ideal": ANSWER}),
    Form("user and assistant", {"user": QUESTION, "assistant": ANSWER}),
    Form("Dolly", {"instruction": QUESTION, "context": "", "response": ANSWER, "category": "qa"}, notes=("not used: category",)),
    Form("Dolly with a context", {"instruction": QUESTION, "context": "Seen today.", "response": ANSWER}, [("user", f"{QUESTION}\n\nSeen today."), TALK[1]]),
    Form("Alpaca with a blank input", {"instruction": QUESTION, "input": " \n", "output": ANSWER}),
    Form("Alpaca with system and history", {"system": "You grade.", "history": [["a", "b"]], "instruction": QUESTION, "input": None, "output": ANSWER}, [SYSTEM, ("user", "a"), ("assistant", "b"), *TALK]),
    Form("Alpaca with its history as a text", {"history": '[["a", "b"]]', "instruction": QUESTION, "output": ANSWER}, [("user", "a"), ("assistant", "b"), *TALK]),
    Form("Alpaca's old prompt column", {"instruction": QUESTION, "input": "", "output": ANSWER, "text": "Below is an instruction"}, notes=("not used: text",)),
    Form("names in capitals", {"Prompt": QUESTION, "Completion": ANSWER}, notes=("Prompt as prompt",)),
    Form("names with blanks", {"Question ": QUESTION, "ANSWER": ANSWER}, notes=("read by their names",)),
    Form("OpenOrca", {"id": "flan.1", "system_prompt": "You grade.", "question": QUESTION, "response": ANSWER}, [SYSTEM, *TALK]),
    Form("a system message beside a pair", {"system_message": "You grade.", "prompt": QUESTION, "completion": ANSWER}, [SYSTEM, *TALK]),
    Form("the last answer has weight 0", {"messages": [*chat(1, weight=1), *chat(2, weight=0)]}, notes=("the row ends before it",)),
    Form("an earlier answer has weight 0", {"messages": [*chat(2, weight=0), *chat(1)]}, [("user", asked(2)[0]), ("assistant", asked(2)[1]), *TALK]),
    Form("train as false", {"messages": [*chat(1), *chat(2, train=False)]}, notes=("the row ends before it",)),
    Form("reasoning of an earlier answer", {"messages": [*chat(2, reasoning_content="hm"), *chat(1)]}, [("user", asked(2)[0]), ("assistant", asked(2)[1]), *TALK]),
    Form("messages with more fields", {"messages": chat(1, timestamp="today")}, notes=("messages have timestamp",)),
    Form("a column of grades beside a chat", {"messages": chat(1), "score": 4}, notes=("the column score is not used",)),
]  # fmt: skip


def _only(report: Any) -> Example:
    assert report.problems == []
    (example,) = report.batches[0].examples
    assert isinstance(example, Example)
    return example


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_a_form_is_read(form: Form, tmp_path: Path) -> None:
    form_held = HELD_CHAT
    if "instruction" in form.row:
        form_held = {"held/validation.jsonl": jsonl([{"instruction": "do it", "output": "Grade: 1"}])}
    elif not any(name in form.row for name in ("messages", "conversations", "conversation")):
        form_held = {"held/validation.jsonl": jsonl([{"prompt": "do it", "completion": "Grade: 1"}])}
    report = check(tmp_path, {**form_held, "base/train.jsonl": jsonl([form.row])})
    example = _only(report)
    turns = [*((message.role, message.content) for message in example.prompt), ("assistant", example.completion)]
    assert turns == form.turns
    assert example.grade == 2
    notes = "\n".join(report.warnings)
    assert all(part in notes for part in form.notes)
    assert bool(notes) == bool(form.notes)


REFUSED: list[tuple[str, dict[str, Any], str, str]] = [
    ("preferences", {"prompt": "p", "chosen": "a", "rejected": "b"}, "preference row", "the better answer only"),
    ("preferences of chats", {"chosen": chat(1), "rejected": chat(1, "no")}, "preference row", "the better answer only"),
    ("rated answers", {"prompt": "p", "completion": "c", "label": False}, "label true or false", "with label true"),
    ("tools", {"messages": chat(1), "tools": [CALL]}, "the row has tools", "as plain text"),
    ("tools as a text", {"conversations": chat(1), "tools": json.dumps([CALL])}, "the row has tools", "as plain text"),
    ("tool calls", {"messages": [*chat(1, "", tool_calls=[CALL]), *chat(2)]}, "has tool calls", "as plain text"),
    ("a tool's answer", {"messages": [{"role": "tool", "content": "0"}, *chat(1)]}, "the role 'tool'", "as plain text"),
    ("ShareGPT's function calls", {"conversations": _sharegpt(("human", "a"), ("function_call", "{}"), ("observation", "1"), ("gpt", "b"))}, "'function_call'", "as plain text"),
    ("images in parts", {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}, chat(1)[1]]}, "holds 'image_url'", "Only text"),
    ("an image column", {"messages": chat(1), "images": ["a.png"]}, "the row has images", "Only text"),
    ("bytes of an image", {"prompt": "p", "completion": "c", "image": {"bytes": "x", "path": None}}, "the row has image", "Only text"),
    ("Gemini", {"contents": [{"role": "user", "parts": [{"text": "a"}]}]}, "the form of Gemini", "Write messages"),
    ("Axolotl segments", {"segments": [{"label": True, "text": "a"}]}, "a form of Axolotl", "Write messages"),
    ("Label Studio", {"id": 1, "data": {"text": "a"}, "annotations": []}, "a task of Label Studio", "CSV or JSON-MIN"),
    ("a chat export", {"title": "x", "mapping": {"a": {}}, "current_node": "a"}, "tree of a chat export", "as messages"),
    ("batch requests", {"custom_id": "1", "method": "POST", "body": {"messages": chat(1)}}, "request of a batch", "with the answer"),
    ("SQuAD articles", {"title": "x", "paragraphs": [{"qas": [], "context": "c"}]}, "article of SQuAD", "one row per question"),
    ("SQuAD rows", {"question": "q", "context": "c", "answers": {"text": ["a"], "answer_start": [0]}}, "as SQuAD has them", "a column answer"),
    ("multiple choice", {"question": "q", "choices": ["a", "b"], "answer": 1}, "multiple choice", "as texts"),
    ("Self-Instruct's seeds", {"instruction": "i", "instances": [{"input": "", "output": "o"}]}, "several instances", "one row per instance"),
    ("several completions", {"instruction": "i", "completions": [{"response": "a"}]}, "several completions", "to be learnt"),
    ("an answer that is a number", {"question": "q", "answer": 3}, "answer is 3, not a text", "Make answer a text"),
    ("tokens", {"input_ids": [1, 2], "labels": [1, 2]}, "token numbers", "before they were made into tokens"),
    ("a question with reasoning", {"messages": [{"role": "user", "content": "q", "reasoning_content": "hm"}, *chat(1)]}, "its role is user", "remove it"),
    ("reasoning that is no text", {"messages": chat(1, reasoning_content=["hm"])}, "reasoning_content of message 2 of messages is a list", "content (a text)"),
    ("half a weight", {"messages": chat(1, weight=0.5)}, "the weight of message 2", "the row's own weight"),
    ("Python's text of messages", {"messages": "[{'role': 'user'}]"}, "not valid JSON", "json.dumps"),
    ("graded answers", {"question": "q", "answer": "a", "score": 4}, "also score", 'submission = "answer"'),
    ("a weight that is a word", {"text": "a", "weight": "heavy"}, "the weight is 'heavy'", "a number from 0"),
    ("a negative weight", {"text": "a", "weight": -1}, "the weight is -1", "a number from 0"),
    ("a history that is no list of pairs", {"instruction": "a", "output": "b", "history": ["c"]}, "history holds 'c'", "pairs"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "row", "message", "cure"), REFUSED, ids=[item[0] for item in REFUSED])
def test_what_cannot_be_kept_is_refused_by_name(
    name: str, row: dict[str, Any], message: str, cure: str, tmp_path: Path
) -> None:
    report = check(tmp_path, {**HELD_CHAT, "base/train.jsonl": jsonl([row, row])})
    (first, *_) = report.problems
    assert message in first.message, name
    assert cure in first.cure
    assert first.where.endswith("train.jsonl:1")
    assert report.batches[0].examples == []


@pytest.mark.parametrize("key", ["reasoning_content", "reasoning", "thinking"])
def test_reasoning_that_stands_apart_is_kept_apart(key: str, tmp_path: Path) -> None:
    rows = [{"messages": [*chat(2, **{key: "earlier"}), *chat(1, **{key: "now"})]}]
    example = _only(check(tmp_path, {**HELD_CHAT, "base/train.jsonl": jsonl(rows)}))
    assert [message.reasoning for message in example.prompt] == ["", "earlier", ""]
    assert (example.completion, example.reasoning) == (ANSWER, "now")
    plain = check(tmp_path / "plain", {**HELD_CHAT, "base/train.jsonl": jsonl([{"messages": [*chat(2), *chat(1)]}])})
    assert _only(plain).reasoning == ""


# --- weights


def test_rows_of_weight_0_are_left_out_and_others_keep_their_weight(tmp_path: Path) -> None:
    rows = [graded(0), graded(1, weight=0), graded(2, weight="0.5"), graded(3, weight=3), graded(4, weight=None)]
    report = check(tmp_path, {**HELD, "base/train.jsonl": jsonl(rows)})
    assert report.problems == []
    assert [example.weight for example in report.batches[0].examples] == [1, 0.5, 3, 1]
    assert any("train.jsonl:2: the row has weight 0" in note for note in report.warnings)


def test_a_set_of_weight_0_is_a_problem(tmp_path: Path) -> None:
    rows = [{"messages": chat(number, weight=0)} for number in range(3)]
    report = check(tmp_path, {**HELD_CHAT, "base/train.jsonl": jsonl(rows)})
    (problem,) = report.problems
    assert "all 3 rows have weight 0" in problem.message


# --- scales

LETTERS = Grading(grades=["F", "D", "C", "B", "A"])
HALVES = Grading(grades=["1", "1.5", "2", "2.5", "3"])


@pytest.mark.parametrize(
    ("grading", "stated", "read"),
    [
        (Grading(minimum=0, maximum=10), [0, 10, "7"], [0, 10, 7]),
        (Grading(minimum=0, maximum=100), [100, 0, "55.0"], [100, 0, 55]),
        (Grading(minimum=-2, maximum=2), [-2, "+2", "-1"], [-2, 2, -1]),
        (Grading(maximum=10), ["8/10", "10 / 10", 1], [8, 10, 1]),
        (LETTERS, ["A", "f", " C "], [5, 1, 3]),
        (HALVES, [1.5, "2,5", 3], [2, 4, 5]),
        (HALVES, ["1.50", 2.0, "1"], [2, 3, 1]),
        (Grading(grades=["A-", "A", "A+"]), ["A+", "A-", "A"], [3, 1, 2]),
        (Grading(minimum=0, grades=["fail", "pass"]), ["pass", "FAIL", "pass"], [1, 0, 1]),
    ],
)
def test_grades_of_a_scale_are_written_and_read_back(
    grading: Grading, stated: list[Any], read: list[int], tmp_path: Path
) -> None:
    held = jsonl([graded(100 + number, grade=grade) for number, grade in enumerate(stated)])
    rows = [graded(number, grade=grade) for number, grade in enumerate(stated)]
    report = check(tmp_path, {"held/v.jsonl": held, "base/train.jsonl": jsonl(rows)}, grading=grading)
    assert report.problems == []
    assert [example.grade for example in report.batches[0].examples] == read
    assert any("system_prompt still says from 1 to 5" in note for note in report.warnings)


@pytest.mark.parametrize(
    ("stated", "setting"),
    [
        ([0, 3, 10, 7], "grading.minimum = 0 and grading.maximum = 10"),
        ([55, 80, 100], "grading.minimum = 1 and grading.maximum = 100"),
        ([-2, 0, 2, -1], "grading.minimum = -2 and grading.maximum = 2"),
        ([1.5, 3, 2.5], 'grading.grades = ["1.5", "2", "2.5", "3"]'),
        (["B", "A", "F", "C+"], 'grading.grades = ["F", "C+", "B", "A"]'),
    ],
)
def test_a_scale_is_proposed_for_grades_that_are_off_it(stated: list[Any], setting: str, tmp_path: Path) -> None:
    rows = [graded(number, grade=grade) for number, grade in enumerate(stated)]
    report = check(tmp_path, {**HELD, "base/train.jsonl": jsonl(rows)})
    assert report.problems
    assert any(setting in note for note in report.warnings), report.warnings


def test_one_slip_of_the_pen_proposes_no_other_scale(tmp_path: Path) -> None:
    report = check(tmp_path, {**HELD, "base/train.jsonl": jsonl([*graded_rows(9), graded(9, grade=45)])})
    (problem,) = report.problems
    assert (problem.where[-2:], problem.message) == ("10", "the grade is 45.")
    assert report.warnings == []


@pytest.mark.parametrize(
    ("grading", "grade", "told"),
    [
        (Grading(maximum=10, pattern="Grade:\\s*([0-9])"), 10, "(grade 10, read 1)"),
        (Grading(minimum=-2, maximum=2, pattern="Grade:\\s*([0-9]+)"), -2, "(grade -2, read 2)"),
        (Grading(completion_template="Feedback: {feedback}\nGrade: {grade}"), 4, "(grade 4, read 2)"),
        (Grading(completion_template="{feedback}"), 4, "(grade 4, read 2)"),
    ],
)
def test_every_row_whose_grade_is_read_otherwise_is_told(
    grading: Grading, grade: int, told: str, tmp_path: Path
) -> None:
    odd = graded(3, grade=grade, feedback="It was Grade: 2 before.")
    fine = [graded(number, feedback=f"Still Grade: {number}", grade=number) for number in (1, 2)]
    report = check(
        tmp_path,
        {"held/v.jsonl": jsonl([graded(100, grade=1, feedback="Grade: 1")]), "base/train.jsonl": jsonl([*fine, odd])},
        grading=grading,
    )
    (problem,) = report.problems
    assert problem.where.endswith("train.jsonl:3")
    assert "in 1 of 4 rows" in problem.message
    assert told in problem.message


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        (["Grade: 4", "Grade: 3", "Grade 5"], "1 of 3 rows have no grade that grading.pattern reads"),
        (["Grade: 4", "Grade: 9", "Grade: 3"], "1 rows state a grade that is not a whole number from 1 to 5"),
        (["Grade: 4", "Grade: 3.5", "Grade: 3"], "train.jsonl:2 (3.5)"),
        (["**Grade** 4", "grade: 3", "Score: 4"], "no completion has a grade that grading.pattern reads"),
        (['{"grade": 4}', '{"grade": 3}', '{"grade": 5}'], "set grading.pattern"),
        (["评分：4", "评分：3", "评分：5"], "set grading.pattern"),
        (["Grade: A", "Grade: B", "Grade: A"], "set grading.pattern"),
    ],
)
def test_grades_in_chats_that_are_not_read_are_told(answers: list[str], told: str, tmp_path: Path) -> None:
    rows = [{"messages": chat(number, answer)} for number, answer in enumerate(answers)]
    report = check(tmp_path, {**HELD_CHAT, "base/train.jsonl": jsonl(rows)})
    assert report.problems == []
    assert told in "\n".join(report.warnings)


def test_chats_about_other_things_are_not_asked_for_grades(tmp_path: Path) -> None:
    rows = [{"messages": chat(number, f"The {word} is wide.")} for number, word in enumerate(WORDS[:4])]
    held = {"held/v.jsonl": jsonl([{"messages": chat(50, "The list is long.")}])}
    assert check(tmp_path, {**held, "base/train.jsonl": jsonl(rows)}).warnings == []


# --- optional fields


def test_optional_fields_are_kept(tmp_path: Path) -> None:
    criteria = {"contrast": 4, "names": "pass", "markup": False, "motion": None}
    several = {"grade": None, "grades": [2, 5, 4], "rater": "anna", "criteria": criteria, "group": "team-7"}
    as_texts = {"grade": None, "grades": "3;4", "rater": 12, "criteria": json.dumps(criteria), "group": 7}
    both = {"grade": 1, "grades": [{"rater": "b", "grade": 4}, {"rater": "c", "grade": 2}]}
    rows = [graded(1, **several), graded(2, **as_texts), graded(3, **both)]
    report = check(tmp_path, {**HELD, "base/train.jsonl": jsonl(rows)})
    assert report.problems == []
    first, second, third = report.batches[0].examples
    assert (first.grade, first.grades, first.rater, first.group) == (4, (2, 5, 4), "anna", "team-7")
    assert first.criteria == second.criteria == {"contrast": 4, "names": True, "markup": False}
    assert (second.grade, second.grades, second.rater, second.group) == (3, (3, 4), "12", "7")
    assert (third.grade, third.grades) == (1, (4, 2))
    assert third.completion.startswith("Grade: 1")


def test_optional_fields_that_are_wrong_are_told_and_others_left_alone(tmp_path: Path) -> None:
    rows = [
        graded(1, grades=[3, 9]),
        graded(2, criteria={"contrast": "lovely"}),
        graded(3, criteria="Look at the contrast.", group=["x"], grades=4),
        graded(4, criteria="{"),
    ]
    report = check(tmp_path, {**HELD, "base/train.jsonl": jsonl(rows)})
    assert [problem.message for problem in report.problems] == [
        "one of the grades is 9.",
        "the criterion \"contrast\" is 'lovely'.",
        "criteria is not valid JSON.",
    ]
    notes = "\n".join(report.warnings)
    assert all(part in notes for part in ("criteria is a text", "group is a list", "grades is 4"))


def test_groups_on_both_sides_of_the_hold_out_are_named(tmp_path: Path) -> None:
    train = [graded(number, group="anna" if number < 3 else "ben") for number in range(5)]
    held = {"held/v.jsonl": jsonl([graded(100, group="anna"), graded(101, group="cleo")])}
    report = check(tmp_path, {**held, "base/train.jsonl": jsonl(train)})
    (note,) = [note for note in report.warnings if "groups" in note]
    assert "anna (3 and 1)" in note
    assert "ben" not in note


# --- columns


def test_columns_are_read_as_the_settings_say(tmp_path: Path) -> None:
    rows = [{"exercise": "t", "code": f"c{number}", "hints": "r", "score": 3, "note": "f"} for number in range(3)]
    data = Data(
        columns={"task": "exercise", "submission": "code", "rubric": "hints", "grade": "score", "feedback": "note"}
    )
    report = check(tmp_path, {**HELD, "base/train.jsonl": jsonl(rows)}, data=data)
    assert (report.problems, report.warnings) == ([], [])
    assert [example.submission for example in report.batches[0].examples] == ["c0", "c1", "c2"]
    assert report.batches[0].examples[0].prompt[-1].content == "Task: t\n\nRubric: r\n\nSubmission:\nc0"


@pytest.mark.parametrize(
    ("row", "setting"),
    [
        ({"code": "c", "score": 3}, 'columns = {submission = "code", grade = "score"}'),
        ({"exercise": "t", "student_code": "c", "points": 3, "comment": "f"}, 'columns = {submission = "student_code", grade = "points", task = "exercise", feedback = "comment"}'),
        ({"essay": "c", "overall_score": 3, "annotator": "a"}, 'columns = {submission = "essay", grade = "overall_score", rater = "annotator"}'),
        ({"orig_instruction": "t", "source_code": "c", "orig_score": 3, "orig_feedback": "f", "orig_criteria": "r"}, 'grade = "orig_score", task = "orig_instruction", rubric = "orig_criteria", feedback = "orig_feedback"'),
        ({"submision": "c", "grade": 3}, 'columns = {submission = "submision"}'),
        ({"Abgabe": "c", "Note": 3, "Aufgabe": "t"}, 'columns = {submission = "Abgabe", grade = "Note", task = "Aufgabe"}'),
        ({"essay_id": 1, "essay_set": 1, "essay": "c", "rater1_domain1": 4, "domain1_score": 3}, 'columns = {submission = "essay", grade = "domain1_score"}'),
        ({"text_id": 1, "full_text": "c", "holistic_score": 3}, 'columns = {submission = "full_text", grade = "holistic_score"}'),
        ({"Timestamp": "1", "Email Address": "a", "Score": 3, "Paste your code": "c"}, 'columns = {submission = "Paste your code", grade = "Score"}'),
        ({"Surname": "a", "Response 1": "c", "Grade/10.00": 3}, 'columns = {submission = "Response 1", grade = "Grade/10.00"}'),
        ({"input": {"task": "t", "code": "c"}, "expected_output": {"grade": 3}, "metadata": {}}, 'columns = {submission = "input.code", grade = "expected_output.grade", task = "input.task"}'),
        ({"inputs": {"question": "q"}, "outputs": {"answer": "a"}}, 'columns = {prompt = "inputs.question", completion = "outputs.answer"}'),
        ({"frage": "q", "antwort": "a"}, 'columns = {prompt = "frage", completion = "antwort"}'),
    ],
)  # fmt: skip
def test_columns_are_proposed_and_the_proposal_works(row: dict[str, Any], setting: str, tmp_path: Path) -> None:
    import tomllib

    report = check(tmp_path, {**HELD, "base/train.jsonl": jsonl([row])})
    cure = report.problems[0].cure
    assert setting in cure
    proposed = tomllib.loads(cure[cure.index("columns =") : cure.index("}") + 1])["columns"]
    grading = Grading(prompt_template="{submission}", completion_template="Grade: {grade}")
    held = {} if "prompt" in proposed else {"held/validation.jsonl": jsonl(graded_rows(1, 100))}
    report = check(tmp_path, held, grading=grading, data=Data(columns=proposed))
    assert len(report.batches[0].examples) == 1
    assert [problem for problem in report.problems if "train.jsonl" in problem.where] == []


def test_what_the_templates_lack_is_said_with_the_proposal(tmp_path: Path) -> None:
    report = check(tmp_path, {**HELD, "base/train.jsonl": jsonl([{"code": "c", "score": 3}])})
    assert (
        "Take {task} out of grading.prompt_template, {rubric} out of grading.prompt_template" in report.problems[0].cure
    )


def test_a_mapped_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    report = check(
        tmp_path,
        {**HELD, "base/train.jsonl": jsonl([{"code": "c", "grade": 3, "task": "t"}])},
        data=Data(columns={"submission": "coed"}),
    )
    assert any("no row has the column coed" in note and "Did you mean code?" in note for note in report.warnings)


def test_a_mapping_decides_where_two_forms_fit(tmp_path: Path) -> None:
    row = {"question": "q", "answer": "a", "score": 4}
    graded_data = Data(columns={"submission": "answer", "grade": "score", "task": "question"})
    grading = Grading(prompt_template="{task} {submission}", completion_template="Grade: {grade}")
    held = {"held/v.jsonl": jsonl(graded_rows(2, 100))}
    report = check(tmp_path, {**held, "base/train.jsonl": jsonl([row])}, grading=grading, data=graded_data)
    assert _only(report).completion == "Grade: 4"
    pair = Data(columns={"prompt": "question", "completion": "answer"})
    held = {"held/v.jsonl": jsonl([{"prompt": "x", "completion": "y"}])}
    assert _only(check(tmp_path, held, data=pair)).completion == "a"
