"""The events of what the model writes: texts for the probe prompts, and what a person thinks of two of them."""

from typing import Literal

from msgspec import Struct

from opeddev_tui.runs.event_base import DurableEvent, Event

Preference = Literal["now", "before", "tie", "both bad"]


class Sample(Struct, frozen=True):
    """One probe prompt and what the model wrote."""

    prompt: str
    reference: str
    text: str
    id: str = ""
    kind: str = ""
    grade: int | None = None
    reference_grade: int | None = None
    tokens: int = 0
    own: bool = False  # written by the person: no reference


class SamplesGenerated(Event, frozen=True):
    """Texts for the probe prompts from the weights with ``fingerprint``."""

    epoch: float
    global_step: int
    fingerprint: str
    samples: tuple[Sample, ...]
    seconds: float = 0.0
    on_demand: bool = False


class SamplesStreaming(Event, frozen=True):
    """Texts while they grow, one per probe prompt. Shown, never recorded."""

    epoch: float
    global_step: int
    prompts: tuple[str, ...]
    texts: tuple[str, ...]
    finished: int


class Rated(DurableEvent, frozen=True):
    """A blind rating of one prompt: the text shown left, the one shown right, and the preferred one."""

    epoch: int
    prompt: int
    left: str
    right: str
    preferred: Preference
    round_seed: int


class RatingUndone(DurableEvent, frozen=True):
    """The last rating of a prompt was undone."""

    epoch: int
    prompt: int
