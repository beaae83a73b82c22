"""What the app and the process that grades for it say to each other, one JSON object per line.

Imports no numbers library: the app reads these on its event loop.
"""

from typing import Any

from msgspec import Struct, field

from opeddev_tui.serving.asked import Graded


class Request(Struct, frozen=True, tag="grade", kw_only=True):
    """Grade ``text``, what lies at ``path``, or the row ``fields``. ``id`` comes back with every answer.

    ``given`` are task, rubric and kind of submissions that name none; ``feedback`` asks for a text.
    """

    id: int
    text: str = ""
    path: str = ""
    fields: dict[str, Any] = field(default_factory=dict)
    given: dict[str, str] = field(default_factory=dict)
    feedback: bool = False


class Stop(Struct, frozen=True, tag="stop"):
    """End the request that is being answered; what is graded stays."""


class Loading(Struct, frozen=True, tag="loading"):
    """The model is being loaded: what is done just now."""

    words: str


class Ready(Struct, frozen=True, tag="ready", kw_only=True):
    """The model is in memory: the checkpoint's name, what ``grader`` grades, its base model, what to know of it."""

    checkpoint: str
    grader: str = ""
    model: str
    labels: tuple[str, ...]
    notes: tuple[str, ...] = ()


class Begun(Struct, frozen=True, tag="begun"):
    """A request is begun; ``total`` submissions, None where nobody knows."""

    id: int
    total: int | None


class Answered(Struct, frozen=True, tag="answered", kw_only=True):
    """Submission ``number`` of a request is graded.

    ``fields`` are those of a grading row with the prompt that was asked; ``problem`` says why nothing could be graded.
    """

    id: int
    number: int
    graded: Graded
    fields: dict[str, Any] = field(default_factory=dict)
    problem: str = ""


class Done(Struct, frozen=True, tag="done", kw_only=True):
    """A request is answered: how many were graded, what was left out, whether it was stopped."""

    id: int
    count: int
    skipped: str = ""
    stopped: bool = False


class Failed(Struct, frozen=True, tag="failed"):
    """A request (0: the loading) ended with a problem, in one sentence.

    ``waits``: there is no room beside a training, so it may be asked again when that has ended.
    """

    id: int
    words: str
    waits: bool = False


Said = Loading | Ready | Begun | Answered | Done | Failed
Asks = Request | Stop
