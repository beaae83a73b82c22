"""The report: complete, self-contained, and safe to open whatever a model wrote."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import journal_samples as js
import pytest
from msgspec.structs import replace

from opeddev_tui.analysis.word_diff import word_differences
from opeddev_tui.cli import main
from opeddev_tui.errors import DataProblem
from opeddev_tui.reports.content import readable, summary
from opeddev_tui.reports.report import cell, fenced, write_report
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.grade_records import FeedbackText, Figure, RacedWay
from opeddev_tui.runs.grade_words import graded_by, steadied_heads
from opeddev_tui.runs.history import list_runs
from opeddev_tui.workspace.paths import Workspace


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """The HTML page and the Markdown file of three steps with everything in them."""
    root = tmp_path_factory.mktemp("report")
    extra: list[ev.AnyEvent] = [
        ev.Annotated(epoch=2, note=f"observed {js.NASTY}"),
        ev.Rated(epoch=2, prompt=0, left="now", right="before", preferred="now", round_seed=1),
        ev.Rated(epoch=2, prompt=1, left="now", right="before", preferred="tie", round_seed=1),
    ]
    runs = [
        js.run_events(0, [4.0, 2.0, 1.3], texts=(f"same word {js.NASTY}", "same term"), against=True) + extra,
        js.run_events(1, [1.3, 0.95, 0.9]),
        js.run_events(2, [0.9, 0.8, 0.75], texts=("same word", "same term")),
        js.run_events(3, [0.7])[:3],
    ]
    workspace = js.make_workspace(root, runs)
    page, markdown = write_report(workspace, list_runs(workspace))
    return page.read_text(), markdown.read_text()


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_everything_is_in_it(pages: tuple[str, str]) -> None:
    """Each section of the issue, in both files."""
    for text in pages:
        for expected in (
            "3 steps on 300 rows took the hold-out loss from 4.000 to 0.750",
            "Is more data worth it?",
            "Decisions",
            "against the verdict",
            "observed",
            "Human scores",
            "0.75",
            "commonest grade: exact",
            "n-gram grader: exact",
            "n-gram grader: kappa",
            "middle grade",
            "abababababab",
            "cdcdcdcdcdcd",
            "0.003",
            "2e-05",
            "torch",
            "8.0 GiB",
            "opeddev-tui repeat run-2",
            "run-3",
            "before any training",
        ):
            assert expected.lower() in text.replace("\\", "").lower(), expected


def test_nothing_from_outside(pages: tuple[str, str]) -> None:
    """No script, no address, and a policy that would forbid them."""
    page, _ = pages
    tags = _Tags()
    tags.feed(page)
    assert not {"script", "link", "iframe", "object", "a", "form", "base"} & {tag for tag, _ in tags.found}
    for tag, attributes in tags.found:
        assert not any(name.startswith("on") or name in ("style", "href") for name in attributes), tag
        assert (attributes.get("src") or "data:").startswith("data:")
    policy = next(values["content"] for tag, values in tags.found if values.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert "unsafe" not in policy
    assert sum(tag == "img" for tag, _ in tags.found) == 4


def test_untrusted_text_is_inert(pages: tuple[str, str]) -> None:
    """Tags are escaped, control characters are pictures, Markdown stays text."""
    page, markdown = pages
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page
    for text in pages:
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text)
    outside = re.sub(r"^(`{3,})\n.*?^\1$", "", markdown, flags=re.MULTILINE | re.DOTALL)
    assert "<script" not in outside
    assert not re.search(r"[^\\]\]\(http", outside)
    assert "\\[link\\](http" in outside


def test_differences_are_marked(pages: tuple[str, str]) -> None:
    """Words that went are struck, words that came underlined."""
    page, markdown = pages
    assert "<del>word</del>" in page or re.search(r"<del>word", page)
    assert "<ins>term</ins>" in page
    assert "**term" in markdown


def test_word_differences() -> None:
    """The pieces make up the texts again."""
    before, after = word_differences("Grade: 3, too wide", "Grade: 4, too narrow")
    assert "".join(piece.text for piece in before) == "Grade: 3, too wide"
    assert [(piece.kind, piece.text) for piece in after if piece.kind == "added"] == [
        ("added", "4"),
        ("added", "narrow"),
    ]


def test_markdown_escapes() -> None:
    """A cell stays a cell, a code block ends where it should."""
    assert cell("a|b\n*c* <b>") == "a\\|b⏎\\*c\\* &lt;b&gt;"
    assert fenced("x\n````\ny").startswith("`````\n")
    assert readable("a\n\n \n\n\nb") == "a\n⏎×5\nb"


def test_nothing_trained(tmp_path: Path) -> None:
    """A clear sentence instead of an empty page."""
    workspace = js.make_workspace(tmp_path, [])
    with pytest.raises(DataProblem, match="nothing is trained yet"):
        write_report(workspace, [])


def test_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`plot`, `report` and `export-logs` from the command line."""
    workspace = js.make_workspace(tmp_path, [js.run_events(0, [2.0, 1.0])])
    assert main(["report", "-w", str(tmp_path)]) == 0
    assert "report.html" in capsys.readouterr().out
    assert main(["plot", "-w", str(tmp_path)]) == 0
    assert "loss_step_base.png" in capsys.readouterr().out
    target = tmp_path / "numbers.jsonl"
    assert main(["export-logs", "-w", str(tmp_path), "--jsonl", str(target)]) == 0
    rows = [json.loads(line) for line in target.read_text().splitlines()]
    last = [row for row in rows if row["name"] == "epoch/val_loss"][-1]
    assert (last["run"], last["value"], last["global_step"]) == ("run-0", 1.0, 10)
    assert sum(row["name"] == "train/loss" for row in rows) == 10
    assert workspace.run_ids() == ["run-0"]


def test_steps_on_other_versions_of_the_hold_out_are_no_course() -> None:
    """Where grades of the hold-out were corrected between two steps, the summary does not run from one to the other."""
    records = [js.record(js.run_events(step, losses)) for step, losses in enumerate(([1.5, 1.2], [1.1, 0.9]))]
    assert "took the hold-out loss from 1.500 to 0.900" in summary(records)
    assert records[0].state.started is not None
    records[0].state.started = replace(records[0].state.started, holdout_fingerprint="other")
    told = summary(records)
    assert "took the hold-out loss from 1.100 to 0.900" in told
    assert "Step 0 was scored on another hold-out than step 1" in told


# --- grades


def raced_workspace(tmp_path: Path) -> Workspace:
    """One step with a race, its file, and forced feedback; ids and texts would break markup."""
    figure = {"kappa": Figure(0.5, 0.2, 0.7), "exact": Figure(0.4, 0.3, 0.5), "signed_error": Figure(-0.001, -0.3, 0.3)}
    ways = (
        RacedWay("n-grams", "the n-gram grader", figure, cheap=True),
        RacedWay("base head", "the head on the base model", figure, mode="head", claim="The claim holds."),
        RacedWay("step text", "the texts", {"kappa": Figure(None)}, answered=0.5, mode="text", tuned=True),
    )
    text = FeedbackText(
        js.NASTY, "html", "Grade: 3", "3", ("Names",), "2", ("Names",), f"Grade: 2\n{js.NASTY}", "free words", ()
    )
    events = [
        *js.run_events(0, [2.0, 1.0], finished=False),
        ev.HeadFitted(head="base", epoch=0, rows=100, steadied=24),
        ev.RaceHeld(
            epoch=1, rows=100, holdout_rows=50, ways=ways, chosen="base head", verdict="The head | grades.",
            tuning="It was not worth it.", needs="some/base", checkpoint="run-0/checkpoint-10",
        ),
        ev.FeedbackWritten(epoch=1, head="base head", texts=(text,), f1={"forced": 0.8, "free": 0.3}),
    ]  # fmt: skip
    workspace = js.make_workspace(tmp_path, [events])
    estimate = {"value": 0.92, "low": 0.8, "high": None}
    report = {
        "sets": {"promised": 0.9, "covered": estimate, "mean_size": 3.1},
        "disputes": 7,
        "parts": [{"by": "kind", "value": "html", "rows": 20, "figures": {"kappa": estimate}}],
        "calibration": [{"confidence": 0.3 * at, "right": estimate, "rows": 25} for at in (1, 2)],
        "forecast": {
            "rows": 100,
            "added": 100,
            "now": 0.5,
            "then": 0.6,
            "gain": {"value": 0.1, "low": 0.0, "high": 0.2},
        },
        "areas": {"failed": {}, "f1": 0.7, "f1_all": 0.6},
        "something": "of a later version",
    }
    content = {"run": "run-0", "step": 0, "epoch": 1, "checkpoint": "", "report": report}
    workspace.race_file("run-0").write_text(json.dumps(content), encoding="utf-8")
    return workspace


def test_the_section_on_grades_tells_the_race_and_shows_forced_feedback(tmp_path: Path) -> None:
    workspace = raced_workspace(tmp_path)
    page, markdown = (path.read_text() for path in write_report(workspace, list_runs(workspace)))
    for text in (page, markdown):
        for words in (
            "It was not worth it.", "some/base is needed too: instead of the checkpoint", "base head: The claim holds.",
            "92% of the hold-out rows", "7 training rows another grade: opeddev-tui regrade --list",
            "100 more rows may also bring nothing; if not: kappa 0.50 → 0.60",
            "F1 0.70 out of fold", "forced 0.80", "the head on the base model (chosen)", "fitted on 100 graded rows",
            "free words", graded_by("base head"), steadied_heads(24),
        ):  # fmt: skip
            assert words in text.replace("\\", ""), words
        assert "-0.00" not in text
    assert "<script>" not in page
    assert "The head \\| grades." in markdown
    assert "grade_calibration.png" in markdown
    assert (tmp_path / ".specs/plots/grade_calibration.png").stat().st_size > 5000


def test_a_race_file_that_is_damaged_or_gone_leaves_what_the_journal_tells(tmp_path: Path) -> None:
    workspace = raced_workspace(tmp_path)
    path = workspace.race_file("run-0")
    for content in (b"{", b"[]", b'{"epoch": 2, "report": {"disputes": 3}}', None):
        if content is None:
            path.unlink()
        else:
            path.write_bytes(content)
        markdown = write_report(workspace, list_runs(workspace))[1].read_text()
        assert "It was not worth it." in markdown
        assert "another grade" not in markdown


def test_runs_without_a_race_have_no_section_on_grades(tmp_path: Path) -> None:
    workspace = js.make_workspace(tmp_path, [js.run_events(0, [2.0, 1.0])])
    markdown = write_report(workspace, list_runs(workspace))[1].read_text()
    assert "## Grades\n" not in markdown
    assert "grade_calibration" not in markdown
