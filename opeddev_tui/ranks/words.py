"""What rank 0 says to its hands, and what they answer: the whole of what crosses between the ranks beside gradients."""

from typing import Any, Literal

import msgspec
from msgspec import Struct

from opeddev_tui.runs.events import GpuReading

# the graded rows of training, those of the hold-out, the changed copies of training rows
GradedSet = Literal["train", "held", "copies"]


class Word(Struct, frozen=True, tag=True):
    """Something that rank 0 says to all hands; they take one after the other."""


class Broken(Struct, frozen=True):
    """A rank was lost: the exchange that the others are in cannot end."""


class Join(Word, frozen=True):
    """Join the process group named ``group``; what follows is said within it."""

    group: str


class Train(Word, frozen=True):
    """Train, from the checkpoint of the orders where they name one."""


class Stepped(Word, frozen=True):
    """An optimizer step is over: save next, or stop. Both False: train on."""

    save: bool = False
    stop: bool = False


class Save(Word, frozen=True):
    """Write this rank's random state into the checkpoint ``folder``, and answer."""

    folder: str


class Saved(Word, frozen=True):
    """The checkpoint within an epoch is published: train on."""


class Closed(Word, frozen=True):
    """The epoch is scored, saved and decided; ``more``: another one begins."""

    more: bool


class ReadLosses(Word, frozen=True):
    """Answer the losses of your share of the hold-out, dealt in batches of ``batch`` rows."""

    batch: int


class ReadGrades(Word, frozen=True):
    """Answer losses, states and grade probabilities of your share of the hold-out."""

    batch: int


class ReadStates(Word, frozen=True):
    """Answer the states of your share of the ``rows``, by their numbers among those that ``of`` names."""

    batch: int
    rows: list[int]
    of: GradedSet


class WriteTexts(Word, frozen=True):
    """Answer the texts that go on after your share of ``prompts``."""

    batch: int
    prompts: list[list[int]]
    max_new_tokens: int


class End(Word, frozen=True):
    """There is nothing more to do: end with exit code ``code``, or wait for new orders."""

    code: int = 0


Task = ReadLosses | ReadGrades | ReadStates | WriteTexts
AnyWord = Join | Train | Stepped | Save | Saved | Closed | ReadLosses | ReadGrades | ReadStates | WriteTexts | End
# Any: the type of a union of types
_ANY_WORD: Any = AnyWord


class Array(Struct, frozen=True):
    """A numpy array: its type, shape and bytes."""

    kind: str
    shape: tuple[int, ...]
    content: bytes


class Found(Struct, frozen=True):
    """What a task found of one rank's share, in its order; empty what was not asked for."""

    sums: list[float] = []
    tokens: list[int] = []
    states: Array | None = None
    grades: Array | None = None
    texts: list[list[int]] = []


class Fault(Struct, frozen=True):
    """Why a rank could not do something: the kind and words of a problem."""

    kind: str
    message: str
    where: str = ""
    cure: str = ""


class Alone(Struct, frozen=True):
    """A rank ends because an exchange has failed: another one has gone, and it does not know which."""


class Answer(Struct, frozen=True):
    """What a hand answers to a word: what it found, or its fault."""

    found: Found | None = None
    fault: Fault | None = None


class Hello(Struct, frozen=True):
    """What a rank is: where it runs, and its versions."""

    rank: int
    host: str
    pid: int
    versions: dict[str, str] = {}


class Ready(Struct, frozen=True):
    """What a rank has read: digests of the rows, the weights' fingerprint, its device; or its fault."""

    rows: str = ""
    weights: str = ""
    device: str = ""
    fault: Fault | None = None


class Load(Struct, frozen=True):
    """The load of the GPUs that a hand uses."""

    gpus: tuple[GpuReading, ...]


def encode(what: Struct) -> bytes:
    """Return ``what`` as bytes for the line."""
    return msgspec.msgpack.encode(what)


def decode_word(content: bytes) -> AnyWord:
    """Return the word in ``content``."""
    word: AnyWord = msgspec.msgpack.decode(content, type=_ANY_WORD)
    return word
