"""What tests of the engine share: small workspaces, training in this process or in one that may be killed."""

import hashlib
import json
import os
import random
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from multiprocessing import forkserver
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import TypeVar

import pytest
import tomli_w

from opeddev_tui.checkpoints import folders
from opeddev_tui.config import loading
from opeddev_tui.config.settings import Settings
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.control import Control, Stop
from opeddev_tui.runs.history import list_runs
from opeddev_tui.runs.journal import JournalReader, read
from opeddev_tui.runs.state import RunState, reduce
from opeddev_tui.training.deciders import Decider
from opeddev_tui.workspace.paths import Workspace

E = TypeVar("E")
_WORDS = (
    "button",
    "menu",
    "form",
    "table",
    "list",
    "card",
    "page",
    "link",
    "image",
    "header",
    "footer",
    "grid",
    "colour",
    "border",
    "margin",
    "label",
)
# what a test of the engine wants: no waiting for a person, no long generations, everything inside the workspace
_SETTINGS: Mapping[str, object] = {
    "paths.model_store": "store",
    "data.max_length": 96,
    "training.per_device_train_batch_size": 4,
    "training.per_device_eval_batch_size": 16,
    "training.learning_rate": 2e-3,
    "training.resume_learning_rate": 1e-3,
    "training.torch_num_threads": 1,
    "early_stop.policy": "rule",
    "early_stop.max_extra_epochs": 0,
    "generation.num_probes": 1,
    "generation.max_new_tokens": 2,
    "grading.evaluate": False,
    "grading.system_prompt": "",
    "grading.prompt_template": "{task} {submission}",
}
# the module that the server loads which processes are forked from
PRELOAD = "training_stack"

# --- workspaces


def make_rows(count: int, name: str) -> list[dict[str, object]]:
    """Return ``count`` short graded rows; ``name`` makes them differ from those of other sets."""
    draw = random.Random(name)
    rows: list[dict[str, object]] = []
    for number in range(count):
        kind, grade = draw.choice(_WORDS), draw.randint(1, 5)
        rows.append(
            {
                "id": f"{name}-{number}",
                "kind": "html",
                "task": f"Make a {kind}.",
                "submission": f"<b>{name} {number} {' '.join(draw.choices(_WORDS, k=draw.randint(1, 6)))}</b>",
                "rubric": "It works.",
                "grade": grade,
                "feedback": f"{kind} {'good' if grade > 3 else 'bad'}",
            }
        )
    return rows


def make_readable_rows(count: int, name: str) -> list[dict[str, object]]:
    """Return rows as ``make_rows`` does, whose grade a head can read: it is the word that is written four times."""
    rows = make_rows(count, name)
    for number, row in enumerate(rows):
        word = _WORDS[int(str(row["grade"])) - 1]
        row["submission"] = f"<b>{name} {number} {' '.join([word] * 4)}</b>"
    return rows


def write_rows(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Write ``rows`` as JSONL."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def build_model(folder: Path, *, hidden_size: int = 64, num_hidden_layers: int = 2, vocab_size: int = 600) -> Path:
    """Make the tiny model that knows the words of ``make_rows``."""
    from opeddev_tui.demo.model import build_tiny_model

    texts = [" ".join(str(value) for value in row.values()) for row in make_rows(200, "base")]
    build_tiny_model(
        folder,
        [*texts, "Grade: 1\nFeedback: "] * 2,
        hidden_size=hidden_size,
        num_hidden_layers=num_hidden_layers,
        vocab_size=vocab_size,
    )
    return folder


def make_workspace(
    root: Path,
    model: Path,
    *,
    rows: int = 20,
    batches: Sequence[int] = (),
    holdout: int = 6,
    settings: Mapping[str, object] | None = None,
) -> Path:
    """Make a workspace at ``root`` whose whole step of 20 rows and 3 epochs takes a second or two."""
    write_rows(base_file(root), make_rows(rows, "base"))
    for number, count in enumerate(batches, 1):
        write_rows(batch_file(root, number), make_rows(count, f"batch{number}"))
    write_rows(holdout_file(root), make_rows(holdout, "holdout"))
    tables: dict[str, dict[str, object]] = {}
    for name, value in {**_SETTINGS, "model.name": str(model), **(settings or {})}.items():
        section, _, key = name.partition(".")
        tables.setdefault(section, {})[key] = value
    (root / "config.toml").write_text(tomli_w.dumps(tables), encoding="utf-8")
    return root


def base_file(root: Path) -> Path:
    """Return the file of the base set."""
    return root / "datasets/processed_webdev_coding/train.jsonl"


def batch_file(root: Path, number: int) -> Path:
    """Return the file of increment ``number``."""
    return root / f"datasets/incremental/batch_100_{number:02}/rows.jsonl"


def holdout_file(root: Path) -> Path:
    """Return the file of the hold-out."""
    return root / "datasets/holdout_webdev_coding/validation.jsonl"


def copy_workspace(source: Path, target: Path) -> Path:
    """Copy a trained workspace; its checkpoints move to where the copy looks for them."""
    shutil.copytree(source, target, symlinks=True)
    old, new = workspace_of(source).store, workspace_of(target).store
    os.rename(target / old.relative_to(source), new)
    (target / "models/qwen3_webdev").unlink()
    workspace_of(target).adopt()
    return target


def workspace_of(root: Path) -> Workspace:
    """Return the paths of the workspace at ``root``."""
    return Workspace(root, loading.load(root, environment={}).settings.paths)


def settings_of(root: Path) -> Settings:
    """Return the settings of the workspace at ``root``."""
    return loading.load(root, environment={}).settings


# --- training in this process


class Seen:
    """A sink that keeps what it is shown."""

    def __init__(self, react: Callable[[ev.AnyEvent], None] | None = None) -> None:
        self.events: list[ev.AnyEvent] = []
        self._react = react

    def emit(self, event: ev.AnyEvent) -> None:
        """Keep ``event``, and let the test react to it on the training thread."""
        self.events.append(event)
        if self._react is not None:
            self._react(event)

    def of(self, kind: type[E]) -> list[E]:
        """Return the events of ``kind``."""
        return [event for event in self.events if isinstance(event, kind)]


def train(
    root: Path,
    which: str = "next",
    *,
    new: bool = False,
    start_from: str = "",
    sink: ev.Sink | None = None,
    control: Control | None = None,
    decider: Decider | None = None,
    overrides: Sequence[str] = (),
) -> list[str]:
    """Train in this process with the real engine; return the ids of the runs."""
    from opeddev_tui.runs.control import StepRequest
    from opeddev_tui.training.steps import train_steps

    return train_steps(
        root,
        loading.load(root, environment={}, overrides=overrides),
        StepRequest(which=which, new=new, start_from=start_from),
        sink=sink or Seen(),
        control=control or Control(),
        decider=decider,
    )


def interrupt(root: Path, at: int | Callable[[ev.AnyEvent], bool], which: str = "next") -> None:
    """Train until optimizer step ``at`` is logged, or an event comes for which ``at`` is true; stop there."""
    control = Control()

    def react(event: ev.AnyEvent) -> None:
        logged = isinstance(at, int) and isinstance(event, ev.Progress) and event.global_step == at
        if logged or (not isinstance(at, int) and at(event)):
            control.request(Stop(reason="test"))

    train(root, which, sink=Seen(react), control=control)
    assert states(root)[-1].status == "interrupted"


def epoch_one_ends(event: ev.AnyEvent) -> bool:
    """Return whether ``event`` is the end of the first epoch: a place to interrupt at."""
    return isinstance(event, ev.EpochFinished) and event.epoch == 1


def take_back_end(root: Path) -> None:
    """Take the event that it is finished out of the newest run's journal: as if it had been killed before."""
    journal = last_run(root) / "events.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(line for line in lines if b'"type":"RunFinished"' not in line))


def states(root: Path) -> list[RunState]:
    """Return the states of all runs, oldest first."""
    return [record.state for record in list_runs(workspace_of(root))]


def last_run(root: Path) -> Path:
    """Return the folder of the newest run."""
    return list_runs(workspace_of(root))[-1].folder


def journal_of(root: Path) -> list[ev.AnyEvent]:
    """Return the events of the newest run."""
    return read(last_run(root))


def of(root: Path, kind: type[E]) -> list[E]:
    """Return the events of one kind of the newest run."""
    return [event for event in journal_of(root) if isinstance(event, kind)]


def checkpoint_folder(root: Path) -> Path:
    """Return the folder of the newest run's checkpoints."""
    return workspace_of(root).checkpoints(last_run(root).name)


def place_of(root: Path, recorded: str) -> Path:
    """Return the folder of the checkpoint that a journal of the workspace at ``root`` names."""
    return Path(workspace_of(root).located(recorded))


def final_weights(root: Path) -> str:
    """Return the SHA-256 of the newest run's final weights; the run must be finished and its checkpoint whole."""
    finished = states(root)[-1].finished
    assert finished is not None
    folder = place_of(root, finished.last_checkpoint)
    assert folders.problems_of(folder, for_resume=True) == []
    name = next(name for name in ("model.safetensors", "adapter_model.safetensors") if (folder / name).exists())
    return sha256(folder / name)


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def tree(root: Path) -> dict[str, str]:
    """Return every name below ``root`` with its content's digest, but for the log and the lock."""
    found: dict[str, str] = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if name in ("logs", "logs/train.log", ".specs", ".specs/run.lock"):
            continue
        if path.is_symlink():
            found[name] = f"link to {path.readlink()}"
        elif path.is_file():
            found[name] = f"{path.stat().st_size} {sha256(path)}"
        else:
            found[name] = "folder" if path.is_dir() else "other"
    return found


# --- training in a process that may be killed


def _command(words: list[str], environment: dict[str, str], output: str, before: Callable[[], None] | None) -> None:
    """Run the command line as a process of its own would."""
    os.environ.update(environment)
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    # no terminal: the app must not wait for a person there
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - it lives as long as the process
    if before is not None:
        before()
    from opeddev_tui.cli import main

    sys.exit(main(words))


def begin_server() -> None:
    """Begin the server that processes are forked from, with everything that trains loaded, unless it is there.

    It is told where the modules of the tests are: Python 3.11 does not, and a server that finds no module to preload
    says nothing, so that each process would load everything by itself.
    """
    forkserver.set_forkserver_preload([PRELOAD])
    path = os.pathsep.join(filter(None, [str(Path(__file__).parent), os.environ.get("PYTHONPATH")]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", path)
        forkserver.ensure_running()


class Command(ForkServerProcess):
    """``opeddev-tui`` with its words, forked from a server that has the training stack loaded already.

    ``before`` is called in the process before it begins.
    """

    def __init__(self, words: Sequence[str], output: Path, before: Callable[[], None] | None = None) -> None:
        begin_server()
        kept = {name: value for name, value in os.environ.items() if name.startswith(("HOME", "HF_", "XDG_"))}
        super().__init__(target=_command, args=(list(words), kept, str(output), before), daemon=True)
        self.output = output
        self.start()

    def code(self, seconds: float = 180.0) -> int:
        """Wait for the end and return the exit code (negative: the signal that killed it)."""
        self.join(seconds)
        if self.exitcode is None:
            self.kill()
            self.join()
            raise AssertionError(f"not within {seconds} s: {self.text()}")
        return self.exitcode

    def text(self) -> str:
        """Return what it has printed."""
        return self.output.read_text(errors="replace") if self.output.exists() else ""

    def kill_hard(self) -> bool:
        """Send SIGKILL; True if the process was still running."""
        self.kill()
        self.join()
        return self.exitcode == -9


def start_training(root: Path, *words: str, before: Callable[[], None] | None = None) -> Command:
    """Start ``opeddev-tui train`` on ``root``."""
    return Command(["train", "-w", str(root), *words], root.parent / f"{root.name}.out", before)


class Follower:
    """Follows the newest journal of a workspace from outside."""

    def __init__(self, root: Path) -> None:
        self._runs = root / "logs/runs"
        self._known = {path.name for path in self._runs.glob("*")} if self._runs.is_dir() else set()
        self._reader: JournalReader | None = None
        self.events: list[ev.AnyEvent] = []

    def follow(self, run: Path) -> "Follower":
        """Follow ``run`` from its present end."""
        self._reader = JournalReader(run)
        self._reader.read_new()
        return self

    def wait(self, wanted: Callable[[ev.AnyEvent], bool], process: Command, seconds: float = 180.0) -> ev.AnyEvent:
        """Return the first new event that is ``wanted``."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for event in self._new():
                self.events.append(event)
                if wanted(event):
                    return event
            if process.exitcode is not None:
                raise AssertionError(f"the process ended before the event: {process.text()}")
            time.sleep(0.001)
        raise AssertionError("the event did not come")

    def _new(self) -> list[ev.AnyEvent]:
        if self._reader is None:
            fresh = [path for path in self._runs.glob("*") if path.name not in self._known]
            if not fresh:
                return []
            self._reader = JournalReader(max(fresh))
        return self._reader.read_new()


def wait_until(condition: Callable[[], object], process: Command, seconds: float = 180.0) -> bool:
    """Poll ``condition`` closely; False if ``process`` ended before it came true."""
    end = time.monotonic() + seconds
    while not condition():
        if process.exitcode is not None:
            return False
        assert time.monotonic() < end, f"not within {seconds} s: {process.text()}"
        time.sleep(0.0005)
    return True


def saving(root: Path) -> list[Path]:
    """Return checkpoint folders that exist and are not published yet."""
    found = []
    with suppress(OSError):
        for folder in workspace_of(root).store.glob("*/checkpoint-*"):
            if not (folder / folders.MANIFEST).exists():
                found.append(folder)
    return found


def state_of(run: Path) -> RunState:
    """Return the state of the run in the folder ``run``."""
    return reduce(read(run))
