"""What every event of a run is: a fact with its time, and whether a crash may lose it."""

import time

from msgspec import Struct, field


class Event(Struct, frozen=True, kw_only=True, tag=True, tag_field="type"):
    """A fact that happened at ``at`` (Unix seconds)."""

    at: float = field(default_factory=time.time)


class DurableEvent(Event, frozen=True):
    """A fact that a crash must not lose: the journal syncs it to disk."""
