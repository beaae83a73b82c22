"""``propose``: which rows are proposed, how the file is filled and taken, and what is left out."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from engine_helpers import base_file, batch_file, holdout_file, make_rows, write_rows

from opeddev_tui import cli
from opeddev_tui.config.loading import load
from opeddev_tui.config.settings import Settings
from opeddev_tui.data.batches import check_data, find_batches
from opeddev_tui.data.proposed_batch import next_name
from opeddev_tui.errors import Problem

Make = Callable[..., Path]


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def propose(root: Path, *words: str) -> int:
    return cli.main(["propose", "-w", str(root), *words])


def ungraded(count: int, name: str = "new") -> list[dict[str, object]]:
    return [{**row, "grade": "", "feedback": ""} for row in make_rows(count, name)]


def written(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def proposal(root: Path) -> Path:
    (path,) = (root / "datasets/proposed").iterdir()
    return path


def filled(path: Path, grades: Sequence[object] | None = None) -> None:
    rows = written(path)
    write_rows(
        path,
        [{**row, "grade": grades[at] if grades else 1 + at % 5, "feedback": "fine"} for at, row in enumerate(rows)],
    )


def problems(root: Path) -> list[Problem]:
    return check_data(root, load(root, environment={}).settings).problems


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A folder of source files as people have them."""
    folder = tmp_path / "sources"
    files: dict[str, bytes] = {
        "one/index.html": b"<h1>first page of mine</h1>",
        "one/style.css": b"h1 { color: red; margin: 0 auto }",
        "one/app.js": "const größe = 1; console.log(größe)".encode(),
        "two/INDEX.HTM": b"\xef\xbb\xbf<h2>second page of mine</h2>",
        "two/copy.html": b"<h1>first  page of mine</h1>\n",
        "two/empty.html": b" \n",
        "two/picture.html": b"GIF\x00\x01",
        "two/old.html": "<p>Größe</p>".encode("latin-1"),
        "node_modules/lib/index.js": b"module.exports = 1",
        ".git/hook.js": b"hidden",
        "README.md": b"not a source file",
    }
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    (folder / "one/link.html").symlink_to(folder / "one/index.html")
    return folder


def test_a_folder_of_source_files_becomes_a_batch_that_is_filled_in_and_taken(
    workspace_factory: Make, sources: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = workspace_factory(rows=20, batches=(20,))
    assert propose(root, str(sources)) == 0
    told = capsys.readouterr().out
    for words in ("folders of libraries", "empty files", "files that are no text", "files that are not UTF-8"):
        assert f"{words} (1)" in told
    assert "copies of each other (1)" in told
    path = proposal(root)
    assert path.name == "batch_100_02.jsonl"
    rows = written(path)
    assert sorted(str(row["id"]) for row in rows) == ["one/app.js", "one/index.html", "one/style.css", "two/INDEX.HTM"]
    for row in rows:
        assert (row["grade"], row["feedback"], row["rubric"]) == ("", "", "It works.")
        guess = row["proposed"]
        assert isinstance(guess, dict)
        assert guess["grade"] in guess["probabilities"]
        assert sum(guess["probabilities"].values()) == pytest.approx(1, abs=0.01)
    assert {row["id"]: row["kind"] for row in rows}["two/INDEX.HTM"] == "html"
    # nothing of it is trained on before it is taken
    assert [batch.name for batch in find_batches(root, load(root, environment={}).settings.paths)] == [
        "base",
        "batch_100_01",
    ]
    filled(path)
    assert propose(root, "--take", str(path)) == 0
    assert "The next batch is datasets/incremental/batch_100_02.jsonl (4 rows)." in capsys.readouterr().out
    assert not path.exists()
    assert problems(root) == []
    loaded = check_data(root, load(root, environment={}).settings).batches[-1]
    assert (loaded.batch.number, len(loaded.examples)) == (2, 4)
    assert all("proposed" not in example.completion for example in loaded.examples)


def test_the_choice_depends_on_the_seed_alone(workspace_factory: Make, tmp_path: Path) -> None:
    root = workspace_factory(rows=20)
    write_rows(tmp_path / "new.jsonl", ungraded(30))
    chosen = []
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        out = tmp_path / f"{name}.jsonl"
        assert propose(root, str(tmp_path / "new.jsonl"), "--count", "8", "--seed", seed, "--out", str(out)) == 0
        chosen.append(out.read_bytes())
    assert chosen[0] == chosen[1] != chosen[2]
    assert len(written(tmp_path / "a.jsonl")) == 8


def test_from_a_hundred_graded_rows_on_the_draw_is_random(
    workspace_factory: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_rows(tmp_path / "new.jsonl", ungraded(30))
    for rows, words in ((40, "typical rows of clusters"), (100, "drawn at random")):
        root = workspace_factory(rows=rows)
        assert propose(root, str(tmp_path / "new.jsonl"), "--count", "6") == 0
        assert f"Proposed: 6 of 30 rows ({words})" in capsys.readouterr().out
        assert all("proposed" in row for row in written(proposal(root)))
    assert propose(root, str(tmp_path / "new.jsonl"), "--count", "all", "--out", str(tmp_path / "all.jsonl")) == 0
    assert "Proposed: 24 of 24 rows" in capsys.readouterr().out
    assert len(written(tmp_path / "all.jsonl")) == 24


def test_copies_of_rows_anywhere_are_left_out_and_counted(
    workspace_factory: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = workspace_factory(rows=20, batches=(20,), **{"paths.test": "test.jsonl"})
    write_rows(root / "test.jsonl", make_rows(6, "sealed"))
    every = [
        *ungraded(3, "base"),
        *ungraded(2, "batch1"),
        *ungraded(4, "holdout"),
        *ungraded(1, "sealed"),
        *ungraded(9),
    ]
    write_rows(tmp_path / "new.jsonl", every)
    assert propose(root, str(tmp_path / "new.jsonl"), "--count", "5") == 0
    told = capsys.readouterr().out
    for words in ("copies of training rows (5)", "copies of hold-out rows (4)", "copies of test rows (1)"):
        assert words in told
    # what waits already is not proposed again
    assert propose(root, str(tmp_path / "new.jsonl"), "--count", "5") == 0
    assert "copies of rows that are proposed already (5)" in capsys.readouterr().out
    paths = sorted((root / "datasets/proposed").iterdir())
    assert [path.name for path in paths] == ["batch_100_02.jsonl", "batch_100_02_2.jsonl"]
    ids = [row["id"] for path in paths for row in written(path)]
    assert len(ids) == len(set(ids)) == 9
    assert propose(root, str(tmp_path / "new.jsonl")) == 3
    assert "nothing is left to grade" in capsys.readouterr().err


def test_rows_that_have_a_grade_are_left_out(
    workspace_factory: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = workspace_factory()
    write_rows(tmp_path / "new.jsonl", [*ungraded(3), *make_rows(4, "done"), {"id": "x", "submission": " "}])
    assert propose(root, str(tmp_path / "new.jsonl")) == 0
    told = capsys.readouterr().out
    assert "rows without a submission (1)" in told
    assert "rows that have a grade already (4)" in told
    assert len(written(proposal(root))) == 3


def test_a_table_with_names_of_its_own_is_read_and_taken(workspace_factory: Make, tmp_path: Path) -> None:
    columns = {"data.columns": {"submission": "code", "grade": "score"}}
    root = workspace_factory(**columns)
    for path in (base_file(root), holdout_file(root)):
        rows = [{**row, "code": row["submission"], "score": row["grade"]} for row in written(path)]
        write_rows(path, [{k: v for k, v in row.items() if k not in ("submission", "grade")} for row in rows])
    (tmp_path / "new.csv").write_text("code,score,who\n<p>a b c d</p>,,ada\n<p>e f g h</p>,,bob\n")
    assert propose(root, str(tmp_path / "new.csv")) == 0
    path = proposal(root)
    assert {row["who"] for row in written(path)} == {"ada", "bob"}
    filled(path, [2, 5])
    assert propose(root, "--take", str(path)) == 0
    assert problems(root) == []
    loaded = check_data(root, load(root, environment={}).settings).batches[-1]
    assert sorted(item.grade or 0 for item in loaded.examples) == [2, 5]


def test_task_and_rubric_are_the_usual_ones_unless_they_are_given(workspace_factory: Make, tmp_path: Path) -> None:
    root = workspace_factory()
    (tmp_path / "page.html").write_text("<p>one page alone</p>")
    (tmp_path / "task.md").write_text("Make a page of one's own.\n")
    assert propose(root, str(tmp_path / "page.html"), "--task", f"@{tmp_path / 'task.md'}") == 0
    (row,) = written(proposal(root))
    assert (row["task"], row["rubric"], row["kind"]) == ("Make a page of one's own.", "It works.", "html")


def test_proposed_grades_can_be_left_out(workspace_factory: Make, tmp_path: Path) -> None:
    root = workspace_factory()
    write_rows(tmp_path / "new.jsonl", ungraded(4))
    assert propose(root, str(tmp_path / "new.jsonl"), "--blind") == 0
    assert not any("proposed" in row for row in written(proposal(root)))


def test_the_very_first_rows_are_proposed_before_there_is_any_set(
    workspace_factory: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = workspace_factory()
    base_file(root).unlink()
    holdout_file(root).unlink()
    write_rows(tmp_path / "new.jsonl", ungraded(12))
    assert propose(root, str(tmp_path / "new.jsonl"), "--count", "5") == 0
    assert "too few graded rows to propose grades" in capsys.readouterr().out
    path = proposal(root)
    assert path.name == "batch_5_01.jsonl"
    filled(path)
    assert propose(root, "--take", str(path)) == 3
    assert path.exists()


# --- taking


def taken_back(root: Path, words: str, capsys: pytest.CaptureFixture[str], path: Path) -> None:
    before = path.read_bytes()
    names = [item.name for item in (root / "datasets/incremental").iterdir()]
    assert propose(root, "--take", str(path)) == 3
    assert words in capsys.readouterr().err
    assert path.read_bytes() == before
    assert [item.name for item in (root / "datasets/incremental").iterdir()] == names


def test_unfilled_rows_are_named_and_nothing_is_moved(
    workspace_factory: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = workspace_factory(batches=(20,))
    write_rows(tmp_path / "new.jsonl", ungraded(4))
    assert propose(root, str(tmp_path / "new.jsonl")) == 0
    path = proposal(root)
    rows = written(path)
    rows[0] |= {"grade": 3, "feedback": "fine"}
    rows[1] |= {"grade": 3}
    rows[2] |= {"feedback": "no grade yet"}
    write_rows(path, rows)
    taken_back(root, f"{path}:2: row {rows[1]['id']} has no feedback yet", capsys, path)
    taken_back(root, f"{path}:3: row {rows[2]['id']} has no grade yet", capsys, path)
    taken_back(root, f"{path}:4: row {rows[3]['id']} has no grade and no feedback yet", capsys, path)


WRONG: dict[str, tuple[Callable[[Path, Path], None], str]] = {
    "a grade off the scale": (lambda _root, path: filled(path, [3, 9, 3, 3]), "the grade is 9"),
    "a copy of a hold-out row": (
        lambda _root, path: write_rows(path, make_rows(4, "holdout")),
        "the hold-out row",
    ),
    "a copy of a test row": (lambda _root, path: write_rows(path, make_rows(4, "sealed")), "a row of the test set"),
    "another form": (
        lambda _root, path: write_rows(path, [{"prompt": "a", "completion": "Grade: 3", "grade": 3, "feedback": "x"}]),
        "rows",
    ),
    "not JSON": (lambda _root, path: path.write_text("{"), "the row is cut off"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_file_that_would_be_refused_later_is_refused_now(
    workspace_factory: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    root = workspace_factory(batches=(20,), **{"paths.test": "test.jsonl"})
    write_rows(root / "test.jsonl", make_rows(6, "sealed"))
    write_rows(tmp_path / "new.jsonl", ungraded(4))
    assert propose(root, str(tmp_path / "new.jsonl")) == 0
    path = proposal(root)
    do, words = WRONG[case]
    do(root, path)
    taken_back(root, words, capsys, path)


@pytest.mark.parametrize("place", ["datasets/incremental/new.jsonl", "datasets/processed_webdev_coding/new.jsonl"])
def test_a_proposal_is_not_written_where_rows_are_read(
    workspace_factory: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str], place: str
) -> None:
    root = workspace_factory(batches=(20,))
    write_rows(tmp_path / "new.jsonl", ungraded(4))
    assert propose(root, str(tmp_path / "new.jsonl"), "--out", str(root / place)) == 3
    assert "read before they are graded" in capsys.readouterr().err
    assert not (root / place).exists()


def test_no_file_is_overwritten(workspace_factory: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = workspace_factory()
    write_rows(tmp_path / "new.jsonl", ungraded(4))
    (tmp_path / "mine.jsonl").write_text("mine")
    assert propose(root, str(tmp_path / "new.jsonl"), "--out", str(tmp_path / "mine.jsonl")) == 4
    assert "is there already" in capsys.readouterr().err
    assert (tmp_path / "mine.jsonl").read_text() == "mine"


NAMES = {
    (): "batch_7_01",
    ("batch_100_01", "batch_100_02"): "batch_100_03",
    ("batch_100_9",): "batch_100_10",
    ("batch_100_99",): "batch_100_100",
    ("batch_50_01", "batch_100_01"): "batch_100_02",
    ("spring",): "spring_02",
    ("batch_100_01", "more.d"): "more.d_02",
    ("2025-12", "2026-01"): "2026-02",
}


@pytest.mark.parametrize("names", NAMES)
def test_the_next_batch_sorts_behind_all_others(tmp_path: Path, names: tuple[str, ...]) -> None:
    for name in names:
        (tmp_path / "datasets/incremental" / name).mkdir(parents=True)
    assert next_name(tmp_path, Settings(), 7) == NAMES[names]


def test_a_chat_workspace_is_told_what_form_it_would_need(
    workspace_factory: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = workspace_factory()
    turns = [{"role": "user", "content": "grade it"}, {"role": "assistant", "content": "Grade: 3"}]
    write_rows(base_file(root), [{"messages": turns}] * 3)
    write_rows(tmp_path / "new.jsonl", ungraded(2))
    assert propose(root, str(tmp_path / "new.jsonl")) == 3
    assert "the base set has messages rows" in capsys.readouterr().err
    assert not batch_file(root, 1).exists()


def test_a_link_to_a_filled_file_is_taken_as_a_file_of_its_own(workspace_factory: Make, tmp_path: Path) -> None:
    root = workspace_factory(batches=(20,))
    write_rows(tmp_path / "mine.jsonl", make_rows(3, "new"))
    (tmp_path / "link.jsonl").symlink_to("mine.jsonl")
    assert propose(root, "--take", str(tmp_path / "link.jsonl")) == 0
    taken = root / "datasets/incremental/batch_100_02.jsonl"
    assert not taken.is_symlink()
    assert taken.read_bytes() == (tmp_path / "mine.jsonl").read_bytes()
    assert taken.stat().st_ino != (tmp_path / "mine.jsonl").stat().st_ino


def test_names_that_are_no_text_are_written_with_marks(workspace_factory: Make, tmp_path: Path) -> None:
    root = workspace_factory()
    (tmp_path / "files").mkdir()
    with open(bytes(tmp_path / "files") + b"/gr\xf6sse.html", "wb") as file:
        file.write(b"<p>a page</p>")
    assert propose(root, str(tmp_path / "files")) == 0
    assert [row["id"] for row in written(proposal(root))] == ["gr\ufffdsse.html"]


def test_a_folder_that_cannot_be_written_leaves_everything_where_it_is(
    workspace_factory: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = workspace_factory()
    write_rows(tmp_path / "new.jsonl", make_rows(3, "new"))
    (root / "datasets/incremental").write_text("a file")
    assert propose(root, "--take", str(tmp_path / "new.jsonl")) in (3, 4)
    assert (tmp_path / "new.jsonl").exists()
    (root / "datasets/proposed").write_text("a file")
    write_rows(tmp_path / "more.jsonl", ungraded(3, "more"))
    (root / "datasets/incremental").unlink()
    assert propose(root, str(tmp_path / "more.jsonl")) == 4
    assert "cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["propose", "rows.jsonl"], ["regrade", "--list"]])
@pytest.mark.parametrize("count", ["-1", "1.5", "many", "", "ALL", "²", "0x5"])
def test_a_count_is_a_whole_number_or_all(command: list[str], count: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main([*command, f"--count={count}"])
    assert left.value.code == 2
    assert f"--count: '{count}' is neither a whole number from" in capsys.readouterr().err


def test_a_proposal_has_at_least_one_row(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["propose", "rows.jsonl", "--count", "0"])
    assert "from 1 on nor all" in capsys.readouterr().err
