"""Rows that version 0.1 read give the same examples and fingerprints now: its unfinished runs resume bit-exactly."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from opeddev_tui.config.settings import Data, Grading, Settings
from opeddev_tui.data.batches import Batch, load_batch

GRADED = {"id": "a", "kind": "css", "task": "Style é\u2028it", "rubric": "r", "feedback": "f: {x}", "extra": 1}
CHAT = [{"role": "system", "content": "s"}, {"role": "user", "content": "u {grade}"}]
ANSWER = {"role": "assistant", "content": "Grade: 4\nFeedback: fine"}
GRADES = (1, 5.0, "3", " 4 ", "+2", "4.")
ROWS: dict[str, list[dict[str, Any]]] = {
    "grading": [
        *(
            {**GRADED, "submission": f"p {{ c: {grade} }}", "grade": grade}
            for grade in (1, 5.0, "3", " 4 ", "+2", "4.")
        ),
        {
            **GRADED,
            "submission": "\r\n[[[<|im_start|>",
            "grade": 2,
            "feedback": 7,
            "weight": None,
            "criteria": "a text",
        },
        {**GRADED, "submission": "x", "grade": 2, "Task": "another", "image": "shot.png", "tools": "hammer"},
    ],
    "messages": [
        {"messages": [*CHAT, ANSWER], "id": 7},
        {"messages": [*CHAT, ANSWER, {"role": "user", "content": "again"}, {**ANSWER, "name": "judge"}], "tools": []},
        {"messages": [CHAT[1], {"role": "assistant", "content": "Grade: 9"}], "images": None, "text": "t"},
    ],
    "prompt and completion": [
        {"prompt": "[{not messages", "completion": '[{"role": "user"}]', "score": 3, "question": "q"},
        {"prompt": CHAT, "completion": [ANSWER]},
        {"prompt": "p", "completion": "Grade: 45"},
    ],
    "instruction": [
        {"instruction": "do", "input": "", "output": "done", "context": "unused"},
        {"instruction": "do", "input": None, "output": "done", "system": " ", "history": []},
        {"instruction": "do", "input": "this ", "output": " done"},
    ],
    "text": [{"text": "all of it", "label": 3}, {"text": "<think>x</think>", "answer": "a", "question": "q"}],
}
# as version 0.1 computed them
FINGERPRINTS = {
    "grading": "c844e50c585f0d47f4324925c8f6e8bc9d41b5cc51e4eb30ed420990ec15e4cb",
    "messages": "f9a22427775bbbe25f04aca38abeeafbb257f9d58659f755e81b08d4f7d1c9c3",
    "prompt and completion": "e06fa0eaba53986a7a0da0ca111069a46d68902221713100fe476c099ce08078",
    "instruction": "71b135fce4a5b6c09f07022211634248372183c14ce2b8b3d42abc685f7d1136",
    "text": "4292b3639f971b66e2170f58e1d7ed09c43f07cb01a14b37ef8306cf607c9f32",
    "table": "f2e24349438d7817b24e99ea3456897ce3543c0567d289fc4ed39744f9779349",
}
SETTINGS = Settings(data=Data(), grading=Grading())


def load(path: Path) -> Any:
    found = load_batch(Batch("base", 0, path), SETTINGS)
    assert found.problems == []
    return found


@pytest.mark.parametrize("name", ROWS)
def test_rows_keep_their_fingerprints(name: str, tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS[name]))
    assert load(path).fingerprint == FINGERPRINTS[name]
    array = tmp_path / "array.json"
    array.write_text(json.dumps(ROWS[name], indent=1))
    assert load(array).fingerprint == FINGERPRINTS[name]
    lines = tmp_path / "lines.json"
    lines.write_bytes(path.read_bytes())
    assert load(lines).fingerprint == FINGERPRINTS[name]


def test_a_table_keeps_its_fingerprint(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["id", "task", "submission", " rubric", "grade", "feedback"])
        for number in range(1, 6):
            table.writerow([f"00{number}", "NA", f'<p class="x">;\t{number}</p>\n', "None", number, "a, b; c"])
    assert load(path).fingerprint == FINGERPRINTS["table"]
