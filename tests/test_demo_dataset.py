"""The starter data set: its size, its grades, its promise that the hold-out is unseen, and its files."""

import hashlib
import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from opeddev_tui.demo import template as templates
from opeddev_tui.demo.dataset import DemoRows, build_examples, build_rows, write_dataset
from opeddev_tui.demo.defects import AREAS, DEFECTS, NO_DEFECT
from opeddev_tui.demo.template import Template, read_templates
from opeddev_tui.settings import Paths

SEEDS = (42, 7)
TRAINING, HOLDOUT = read_templates("training"), read_templates("holdout")
EVERY_TEMPLATE = [one for group in (TRAINING, HOLDOUT) for kind in group.values() for one in kind]
FIELDS = {"id", "kind", "task", "submission", "rubric", "grade", "feedback"}


def training_rows(rows: DemoRows) -> list[dict[str, Any]]:
    return [*rows.base, *(row for batch in rows.batches for row in batch)]


def shingles(text: str, words: str) -> set[tuple[str, ...]]:
    found = re.findall(words, text)
    return {tuple(found[start : start + 4]) for start in range(len(found) - 3)}


def highest_overlap(rows: DemoRows, words: str) -> float:
    holdout = [shingles(row["submission"], words) for row in rows.holdout]
    training = [shingles(row["submission"], words) for row in training_rows(rows)]
    return max(len(a & b) / len(a | b) for a in training for b in holdout)


@pytest.mark.parametrize("seed", SEEDS)
def test_sizes_and_fields(seed: int) -> None:
    rows = build_rows(seed)
    assert [len(part) for part in (rows.base, *rows.batches, rows.holdout)] == [100, 100, 100, 50]
    for row in [*training_rows(rows), *rows.holdout]:
        assert set(row) == FIELDS
        assert all(isinstance(row[name], str) and row[name].strip() for name in FIELDS - {"grade"})
        assert 3 <= row["submission"].count("\n") + 1 <= 25


@pytest.mark.parametrize("seed", SEEDS)
def test_the_same_seed_gives_the_same_rows(seed: int) -> None:
    assert build_rows(seed) == build_rows(seed)
    assert build_rows(seed) != build_rows(seed + 1)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_grade_follows_from_the_planted_defects(seed: int) -> None:
    examples = build_examples(seed)
    doubled = 0
    for example in [*(one for batch in examples.training for one in batch), *examples.holdout]:
        kind = example.template.kind
        areas = {DEFECTS[kind][code][0] for code in example.planted}
        row = example.row()
        assert row["grade"] == 5 - len(areas)
        assert set(re.findall(r"([A-Z][a-z]+): ", str(row["feedback"]))) == {area.capitalize() for area in areas}
        assert all(DEFECTS[kind][code][1] in str(row["feedback"]) for code in example.planted)
        assert (row["feedback"] == NO_DEFECT) == (row["grade"] == 5)
        doubled += len(set(example.planted)) > len(areas)
    assert doubled > 30  # the number of defects alone does not tell the grade


@pytest.mark.parametrize("seed", SEEDS)
def test_grades_and_kinds_are_spread(seed: int) -> None:
    rows = build_rows(seed)
    for part in (rows.base, *rows.batches, rows.holdout):
        grades = Counter(row["grade"] for row in part)
        assert set(grades) == {1, 2, 3, 4, 5}
        assert all(0.10 <= count / len(part) <= 0.35 for count in grades.values())
        kinds = Counter(row["kind"] for row in part)
        assert max(kinds.values()) - min(kinds.values()) <= 1
        assert len({(row["kind"], row["grade"]) for row in part}) == 15


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("words", [r"\S+", r"\w+|[^\w\s]"], ids=["by spaces", "by punctuation"])
def test_no_holdout_row_nears_a_training_row(seed: int, words: str) -> None:
    assert highest_overlap(build_rows(seed), words) < 0.6


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_occurs_twice(seed: int) -> None:
    rows = build_rows(seed)
    every = [*training_rows(rows), *rows.holdout]
    assert len({" ".join(row["submission"].split()) for row in every}) == len(every)
    assert len({row["id"] for row in every}) == len(every)


def test_no_task_is_on_both_sides() -> None:
    trained = {(one.kind, one.name) for kind in TRAINING.values() for one in kind}
    assert trained.isdisjoint({(one.kind, one.name) for kind in HOLDOUT.values() for one in kind})
    rows = build_rows()
    assert {row["task"] for row in training_rows(rows)}.isdisjoint({row["task"] for row in rows.holdout})


@pytest.mark.parametrize("one", EVERY_TEMPLATE, ids=lambda one: f"{one.kind}-{one.name}")
def test_every_place_of_a_template_shows_its_defect(one: Template) -> None:
    import random

    codes = one.codes()
    assert list(codes) == list(AREAS[one.kind])
    assert all(codes.values()), "each grade needs a defect in each area"
    planted = [code for area in codes.values() for code in area]
    # a defect must show alone, and must not be hidden by the others
    _, clean = one.render(random.Random(0), ())
    _, spoilt = one.render(random.Random(0), planted)
    for code in planted:
        assert one.render(random.Random(0), (code,))[1] != clean
        assert one.render(random.Random(0), set(planted) - {code})[1] != spoilt
    for text in (clean, spoilt):
        assert not set("«¦»‹›") & set(text)
        assert "\n\n\n" not in text


def test_every_defect_is_used_and_the_holdout_plants_none_that_training_lacks() -> None:
    examples = build_examples()
    trained = {(e.template.kind, code) for batch in examples.training for e in batch for code in e.planted}
    assert trained == {(kind, code) for kind, codes in DEFECTS.items() for code in codes}


def test_two_slots_of_one_pool_never_agree() -> None:
    import random

    one = Template("pair", "html", "‹word› and ‹word2›", "", {"word": ("a", "b")})
    assert {one.render(random.Random(seed), ())[0] for seed in range(20)} == {"a and b", "b and a"}


def test_files_lie_where_the_paths_say(tmp_path: Path) -> None:
    paths = Paths(base="data/first", increments="data/more", holdout=str(tmp_path / "elsewhere"))
    write_dataset(tmp_path, paths)
    rows = build_rows()
    for place, part in (
        ("data/first/train.jsonl", rows.base),
        ("data/more/batch_100_01/train.jsonl", rows.batches[0]),
        ("data/more/batch_100_02/train.jsonl", rows.batches[1]),
        ("elsewhere/validation.jsonl", rows.holdout),
    ):
        lines = (tmp_path / place).read_text(encoding="utf-8").splitlines()
        assert [json.loads(line) for line in lines] == part
    assert len(list(tmp_path.rglob("*.jsonl"))) == 4


def test_the_data_set_needs_no_training_stack() -> None:
    code = (
        "import sys, opeddev_tui.demo.dataset, opeddev_tui.demo.model;"
        "print(sorted({'torch', 'transformers', 'tokenizers', 'datasets'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_snippet_file_belongs_to_one_template() -> None:
    folder = Path(templates.__file__).parent / "snippets"
    listed = {
        f"{part}/{one.name.replace(' ', '-')}.{one.kind}"
        for part, kinds in (("training", TRAINING), ("holdout", HOLDOUT))
        for group in kinds.values()
        for one in group
    }
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert files == listed | {"index.toml"}
    assert len(listed) == len(EVERY_TEMPLATE)


def test_the_rows_are_those_of_every_earlier_version() -> None:
    """Workspaces made by ``demo`` are compared across versions: an edited snippet would change their figures."""
    rows = build_rows()
    content = json.dumps([*training_rows(rows), *rows.holdout], ensure_ascii=False)
    assert (
        hashlib.sha256(content.encode()).hexdigest()
        == "b08ea5a51629b69285ad36d608cfb629252bff675a49af6c0338b6d129da269d"
    )


def test_pools_hold_no_text_twice() -> None:
    assert all(len(set(pool)) == len(pool) for pool in templates.POOLS.values())
