"""The line between the ranks: rank 0's words to all, each hand's answers to it, and a beat that says who is alive.

It is torch's TCPStore, not a collective: a word costs a fraction of a millisecond, nobody waits in it for a person,
and a rank that has gone is seen. Must not know what the words mean.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from opeddev_tui.ranks.words import AnyWord, Load, decode_word, encode

Kind = TypeVar("Kind", bound=Struct)
# bytes per piece: a store is made for small values
_PIECE = 256 * 1024
# seconds between two looks: close ones at first, then such that waiting for days costs nothing
_SOON, _LATER = 0.0005, 0.05
# seconds for which looks are close
_CLOSE = 0.02
# words kept for a hand that is slow to look
_KEPT = 64


def open_store(address: str, port: int, *, leads: bool, seconds: float = 60.0) -> Any:
    """Return a store at ``address``; the one that ``leads`` serves it, at a free port for ``port`` 0."""
    from torch.distributed import TCPStore  # type: ignore[attr-defined] # public; its stub forgets to export it

    return TCPStore(address, port, is_master=leads, timeout=timedelta(seconds=seconds), wait_for_workers=False)


def waiting() -> Iterator[None]:
    """Sleep between two looks for something that may come at once or in days."""
    began = time.monotonic()
    while True:
        yield
        passed = time.monotonic() - began
        time.sleep(_SOON if passed < _CLOSE else min(_LATER, passed / 10))


class Line:
    """One rank's end of the line. ``name`` tells the lines on one store apart, one for each attempt at a run."""

    def __init__(self, store: Any, rank: int, name: str) -> None:
        self.store = store
        self.rank = rank
        self.name = name
        self._said = 0
        self._taken = 0

    def _key(self, *parts: object) -> str:
        return "/".join(map(str, (self.name, *parts)))

    def post(self, key: str, what: Struct) -> None:
        """Post ``what`` under ``key``, in pieces where it is large."""
        content = encode(what)
        pieces = [content[at : at + _PIECE] for at in range(0, len(content), _PIECE)]
        for number, piece in enumerate(pieces):
            self.store.set(self._key(key, number), piece)
        # last: it says that all pieces are there
        self.store.set(self._key(key), str(len(pieces)))

    def posted(self, key: str) -> bool:
        """Return whether something was posted under ``key``."""
        return bool(self.store.check([self._key(key)]))

    def read(self, key: str, kind: type[Kind], *, keep: bool = False) -> Kind:
        """Return what was posted under ``key``, which is there; it is deleted unless it is to ``keep``."""
        keys = [self._key(key, number) for number in range(int(self.store.get(self._key(key))))]
        content = b"".join(self.store.get(piece) for piece in keys)
        if not keep:
            for name in (*keys, self._key(key)):
                self.store.delete_key(name)
        return msgspec.msgpack.decode(content, type=kind)

    def wait(self, key: str, kind: type[Kind], raise_if_lost: Callable[[], None], *, keep: bool = False) -> Kind:
        """Return what is posted under ``key`` as soon as it is; raises what ``raise_if_lost`` raises meanwhile."""
        for _ in waiting():
            raise_if_lost()
            if self.posted(key):
                break
        return self.read(key, kind, keep=keep)

    # --- words

    def say(self, word: AnyWord) -> int:
        """Say ``word`` to all hands; return its number."""
        number, self._said = self._said, self._said + 1
        self.store.set(self._key("word", number), encode(word))
        if number >= _KEPT:
            self.store.delete_key(self._key("word", number - _KEPT))
        return number

    def next(self, raise_if_lost: Callable[[], None]) -> tuple[int, AnyWord]:
        """Return the next word with its number, as soon as it is said."""
        number, self._taken = self._taken, self._taken + 1
        key = self._key("word", number)
        for _ in waiting():
            raise_if_lost()
            if self.store.check([key]):
                break
        return number, decode_word(self.store.get(key))

    # --- beats

    def beat(self, count: int) -> None:
        """Say that this rank is alive; ``count`` differs from one beat to the next."""
        self.store.set(self._key("beat", self.rank), str(count))

    def tell_load(self, load: Load) -> None:
        """Tell the load of this rank's GPUs, in place of the one told before."""
        self.store.set(self._key("load", self.rank), encode(load))

    def load_of(self, rank: int) -> Load:
        """Return the newest load that ``rank`` has told; empty before the first."""
        key = self._key("load", rank)
        return msgspec.msgpack.decode(self.store.get(key), type=Load) if self.store.check([key]) else Load(())

    def beat_of(self, rank: int) -> str:
        """Return the last beat of ``rank``, empty before the first."""
        key = self._key("beat", rank)
        return self.store.get(key).decode() if self.store.check([key]) else ""
