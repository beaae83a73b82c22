"""The data of a workspace: order, hold-out, agreement, figures, and the firewall."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from opeddev_tui.config.settings import Grading, Paths, Settings
from opeddev_tui.data.batches import (
    Batch,
    LoadedBatch,
    check_agreement,
    check_data,
    describe,
    find_batches,
    find_holdout,
    find_leaks,
    inventory,
    load_batch,
    load_step,
    resolve,
)
from opeddev_tui.data.rows import Example, Message
from opeddev_tui.errors import DataProblem, Problems, SettingsProblem

PATHS = Paths(base="base", increments="inc", holdout="held")
SETTINGS = Settings(paths=PATHS)


def words(seed: object, count: int = 30) -> str:
    draw = random.Random(str(seed))
    return " ".join(f"w{draw.randrange(10**6)}" for _ in range(count))


def graded(seed: object, grade: object = 3, **changes: Any) -> dict[str, Any]:
    fixed = {"task": "t", "rubric": "r", "feedback": "f", "kind": "css", "id": str(seed)}
    return {**fixed, "submission": words(seed), "grade": grade, **changes}


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def example(submission: str, *, completion: str = "ok", where: str = "x:1", turns: tuple[str, ...] = ()) -> Example:
    roles = ("user", "assistant") * len(turns)
    prompt = tuple(Message(role, text) for role, text in zip(roles, turns or (submission,), strict=False))
    prompt = prompt or (Message("user", submission),)
    return Example(prompt, completion, None, "", where, "", submission)


def loaded(examples: list[Example], number: int = 0, schema: str = "prompt/completion") -> LoadedBatch:
    return LoadedBatch(Batch(f"b{number}", number, Path(f"b{number}")), schema, examples, "", [])


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A base set of 3, two increments of 2, and a hold-out of 2; nothing wrong."""
    write(tmp_path / "base" / "train.jsonl", [graded(f"b{n}", n + 1) for n in range(3)])
    write(tmp_path / "inc" / "batch_100_01" / "rows.jsonl", [graded(f"i{n}") for n in range(2)])
    write(tmp_path / "inc" / "batch_100_02.jsonl", [graded(f"j{n}") for n in range(2)])
    write(tmp_path / "held" / "validation.jsonl", [graded(f"h{n}") for n in range(2)])
    return tmp_path


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_batches_come_in_natural_order(tmp_path: Path) -> None:
    write(tmp_path / "base.jsonl", [graded(1)])
    inc = tmp_path / "inc"
    for name in ("batch_100_10", "batch_100_2", "extra", "batch_100_1.old"):
        (inc / name).mkdir(parents=True)
    for name in ("batch_100_01.csv", "batch_90.parquet", ".hidden.jsonl", "notes.txt", "batch_3.jsonl~"):
        (inc / name).touch()
    (inc / ".git").mkdir()
    found = find_batches(tmp_path, Paths(base="base.jsonl", increments="inc"))
    names = ["base", "batch_90", "batch_100_1.old", "batch_100_01", "batch_100_2", "batch_100_10", "extra"]
    assert sorted(batch.name for batch in found) == sorted(names)
    order = [batch.name for batch in found]
    assert order[:2] == ["base", "batch_90"]
    assert order[-3:] == ["batch_100_2", "batch_100_10", "extra"]
    assert [batch.number for batch in found] == list(range(7))


def test_a_base_set_alone_is_enough(workspace: Path) -> None:
    found = find_batches(workspace, Paths(base="base", increments="none"))
    assert found == [Batch("base", 0, workspace / "base")]


def test_places_that_cannot_be_used(workspace: Path) -> None:
    with pytest.raises(DataProblem, match="base set does not exist") as caught:
        find_batches(workspace, Paths(base="none"))
    assert caught.value.where == str(workspace / "none")
    assert "opeddev-tui demo" in caught.value.cure
    with pytest.raises(DataProblem, match="cannot be listed") as caught:
        find_batches(workspace, Paths(base="base", increments="inc/batch_100_02.jsonl"))
    assert "paths.increments" in caught.value.cure
    write(workspace / "inc" / "batch_100_01.jsonl", [graded(1)])
    with pytest.raises(DataProblem, match="are both the batch batch_100_01") as caught:
        find_batches(workspace, PATHS)
    assert (caught.value.where, caught.value.cure[:6]) == (str(workspace / "inc"), "Rename")


def test_paths_are_relative_absolute_or_from_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    assert resolve(tmp_path, "data/a") == tmp_path / "data" / "a"
    assert resolve(tmp_path, "/data/a") == Path("/data/a")
    assert resolve(tmp_path, "~/a") == Path("/home/someone/a")
    with pytest.raises(SettingsProblem, match="no such home folder"):
        resolve(tmp_path, "~nobody-of-this-name/a")


def test_the_holdout_is_its_own_place_or_a_split_of_the_base(workspace: Path) -> None:
    assert find_holdout(workspace, PATHS) == (workspace / "held", "validation")
    write(workspace / "held" / "train.jsonl", [graded("t")])
    assert find_holdout(workspace, PATHS) == (workspace / "held", "validation")
    flat = write(workspace / "flat.jsonl", [graded("f")])
    assert find_holdout(workspace, Paths(base="base", holdout="flat.jsonl")) == (flat, None)
    elsewhere = Paths(base="base", holdout="none")
    with pytest.raises(DataProblem, match="no hold-out") as caught:
        find_holdout(workspace, elsewhere)
    assert caught.value.where == str(workspace / "none")
    assert "validation split" in caught.value.cure
    write(workspace / "base" / "test.jsonl", [graded("x")])
    assert find_holdout(workspace, elsewhere) == (workspace / "base", "test")
    (workspace / "none").symlink_to(workspace / "gone")
    with pytest.raises(DataProblem, match="does not exist"):
        find_holdout(workspace, elsewhere)


def test_an_empty_folder_for_the_hold_out_leaves_it_to_the_base_set(tmp_path: Path) -> None:
    write(tmp_path / "base/train.jsonl", [graded("a"), graded("b")])
    write(tmp_path / "base/validation.jsonl", [graded("c")])
    (tmp_path / "held").mkdir()
    (tmp_path / "held/README.md").write_text("Put the validation rows here.")
    assert find_holdout(tmp_path, PATHS) == (tmp_path / "base", "validation")
    (tmp_path / "held/rows.xlsx").write_bytes(b"PK")
    report = check_data(tmp_path, SETTINGS)
    assert "holds no data file (only README.md, rows.xlsx)" in str(report.problems[0])
    (tmp_path / "held/rows.xlsx").unlink()
    (tmp_path / "base/validation.jsonl").unlink()
    assert "there is no hold-out" in str(check_data(tmp_path, SETTINGS).problems[0])


def test_a_sound_workspace(workspace: Path) -> None:
    before = snapshot(workspace)
    report = check_data(workspace, SETTINGS)
    assert (report.problems, report.warnings) == ([], [])
    assert report.holdout is not None
    assert [len(batch.examples) for batch in [*report.batches, report.holdout]] == [3, 2, 2, 2]
    summaries = inventory(report.batches)
    assert [(one.name, one.rows, one.cumulative) for one in summaries] == [
        ("base", 3, 3),
        ("batch_100_01", 2, 5),
        ("batch_100_02", 2, 7),
    ]
    assert summaries[0].grades == {1: 1, 2: 1, 3: 1}
    assert summaries[0].characters_longest > 0
    assert summaries[0].fingerprint == report.batches[0].fingerprint
    step = load_step(workspace, SETTINGS, 1)
    assert [batch.batch.name for batch in step.batches] == ["base", "batch_100_01"]
    assert step.holdout.fingerprint == report.holdout.fingerprint
    assert snapshot(workspace) == before


def test_describing_an_empty_batch_says_zero() -> None:
    summary = describe(loaded([]), before=5)
    assert (summary.rows, summary.cumulative, summary.characters_longest) == (0, 5, 0)


def test_everything_wrong_is_collected_and_nothing_raised(workspace: Path) -> None:
    write(workspace / "base" / "train.jsonl", [graded(1), graded(2, 9), graded(3, "abc")])
    write(workspace / "inc" / "batch_100_01" / "rows.jsonl", [{"text": "a b c"}])
    (workspace / "inc" / "batch_100_02.jsonl").write_bytes(b'{"text": ')
    (workspace / "inc" / "batch_100_03").mkdir()
    (workspace / "held" / "validation.jsonl").write_bytes(b"[" * 20_000)
    before = snapshot(workspace)
    report = check_data(workspace, SETTINGS)
    places = [problem.where.removeprefix(f"{workspace}/") for problem in report.problems]
    assert places == [
        "base/train.jsonl:2",
        "base/train.jsonl:3",
        "inc/batch_100_02.jsonl:1",
        "inc/batch_100_03",
        "held/validation.jsonl:1",
        "inc/batch_100_01",
    ]
    assert "batch_100_01 has text rows, base has grading rows" in report.problems[-1].message
    assert all(problem.cure for problem in report.problems)
    assert snapshot(workspace) == before


def test_a_bad_template_is_collected_too(workspace: Path) -> None:
    report = check_data(workspace, Settings(paths=PATHS, grading=Grading(prompt_template="{nothing}")))
    assert {problem.kind for problem in report.problems} == {"settings"}


def test_a_workspace_without_data_is_told_not_raised(tmp_path: Path) -> None:
    report = check_data(tmp_path, SETTINGS)
    assert [problem.message for problem in report.problems] == [
        "the base set does not exist.",
        "there is no hold-out.",
    ]
    assert (report.batches, report.holdout) == ([], None)
    with pytest.raises(Problems) as caught:
        load_step(tmp_path, SETTINGS, 0)
    assert len(caught.value.problems) == 2


def test_a_step_looks_only_at_its_own_batches(workspace: Path) -> None:
    (workspace / "inc" / "batch_100_02.jsonl").write_bytes(b"{")
    assert len(load_step(workspace, SETTINGS, 1).batches) == 2
    with pytest.raises(Problems) as caught:
        load_step(workspace, SETTINGS, 2)
    assert caught.value.problems[0].where == f"{workspace}/inc/batch_100_02.jsonl:1"


@pytest.mark.parametrize("step", [-1, 3])
def test_a_step_that_does_not_exist_is_told(workspace: Path, step: int) -> None:
    with pytest.raises(Problems, match="there are steps 0 to 2") as caught:
        load_step(workspace, SETTINGS, step)
    assert "Add batches" in caught.value.problems[0].cure


def test_a_holdout_row_that_is_trained_on_is_an_error(workspace: Path) -> None:
    copied = graded("h1", 5, submission="  " + words("h1").replace(" ", "\n\t"))
    write(workspace / "inc" / "batch_100_02.jsonl", [graded("j0"), copied])
    (problem,) = check_data(workspace, SETTINGS).problems
    assert problem.where == f"{workspace}/inc/batch_100_02.jsonl:2"
    assert f"{workspace}/held/validation.jsonl:2" in problem.message
    assert problem.cure.startswith("Remove it")
    assert load_step(workspace, SETTINGS, 1).warnings == []
    with pytest.raises(Problems):
        load_step(workspace, SETTINGS, 2)


def test_near_copies_and_repeated_rows_are_warnings(workspace: Path) -> None:
    near = graded("n", submission=words("h0") + " and more")
    write(workspace / "inc" / "batch_100_02.jsonl", [graded("b0", 1), near])
    warnings = load_step(workspace, SETTINGS, 2).warnings
    place = f"{workspace}/inc/batch_100_02.jsonl"
    assert warnings == [
        f"{place}:2 is 93% like the hold-out row {workspace}/held/validation.jsonl:1.",
        f"{place}:1 is the same training row as {workspace}/base/train.jsonl:1.",
    ]


def test_a_conversation_is_compared_as_a_whole() -> None:
    held = loaded([example("go on", turns=("hello", "hi", "go on"), where="h:1")], -1)
    other = example("go on", turns=("good day", "yes", "go on"), where="t:1")
    same = example("go on", turns=("hello", "hi", "go  on"), where="t:2")
    leaks = find_leaks([loaded([other, same])], held, 0.8)
    assert [problem.where for problem in leaks.exact] == ["t:2"]


def test_many_warnings_are_capped() -> None:
    train = loaded([example("the same", where=f"t:{number}") for number in range(60)])
    leaks = find_leaks([train], loaded([example("the same", where="h:1")], -1), 0.8)
    assert (len(leaks.exact), len(leaks.repeated)) == (51, 51)
    assert leaks.exact[-1].message == "and 10 more problems like these."
    assert leaks.repeated[-1] == "and 9 more like these."


def _share(left: str, right: str) -> float:
    one, two = (
        {tuple(text.split()[n : n + 4]) for n in range(max(1, len(text.split()) - 3))} for text in (left, right)
    )
    return len(one & two) / len(one | two)


@pytest.mark.parametrize("threshold", [0.05, 0.2, 0.5, 0.8, 1.0])
def test_near_copies_are_those_that_comparing_all_pairs_finds(threshold: float) -> None:
    draw = random.Random(7)
    held = [words(n, 20) for n in range(12)]
    train = ["one two", "", "one"]
    for number in range(150):
        kept = draw.choice(held).split()[draw.randrange(12) :]
        train.append(" ".join([*kept, *words(f"t{number}", draw.randrange(8)).split()]))
    batches = [loaded([example(text, where=f"t{n}") for n, text in enumerate(train)])]
    leaks = find_leaks(batches, loaded([example(text) for text in held], -1), threshold)
    exact = {problem.where for problem in leaks.exact}
    expected = [
        f"t{n}"
        for n, text in enumerate(train)
        if f"t{n}" not in exact and any(_share(text, other) >= threshold for other in held)
    ]
    found = [warning.split(" ")[0] for warning in leaks.near]
    assert found[:50] == expected[:50]
    assert len(expected) <= 50 or leaks.near[-1] == f"and {len(expected) - 50} more like these."


def test_rows_that_share_half_of_their_words_are_not_near_copies() -> None:
    shared = words("boilerplate", 60)
    train = loaded([example(f"{shared} {words(n, 60)}") for n in range(200)])
    held = loaded([example(f"{shared} {words(-n - 1, 60)}") for n in range(50)], -1)
    assert find_leaks([train], held, 0.8).near == []


def test_agreement_names_both_sides() -> None:
    assert check_agreement([]) == []
    assert check_agreement([loaded([]), loaded([], 1), loaded([], 2, schema="")]) == []
    (problem,) = check_agreement([loaded([]), loaded([], 1, schema="text")])
    assert problem.message == "b1 has text rows, b0 has prompt/completion rows."
    assert (problem.where, problem.cure) == ("b1", "Bring all sets into one form, that of b0.")


def test_a_batch_that_cannot_be_read_still_loads_with_its_problem(tmp_path: Path) -> None:
    batch = load_batch(Batch("x", 1, tmp_path / "none"), SETTINGS)
    assert (batch.examples, batch.schema, len(batch.problems)) == ([], "", 1)
