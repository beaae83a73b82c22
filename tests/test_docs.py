"""What README and docs show is there: every command with its actions and options, every link, every file."""

import re
import shlex
from pathlib import Path

import pytest

from opeddev_tui.cli import COMMANDS, build_parser

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    path for folder in (ROOT, ROOT / "docs", ROOT / "benchmarks/reliability") for path in folder.glob("*.md")
)
_BLOCK = re.compile(r"```(?:ba)?sh\n(.*?)```", re.DOTALL)
_INLINE = re.compile(r"`opeddev-tui ([^`]+)`")
# in a shell's line also behind a folder or as a module
_NAME = re.compile(r"(?:^|[\s/])opeddev[-_]tui(?: |$)")
# notation of what may be left out, or stands for something else
_NOTATION = re.compile(r"[\[\]|…]")


def _calls(page: Path) -> list[str]:
    """Return what follows ``opeddev-tui`` in the page's shell blocks and in its inline code."""
    text = page.read_text(encoding="utf-8")
    shown = [line.partition("#")[0] for block in _BLOCK.findall(text) for line in _joined(block).splitlines()]
    typed = [re.split(r"[|&;<>]", call)[0] for line in shown for call in _NAME.split(line)[1:]]
    return [*typed, *(" ".join(call.split()) for call in _INLINE.findall(text) if not _NOTATION.search(call))]


def _joined(block: str) -> str:
    return block.replace("\\\n", " ")


CALLS = sorted({(page.name, call.strip()) for page in PAGES for call in _calls(page)})


def test_calls_are_found_in_blocks_and_in_lines() -> None:
    assert ("README.md", "grade src/ --fail-below 3") in CALLS
    assert ("first-ten-minutes.md", "decide -w opeddev-demo continue") in CALLS
    assert ("scaling.md", "train -w /shared/my-grader") in CALLS


@pytest.mark.parametrize(("page", "call"), CALLS)
def test_a_call_that_is_shown_can_be_typed(page: str, call: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = shlex.split(call)
    if not words or (words[0] not in COMMANDS and ("/" in words[0] or words[0].startswith(("-", "opeddev-")))):
        # a folder: the app is opened there
        words = ["open", *words]
    try:
        build_parser().parse_args(words)
    except SystemExit as end:
        told = capsys.readouterr().err
        # a name is shown without what it needs
        assert end.code == 0 or "are required" in told or "expected one argument" in told, f"{page}: {told}"  # noqa: PT017


# --- links and files

_LINK = re.compile(r"\]\(([^)\s:]+)\)")
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
# a file is named by its path below one of these folders, a test or benchmark also by its name alone
_BELOW = (ROOT, ROOT / "opeddev_tui", ROOT / "tests", ROOT / "benchmarks", ROOT / "benchmarks/reliability")
_FILE = re.compile(r"`((?:[\w-]+/)*[\w-]+\.(?:py|c))\b[^`]*`")


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_every_link_leads_to_a_page_and_a_heading(page: Path) -> None:
    for link in _LINK.findall(page.read_text(encoding="utf-8")):
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        if anchor:
            assert anchor in map(_anchor, _HEADING.findall(target.read_text(encoding="utf-8"))), link


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_every_file_of_the_project_that_a_page_names_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    tests = {path.stem for path in (ROOT / "tests").rglob("test_*.py")}
    assert set(re.findall(r"`(test_\w+)`", text)) <= tests
    # grade.py is the one that an export has
    named = set(_FILE.findall(text)) - {"grade.py"}
    assert [name for name in sorted(named) if not any((folder / name).exists() for folder in _BELOW)] == []
