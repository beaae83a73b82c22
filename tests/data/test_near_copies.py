"""Near copies: seen in minified files and scripts without blanks, not seen in shared rubrics and templates."""

import random
from pathlib import Path

import pytest
from real_files import check, graded, graded_rows, jsonl

from opeddev_tui.config.settings import Grading

RUBRIC = " ".join(
    f"Area {number} loses a point for each defect that a reader of the page would meet." for number in range(30)
)


def _minified(seed: int, rules: int = 120) -> str:
    draw = random.Random(seed)
    return "".join(
        f".c{number}{{color:#{draw.randrange(4096):03x};margin:{draw.randrange(40)}px}}" for number in range(rules)
    )


def _script(first: int, last: int, seed: int, length: int = 400) -> str:
    draw = random.Random(seed)
    return "".join(chr(draw.randrange(first, last)) for _ in range(length))


def _changed(text: str, place: int) -> str:
    return text[:place] + ("1" if text[place] != "1" else "2") + text[place + 1 :]


MINIFIED_JS = "".join(f"function f{number}(a,b){{return a*{number}+b}}" for number in range(80))
TEXTS = [
    ("minified styles", _minified(1)),
    ("minified script", MINIFIED_JS),
    ("markup without blanks", "".join(f"<li><a/href='p{number}'>{number}</a></li>" for number in range(90))),
    ("Chinese", _script(0x4E00, 0x9000, 2)),
    ("Japanese kana", _script(0x3041, 0x3096, 3)),
    ("Thai", _script(0x0E01, 0x0E2E, 4)),
    ("Khmer", _script(0x1780, 0x17B3, 5)),
    ("one line of numbers", ",".join(str(random.Random(6).randrange(10**6) + number) for number in range(200))),
]


@pytest.mark.parametrize(("name", "text"), TEXTS, ids=[name for name, _ in TEXTS])
def test_a_copy_with_one_sign_changed_is_noted(name: str, text: str, tmp_path: Path) -> None:
    rows = [graded(1, submission=text), *graded_rows(3, 10)]
    held = [graded(100, submission=_changed(text, len(text) // 2)), *graded_rows(2, 110)]
    report = check(tmp_path, {"base/train.jsonl": jsonl(rows), "held/v.jsonl": jsonl(held)})
    assert report.problems == []
    (note,) = report.warnings
    assert "train.jsonl:1 is 9" in note, name
    assert "v.jsonl:1" in note


@pytest.mark.parametrize(("name", "text"), TEXTS, ids=[name for name, _ in TEXTS])
def test_other_texts_of_the_kind_are_no_copies(name: str, text: str, tmp_path: Path) -> None:
    half = len(text) // 2
    rows = [graded(1, submission=text[:half]), *graded_rows(3, 10)]
    held = [graded(100, submission=text[half:]), *graded_rows(2, 110)]
    assert check(tmp_path, {"base/train.jsonl": jsonl(rows), "held/v.jsonl": jsonl(held)}).warnings == [], name


def test_a_shared_rubric_in_chats_is_no_copy_and_hides_none(tmp_path: Path) -> None:
    def chat(word: str) -> dict[str, object]:
        code = " ".join(f"{word}{number}" for number in range(30))
        return {"prompt": f"{RUBRIC}\n\nSubmission:\n{code}", "completion": "Grade: 2"}

    train = [chat(f"a{number}x") for number in range(8)]
    held = [chat(f"h{number}x") for number in range(3)]
    copied = {**held[1], "prompt": str(held[1]["prompt"]) + " end"}
    report = check(tmp_path, {"base/train.jsonl": jsonl([*train, copied]), "held/v.jsonl": jsonl(held)})
    (note,) = report.warnings
    assert "train.jsonl:9 is 97% like the hold-out row" in note


def test_a_shared_page_frame_in_submissions_is_no_copy(tmp_path: Path) -> None:
    frame = (
        "<!DOCTYPE html><html lang=en><head><meta charset=utf-8><title>Task</title></head><body>{}</body></html>" * 3
    )
    train = [graded(number, submission=frame.format(number, number * 3, "one")) for number in range(6)]
    held = [graded(100 + number, submission=frame.format(50 + number, number * 5, "two")) for number in range(3)]
    assert check(tmp_path, {"base/train.jsonl": jsonl(train), "held/v.jsonl": jsonl(held)}).warnings == []


def test_a_copy_beside_another_task_and_rubric_is_noted(tmp_path: Path) -> None:
    code = _minified(9)
    rows = [graded(1, submission=code, task="One.", rubric="Short."), *graded_rows(3, 10)]
    held = [graded(100, submission=code + ".z{top:0}", task="Quite another one.", rubric=RUBRIC)]
    report = check(tmp_path, {"base/train.jsonl": jsonl(rows), "held/v.jsonl": jsonl(held)}, grading=Grading())
    assert len(report.warnings) == 1
