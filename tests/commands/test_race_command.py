"""``race`` on a person's own workspace: what it compares, what it says of memory, and how it refuses."""

import json
import stat
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from engine_helpers import (
    base_file,
    batch_file,
    copy_workspace,
    holdout_file,
    make_readable_rows,
    make_rows,
    workspace_of,
    write_rows,
)

from opeddev_tui import cli
from opeddev_tui.runs.grade_words import steadied

CHEAP = {"commonest", "middle", "n-grams"}


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def race(root: Path, *words: str) -> int:
    return cli.main(["race", "-w", str(root), *words])


def told(root: Path, capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, object]:
    assert race(root, "--json", *words) == 0
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


def names(report: Mapping[str, object]) -> set[str]:
    found = report["race"]
    assert isinstance(found, dict)
    return {row["name"] for row in found["rows"]}


def test_the_race_is_printed_in_80_columns_with_its_verdict_sets_and_disputes(
    workspace_factory: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    root = workspace_factory(rows=20, batches=(20,), holdout=15)
    assert race(root) == 0
    out, err = capsys.readouterr()
    # a bar that cannot be drawn leaves nothing
    assert err == ""
    assert max(map(len, out.splitlines())) <= 80
    lines = out.splitlines()
    for name in (*CHEAP, "base tokens", "base head"):
        assert sum(line.startswith(f"{name} ") for line in lines) == 1, out
    words = " ".join(out.split())
    assert "Fitted on 40 graded rows (base, batch_100_01), compared on 15 hold-out rows." in words
    assert "The head on the base model grades. Its kappa" in words
    assert "Sets that promise to hold the right grade 90% of the time" in words
    assert "the model has not trained on these rows" in words
    assert "-log p" in words


def test_features_are_read_once_and_are_the_owners_alone(
    workspace_factory: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    root = workspace_factory(rows=20, holdout=6)
    first = told(root, capsys)
    assert {name: first["models"][0][name] for name in ("rows", "read", "remembered")} == {  # type: ignore[index]
        "rows": 26,
        "read": 26,
        "remembered": 0,
    }
    again = told(root, capsys)
    assert again["models"][0]["read"] == 0  # type: ignore[index]
    assert again["sets"] == first["sets"]
    assert again["disputed"] == first["disputed"]
    cache = workspace_of(root).grading
    files = [path for path in cache.rglob("*") if path.is_file()]
    assert files
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert {stat.S_IMODE(path.stat().st_mode) for path in (cache, *cache.iterdir())} == {0o700}


def test_a_row_that_is_added_is_the_only_one_that_is_read(
    workspace_factory: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    root = workspace_factory(rows=20, holdout=6)
    told(root, capsys)
    write_rows(base_file(root), [*make_rows(20, "base"), *make_rows(1, "one more")])
    assert told(root, capsys)["models"][0]["read"] == 1  # type: ignore[index]


def test_a_checkpoint_races_beside_the_base_model_and_what_it_remembers_is_said(
    trained_workspace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = copy_workspace(trained_workspace, tmp_path / "copy")
    # not trained yet: no row of it takes part
    write_rows(batch_file(root, 2), make_rows(20, "batch2"))
    assert race(root, "--from", "latest") == 0
    words = " ".join(capsys.readouterr().out.split())
    assert "Fitted on 40 graded rows (base, batch_100_01)" in words
    assert "has trained on 40 rows of these and partly remembers them" in words
    assert "It has never trained on the hold-out" in words
    assert "the head on the checkpoint less the head on the base model" in words or "ine-tuning" in words
    report = told(root, capsys, "--from", "step0")
    assert names(report) == CHEAP | {"base tokens", "base head", "step tokens", "step head", "step text"}
    models = report["models"]
    assert isinstance(models, list)
    assert [model["remembered"] for model in models] == [0, 20]
    assert models[0]["read"] == 0


def test_a_checkpoint_that_is_damaged_or_unknown_is_refused(
    trained_workspace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = copy_workspace(trained_workspace, tmp_path / "copy")
    assert race(root, "--from", "step7") == 4
    assert "no checkpoint is called step7" in capsys.readouterr().err
    damaged = list(workspace_of(root).store.glob("*/checkpoint-*/model.safetensors"))
    assert damaged
    for weights in damaged:
        content = weights.read_bytes()
        weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert race(root, "--from", "latest") == 4
    assert "cannot be trusted" in capsys.readouterr().err


def plain(count: int, name: str) -> list[dict[str, object]]:
    return [{"prompt": f"Question {name} {number}", "completion": f"Answer {number}"} for number in range(count)]


Rows = Sequence[Mapping[str, object]]


@pytest.mark.parametrize(
    ("train", "held", "words"),
    [
        (plain(12, "train"), plain(3, "held"), "no training row has a grade"),
        (make_rows(9, "base"), make_rows(5, "holdout"), "9 graded rows are too few for a grade head, which needs 10."),
        (
            [{**row, "grade": 4} for row in make_rows(20, "base")],
            make_rows(5, "holdout"),
            "all rows have the same grade",
        ),
        (make_rows(20, "base"), None, "there is no hold-out"),
    ],
    ids=["no grades", "too few rows", "one grade", "no hold-out"],
)
def test_rows_that_allow_no_race_are_refused_before_a_model_is_loaded(
    workspace_factory: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
    train: Rows,
    held: Rows | None,
    words: str,
) -> None:
    root = workspace_factory(**{"model.name": "no/such-model"})
    write_rows(base_file(root), train)
    if held is None:
        holdout_file(root).unlink()
        holdout_file(root).parent.rmdir()
    else:
        write_rows(holdout_file(root), held)
    assert race(root) == 3
    err = capsys.readouterr().err
    assert words in err
    assert len(err.strip().splitlines()) == 1


def test_a_hold_out_of_one_row_has_no_intervals_and_the_race_is_printed(
    workspace_factory: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    root = workspace_factory(rows=20, holdout=1)
    report = told(root, capsys)
    found = report["race"]
    assert isinstance(found, dict)
    assert {row["figures"]["mae"]["low"] for row in found["rows"]} == {None}
    assert race(root) == 0
    out = capsys.readouterr().out
    assert "nan" not in out
    assert "too few different grades for a kappa" in " ".join(out.split())


def test_names_from_outside_cannot_write_to_the_terminal(
    workspace_factory: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    root = workspace_factory(rows=20, holdout=6)
    rows = [{**row, "id": f"\x1b]52;c;aGk=\x07{number}[red]"} for number, row in enumerate(make_rows(20, "base"))]
    write_rows(base_file(root), rows)
    assert race(root) == 0
    out = capsys.readouterr().out
    assert "\x1b]52" not in out
    assert "\x07" not in out
    assert "␛]52;c;aGk=␇" in out
    assert "[red]" in out


def test_areas_are_read_by_the_pattern_of_the_settings(
    workspace_factory: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    root = workspace_factory(rows=40, holdout=6)
    rows = make_rows(40, "base")
    for number, row in enumerate(rows):
        row["feedback"] = f"[{'Layout' if number % 2 else 'Naming'}] is wrong."
    write_rows(base_file(root), rows)
    assert told(root, capsys)["areas"] is None
    found = told(root, capsys, "--set", r"grading.area_pattern=\[([A-Z][a-z]+)\]")["areas"]
    assert isinstance(found, dict)
    assert found["failed"] == {"Layout": 20, "Naming": 20}
    assert race(root, "--set", "grading.area_pattern=[A-Z]+:") == 2
    assert "grading.area_pattern has no group. Put the area's name in parentheses" in capsys.readouterr().err


def test_letters_are_told_as_letters(
    workspace_factory: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    root = workspace_factory(**{"grading.grades": ["F", "D", "C", "B", "A"]})
    for path, name, count in ((base_file(root), "base", 30), (holdout_file(root), "holdout", 8)):
        write_rows(path, [{**row, "grade": "FDCBA"[int(str(row["grade"])) - 1]} for row in make_rows(count, name)])
    disputed = told(root, capsys)["disputed"]
    assert isinstance(disputed, list)
    assert disputed
    assert {row[side] for row in disputed for side in ("given", "graded")} <= set("FDCBA")


def test_people_who_disagree_are_the_ceiling_of_the_race(
    workspace_factory: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    root = workspace_factory(rows=20, holdout=12)
    assert told(root, capsys)["raters"] is None
    rows = make_rows(12, "holdout")
    for at, row in enumerate(rows):
        row["grades"] = [row["grade"], 1 + at % 5, 3]
    write_rows(holdout_file(root), rows)
    raters = told(root, capsys)["raters"]
    assert isinstance(raters, dict)
    assert (raters["rows"], raters["compared"]) == (12, 12)
    assert raters["kappa"]["low"] <= raters["kappa"]["value"] <= raters["kappa"]["high"]
    assert race(root) == 0
    words = " ".join(capsys.readouterr().out.split())
    assert "Two people agree with kappa" in words
    assert "On the 12 hold-out rows among them" in words


def test_a_row_that_a_person_has_confirmed_is_not_disputed_again(
    workspace_factory: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    root = workspace_factory(rows=30, holdout=8)
    disputed = told(root, capsys)["disputed"]
    assert isinstance(disputed, list)
    first = disputed[0]
    assert cli.main(["regrade", "-w", str(root), first["id"], first["given"]]) == 0
    capsys.readouterr()
    again = told(root, capsys)["disputed"]
    assert isinstance(again, list)
    assert first["id"] not in {row["id"] for row in again}
    assert again[0] == disputed[1]


def test_pleas_are_measured_on_request_for_heads_and_n_grams(
    workspace_factory: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    root = workspace_factory(rows=20, holdout=8)
    assert told(root, capsys)["pleas"] == []
    report = told(root, capsys, "--pleas")
    pleas = report["pleas"]
    assert isinstance(pleas, list)
    assert {row["way"] for row in pleas} == {"n-grams", "base head"}
    assert {row["change"] for row in pleas} >= {"stated grade", "plea", "padding", "copied rubric"}
    for row in pleas:
        assert row["rows"] == 8
        assert 0 <= row["changed"]["value"] <= 1
        assert abs(row["shift"]["value"]) <= 4
        # a mean shift needs grades that moved
        assert row["changed"]["value"] > 0 or row["shift"]["value"] == 0
    assert race(root, "--pleas") == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    words = " ".join(out.split())
    assert "Can it be talked into a grade?" in words
    assert "a comment that states the" in words
    # what was read once is known
    assert told(root, capsys, "--pleas")["pleas"] == pleas


def test_a_checkpoints_head_is_asked_too(
    trained_workspace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = copy_workspace(trained_workspace, tmp_path / "copy")
    pleas = told(root, capsys, "--from", "latest", "--pleas")["pleas"]
    assert isinstance(pleas, list)
    assert {row["way"] for row in pleas} == {"n-grams", "base head", "step head"}


def test_a_head_that_is_held_steady_is_measured_as_such(
    workspace_factory: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    root = workspace_factory(rows=40, holdout=12, **{"data.max_length": 256})
    write_rows(base_file(root), make_readable_rows(40, "base"))
    write_rows(holdout_file(root), make_readable_rows(12, "holdout"))
    plain = told(root, capsys, "--pleas")
    assert plain["models"][0]["steady"] is None  # type: ignore[index]
    steady = told(root, capsys, "--pleas", "--set", "grading.steady=true")
    cost = steady["models"][0]["steady"]  # type: ignore[index]
    assert (cost["copies"], cost["read"], cost["seconds"] > 0) == (40, 40, True)
    moved = [
        sum(row["changed"]["value"] for row in report["pleas"] if row["way"] == "base head")  # type: ignore[attr-defined]
        for report in (plain, steady)
    ]
    assert moved[1] < moved[0]
    assert [row for row in plain["pleas"] if row["way"] == "n-grams"] == [  # type: ignore[attr-defined]
        row
        for row in steady["pleas"]
        if row["way"] == "n-grams"  # type: ignore[attr-defined]
    ]
    # the label doctor asks the same head
    assert cli.main(["regrade", "-w", str(root), "--list", "--json", "--set", "grading.steady=true"]) == 0
    listed = json.loads(capsys.readouterr().out)["disputed"]
    assert [(row["id"], row["surprise"]) for row in listed[:10]] == [
        (row["id"], pytest.approx(row["surprise"]))
        for row in steady["disputed"]  # type: ignore[attr-defined]
    ]
    assert race(root, "--set", "grading.steady=true") == 0
    words = " ".join(capsys.readouterr().out.split())
    assert f"Its head is {steadied(40)}, all from the cache." in words
