"""Grade in a process of its own for the app: a model is loaded once, then requests are answered line by line.

The process ends when its input does, so it never outlives the app.
"""

import os
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec.structs import replace

from opeddev_tui.config.settings import Settings
from opeddev_tui.errors import Problem, ran_out_of_memory
from opeddev_tui.format import size
from opeddev_tui.models.place import source_of
from opeddev_tui.serving.asked import Asked, Graded
from opeddev_tui.serving.choice import Choice, choose
from opeddev_tui.serving.grader import Grader
from opeddev_tui.serving.items import Item
from opeddev_tui.serving.submissions import Submissions
from opeddev_tui.serving.windows import windows
from opeddev_tui.serving.worker_messages import Answered, Asks, Begun, Done, Failed, Loading, Ready, Request, Said, Stop
from opeddev_tui.text import is_text
from opeddev_tui.workspace.paths import Workspace

_NICENESS = 10
# weights may be kept in bf16 and are float32 on a processor; what a forward pass and the libraries need beside them
_PER_WEIGHT, _BESIDE_WEIGHTS = 2.2, 1 << 30
Put = Callable[[Said], None]


class _Stopped(Exception):
    """The person wants no more answers to this request."""


class Inbox:
    """What the app asks, read by a thread: a stop is heard while a request is answered."""

    def __init__(self, descriptor: int) -> None:
        self._requests: queue.SimpleQueue[Request | None] = queue.SimpleQueue()
        self._stopped = threading.Event()
        self._over = False
        self._descriptor = descriptor
        threading.Thread(target=self._read, daemon=True, name="requests").start()

    def _read(self) -> None:
        for line in self._lines():
            try:
                said: Asks = msgspec.json.decode(line, type=Asks)
            except (ValueError, msgspec.MsgspecError):
                continue
            if isinstance(said, Stop):
                self._stopped.set()
            else:
                self._requests.put(said)
        self._over = True
        self._stopped.set()
        self._requests.put(None)

    def _lines(self) -> Iterator[bytes]:
        """Yield lines; no buffered file, whose lock this thread would still hold when the process ends."""
        waiting = b""
        while piece := os.read(self._descriptor, 1 << 16):
            *whole, waiting = (waiting + piece).split(b"\n")
            yield from whole

    def __iter__(self) -> Iterator[Request]:
        while (request := self._requests.get()) is not None:
            if not self._over:
                self._stopped.clear()
            yield request

    def raise_if_stopped(self) -> None:
        """Raise where a person has stopped the request, or the app is gone."""
        if self._stopped.is_set():
            raise _Stopped


def work(
    workspace: Workspace,
    settings: Settings,
    source: str,
    descriptor: int,
    put: Put,
    *,
    texts: bool,
    beside: bool = False,
) -> int:
    """Load ``source`` and answer the requests that come in at ``descriptor`` until it ends; return an exit code.

    ``texts``: feedback may be asked for; ``beside``: a training runs on this machine. Problems are said with ``put``;
    one of a request ends no other.
    """
    inbox = Inbox(descriptor)
    try:
        put(Loading("reading and checking the checkpoint"))
        choice = choose(workspace, settings, source)
        if beside and (lacking := _lacks_memory(workspace, choice)):
            put(Failed(0, lacking, waits=True))
            return 1
        put(Loading(f"loading {choice.checkpoint}"))
        grader = Grader.open(workspace, settings, choice=choice, texts=texts)
    except Problem as problem:
        put(Failed(0, str(problem)))
        return problem.exit_code
    except Exception as error:  # noqa: BLE001 - a bug here is a line for the app, which shows it in place
        put(Failed(0, _words_of(error)))
        return 1
    labels, notes = grader.models.scale.labels, tuple(grader.notes)
    put(Ready(checkpoint=choice.checkpoint, grader=choice.grader, model=grader.model_name, labels=labels, notes=notes))
    for request in inbox:
        try:
            _answer(grader, settings, request, inbox, put)
        except Problem as problem:
            put(Failed(request.id, str(problem)))
        except Exception as error:  # noqa: BLE001 - the next request may be a smaller one
            put(Failed(request.id, _words_of(error)))
    return 0


def beside_a_training() -> None:
    """Let a training go first: this process is nice, and the caller has hidden the GPUs from it."""
    os.nice(_NICENESS)


def _lacks_memory(workspace: Workspace, choice: Choice) -> str:
    """Return why the model of ``choice`` must not be loaded beside a training, empty where it may be."""
    import psutil

    folders = [] if choice.entry is None else [choice.entry.folder]
    with suppress(Problem):
        base = Path(source_of(workspace.root, choice.settings.model.name))
        folders += [base] if choice.reads_base or choice.entry is None or choice.entry.lora else []
    weights = sum(path.stat().st_size for folder in folders for path in folder.glob("*.safetensors"))
    needed, free = int(weights * _PER_WEIGHT) + _BESIDE_WEIGHTS, psutil.virtual_memory().available
    if needed <= free:
        return ""
    return (
        f"a training runs, and beside it {size(free)} of memory are free where the grader needs about {size(needed)}: "
        "it waits until the training has ended."
    )


def _words_of(error: Exception) -> str:
    if ran_out_of_memory(error):
        return "the memory has run out: close other programs, or take a smaller model."
    return f"the grader failed: {type(error).__name__}: {error}"


def _answer(grader: Grader, settings: Settings, request: Request, inbox: Inbox, put: Put) -> None:
    grader.fill = replace(grader.fill, given=request.given)
    found = Submissions([request.path], settings.data) if request.path else None
    put(Begun(request.id, found.count() if found is not None else 1))
    one = Item(request.fields or {"submission": request.text})
    items = iter([one]) if found is None else found.paced()
    if found is not None:
        found.on_wait = inbox.raise_if_stopped
    before = told = 0
    stopped = False
    try:
        for window in windows(grader.ask_items(items)):
            for batch in grader.batches(window, feedback=request.feedback, raise_if_stopped=inbox.raise_if_stopped):
                for graded in sorted(batch, key=lambda one: one.index):
                    asked = window[graded.index]
                    put(_answered(request.id, before + graded.index, graded, asked))
                    told += 1
            before += len(window)
            inbox.raise_if_stopped()
    except _Stopped:
        stopped = True
    skipped = found.skipped.words if found is not None else ""
    put(Done(id=request.id, count=told, skipped=skipped, stopped=stopped))


def _answered(request: int, number: int, graded: Graded, asked: Asked) -> Answered:
    # half characters cannot be written, so such a row cannot be corrected
    readable = all(is_text(value) for value in asked.fields.values() if isinstance(value, str))
    fields = asked.fields if readable else {}
    return Answered(id=request, number=number, graded=graded, fields=fields, problem=asked.problem)
