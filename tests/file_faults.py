"""Owns damage to the app's own files: what can be done to one, and whether the app says what it can no longer tell."""

import contextlib
import io
import json
import os
import random
import shutil
import signal
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import engine_helpers as eh
import msgspec
from recorded_training import without_learning

from opeddev_tui.checkpoints import catalog, pins
from opeddev_tui.cli import main
from opeddev_tui.config import loading
from opeddev_tui.data.corrections import Correction
from opeddev_tui.errors import Problem
from opeddev_tui.files import append_line
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.control import Control, Pause, send
from opeddev_tui.runs.live_file import read_live
from opeddev_tui.runs.looks import Look, read_looks, record_look
from opeddev_tui.runs.mailbox import MAILBOX_NAME
from opeddev_tui.runs.notes import annotate, record
from opeddev_tui.ui.state.reader import WorkspaceReader
from opeddev_tui.ui.themes import load_themes
from opeddev_tui.workspace.lock import Holder, who_trains
from opeddev_tui.workspace.paths import corrections_file

# seconds that one look at a damaged workspace may take
PATIENCE = 20
Damage = Callable[[Path, random.Random], None]


# --- what can be done to a file


def _content(make: Callable[[bytes, random.Random], bytes]) -> Damage:
    def damage(path: Path, draw: random.Random) -> None:
        path.write_bytes(make(path.read_bytes(), draw))

    return damage


def _flip(content: bytes, draw: random.Random) -> bytes:
    changed = bytearray(content or b"\0")
    changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def _high_bit(content: bytes, draw: random.Random) -> bytes:
    changed = bytearray(content or b"\0")
    changed[draw.randrange(len(changed))] |= 0x80
    return bytes(changed)


def _without_a_part(content: bytes, draw: random.Random) -> bytes:
    first, last = sorted(draw.randrange(len(content) + 1) for _ in range(2))
    return content[:first] + content[last:]


def _with_noise(content: bytes, draw: random.Random) -> bytes:
    at = draw.randrange(len(content) + 1)
    return content[:at] + draw.randbytes(draw.randrange(1, 40)) + content[at:]


def _zeros(content: bytes, draw: random.Random) -> bytes:
    at = draw.randrange(len(content) + 1)
    return content[:at] + b"\0" * (len(content) - at)


def _instead(make: Callable[[Path], None]) -> Damage:
    def damage(path: Path, draw: random.Random) -> None:  # noqa: ARG001 - as all damage
        path.unlink(missing_ok=True)
        make(path)

    return damage


def _huge(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 42)


def _folder(path: Path) -> None:
    path.mkdir()
    (path / "inside").touch()


DAMAGE: dict[str, Damage] = {
    "one bit flipped": _content(_flip),
    "a byte that is no UTF-8": _content(_high_bit),
    "cut short": _content(lambda content, draw: content[: draw.randrange(len(content) + 1)]),
    "a part missing": _content(_without_a_part),
    "noise inside": _content(_with_noise),
    "zeros to the end": _content(_zeros),
    "twice": _content(lambda content, _: content + content),
    "other line ends": _content(lambda content, _: content.replace(b"\n", b"\r\n")),
    "a byte order mark": _content(lambda content, _: b"\xef\xbb\xbf" + content),
    "UTF-16": _content(lambda content, _: content.decode(errors="replace").encode("utf-16")),
    "empty": _content(lambda *_: b""),
    **{
        f"the text {text[:12]}": _content(lambda *_, text=text: text.encode())  # type: ignore[misc]
        for text in ("[]", "null", "{}", "3", '"text"', "[1, 2", '{"a": ' * 50_000, "[" * 200_000, "\ud800".encode(
            "utf-8", "surrogatepass").decode("latin-1"), "1e999", "[[table]]\nx = 1", "a.b.c = {x = [[1]]}")
    },
    "missing": _instead(lambda _: None),
    "a folder": _instead(_folder),
    "a pipe": _instead(os.mkfifo),
    "a link to nothing": _instead(lambda path: path.symlink_to(path.with_name("nothing at all"))),
    "a link to itself": _instead(lambda path: path.symlink_to(path)),
    "a link to a folder": _instead(lambda path: path.symlink_to(path.parent)),
    "a device": _instead(lambda path: path.symlink_to("/dev/zero")),
    "no device": _instead(lambda path: path.symlink_to("/dev/null")),
    "a file of 4 TiB": _instead(_huge),
}  # fmt: skip
# after these a file may be whole and say something else, which nothing but a checksum could tell
MAY_STAY_WHOLE = ("one bit flipped", "a part missing", "twice", "noise inside", "cut short", "missing", "the text {}")


# --- a workspace with every kind of file


def make_workspace(root: Path) -> Path:
    """Make a workspace with two trained steps, a third one that was killed, pins, notes, themes and commands."""
    eh.make_workspace(root, root / "model", rows=4, holdout=2, batches=(3, 2))
    (root / "model").mkdir()
    (root / "model/config.json").write_text("{}")
    with without_learning():
        eh.train(root, "all")
        eh.write_rows(eh.batch_file(root, 3), eh.make_rows(2, "batch3"))
    workspace = eh.workspace_of(root)
    loading.save(root, {"ui.stall_seconds": 100.0})
    for entry in catalog.list_entries(workspace):
        pins.annotate(workspace, entry.name, pinned=True, note="kept")
    annotate(workspace, workspace.run_ids()[0], "a note")
    send(workspace.run_folder(workspace.run_ids()[-1]), Pause())
    workspace.live_file.write_bytes(b'{"holder":{"pid":1},"run":"x"}')
    workspace.lock.write_text("1\nhost\n1.0\n")
    (root / ".specs/hub.json").write_text('{"a/b": {"commit": "c", "files": {"d": 1}}}')
    append_line(corrections_file(root), msgspec.json.encode(Correction(row="0" * 64, set="base", was="1", now="2")))
    record_look(root, Look(checkpoint="run/checkpoint-1", fingerprint="f", rows=2))
    (root / "themes").mkdir(exist_ok=True)
    (root / "themes/mine.toml").write_text('name = "mine"\nprimary = "#ffffff"\n')
    workspace.log.parent.mkdir(exist_ok=True)
    workspace.log.write_text("a line\n")
    return root


def own_files(root: Path) -> list[str]:
    """Return every file of the app's own in the workspace, by its path in it."""
    workspace = eh.workspace_of(root)
    found = [*workspace.runs.rglob("*"), *(root / ".specs").rglob("*.*"), *workspace.store.rglob("*.json")]
    found += [root / "config.toml", root / "themes/mine.toml", workspace.log, workspace.lock]
    found += [root / "logs/observations.md", *(root / "logs").glob("*.csv")]
    names = {str(path.relative_to(root)) for path in found if path.is_file() and not path.name.endswith(".lock")}
    return sorted({*names, ".specs/run.lock"})


# --- what the app tells


@dataclass
class Told:
    """What the app says of a workspace: steps and runs, pins, its words, and what went wrong inside it."""

    facts: dict[str, object]
    words: str
    bugs: list[str]


class TooSlow(BaseException):
    """The app waits for something."""


@contextlib.contextmanager
def _patience(seconds: int) -> Iterator[None]:
    def late(_number: int, _frame: FrameType | None) -> None:
        raise TooSlow(f"not within {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def command(*words: str) -> tuple[int, str]:
    """Run a command; return its exit code and all that it printed."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        code = main(list(words))
    text = output.getvalue()
    if "Traceback (most recent call last)" in text:
        raise AssertionError(text)
    return code, text


def look(root: Path) -> Told:
    """Ask the app for everything that it reads from its files."""
    told = Told({}, "", [])
    for name, ask in _QUESTIONS.items():
        try:
            with _patience(PATIENCE):
                facts, words = ask(root)
        except Problem as problem:
            facts, words = "problem", str(problem)
        except (Exception, TooSlow) as error:  # noqa: BLE001 - every other exception is what is looked for
            frames = "".join(traceback.format_exception(error)[-4:])
            told.bugs.append(f"{name}: {type(error).__name__}: {frames[-1500:]}")
            facts, words = "bug", ""
        told.facts[name] = facts
        told.words += f"\n{words}"
    return told


def _status(root: Path) -> tuple[object, str]:
    code, text = command("status", "--json", "-w", str(root))
    if code:
        return code, text
    report = json.loads(text)
    steps = [(step["step"], step["batch"], step["trained"], step["run"]) for step in report["steps"]]
    runs = [(run["run"], run["step"], run["status"]) for run in report["runs"]]
    return (steps, runs, report["next_step"]), "\n".join([*report["notes"], str(report["problem"] or "")])


def _printed(*words: str) -> Callable[[Path], tuple[object, str]]:
    return lambda root: command(*words, "-w", str(root))


def _checkpoints(root: Path) -> tuple[object, str]:
    code, text = command("checkpoints", "list", "--json", "-w", str(root))
    if code:
        return code, text
    facts = sorted((entry["name"], "pinned" in entry["marks"], entry["note"]) for entry in json.loads(text))
    return facts, command("checkpoints", "list", "-w", str(root))[1]


def _app(root: Path) -> tuple[object, str]:
    reader = WorkspaceReader(root, loading.load(root, environment={}))
    rows = reader.runs()
    state, _ = reader.open_run(reader.latest_run())
    reader.watched(state)
    reader.log_tail()
    reader.append_log("a line\n")
    workspace = reader.workspace
    read_live(workspace, Holder(1))
    who_trains(workspace)
    read_looks(root)
    _, failed = load_themes([root / "themes"])
    words = [*(row.state.damage for row in rows), *(str(item) for item in failed)]
    return [(row.run, row.status) for row in rows], "\n".join(words)


def _train(root: Path) -> tuple[object, str]:
    before = eh.workspace_of(root).run_ids()
    with without_learning():
        eh.train(root, "next")
    state = eh.states(root)[-1]
    return len(eh.workspace_of(root).run_ids()) - len(before), "\n".join(state.warnings)


def _keep(root: Path) -> tuple[object, str]:
    """Write notes and settings, and take commands, as beside a damaged file."""
    workspace = eh.workspace_of(root)
    run = workspace.run_ids()[0]
    record(workspace, run, [ev.Annotated(epoch=1, note="another note")])
    loading.save(root, {"ui.smoothing": 0.5})
    return None, ""


def _commands(root: Path) -> tuple[object, str]:
    workspace = eh.workspace_of(root)
    for run in workspace.run_ids():
        Control(workspace.run_folder(run)).take()
    return None, ""


_QUESTIONS: dict[str, Callable[[Path], tuple[object, str]]] = {
    "status": _status,
    "status in words": lambda root: (None, command("status", "-w", str(root))[1]),
    "checkpoints": _checkpoints,
    "verify": _printed("checkpoints", "verify"),
    "show": _printed("checkpoints", "show", "latest"),
    "export-logs": lambda root: command("export-logs", "--jsonl", str(root / "out.jsonl"), "-w", str(root)),
    "app": _app,
    "pin": _printed("checkpoints", "pin", "latest"),
    "commands": _commands,
    "keep": _keep,
    "train": _train,
}


def damaged(root: Path, whole: Path, name: str, damage: str, seed: int) -> Told:
    """Copy the workspace ``whole`` to ``root``, damage its file ``name`` and return what the app tells then."""
    shutil.copytree(whole, root, symlinks=True)
    DAMAGE[damage](root / name, random.Random(seed))
    return look(root)


def silent_losses(before: Told, now: Told, name: str) -> list[str]:
    """Return the questions whose answer lost something without a word about the file."""
    said = now.words.lower()
    if name == "config.toml" and "checkpoints" in now.facts and now.facts["checkpoints"] == []:
        return []  # a file without settings is whole, and the checkpoints are where the default says
    about = (Path(name).name.lower(), Path(name).parent.name.lower())
    if any(part and part in said for part in about if len(part) > 6) or "cannot be read" in said or "damaged" in said:
        return []
    return [
        f"{question}: {before.facts[question]} became {now.facts[question]}"
        for question in ("status", "checkpoints", "app")
        if now.facts[question] != before.facts[question]
    ]


def mailbox(root: Path) -> Path:
    """Return the mailbox of the newest run."""
    workspace = eh.workspace_of(root)
    return workspace.run_folder(workspace.run_ids()[-1]) / MAILBOX_NAME
