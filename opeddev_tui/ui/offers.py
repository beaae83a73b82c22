"""Owns the kinds of situations the decision bar tells: their names, their marks, and what can be offered in one."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Kind = Literal[
    "no workspace", "reading", "problem", "empty", "ready", "starting", "training", "paused", "stalled",
    "awaiting", "interrupted", "failed", "finished",
]  # fmt: skip

MARKS: dict[str, str] = {
    "no workspace": "○", "reading": "◌", "problem": "✗", "empty": "○", "ready": "○", "starting": "…",
    "training": "▶", "paused": "‖", "stalled": "!", "awaiting": "?", "interrupted": "■", "failed": "✗",
    "finished": "✓",
}  # fmt: skip


class Offer(Struct, frozen=True):
    """Something a key does now."""

    action: str
    key: str
    label: str
    effect: str = ""


class Situation(Struct, frozen=True):
    """What the bar shows. ``question`` identifies it: a new one makes keys wait."""

    kind: Kind
    headline: str
    lines: tuple[str, ...] = ()
    offers: tuple[Offer, ...] = ()
    question: tuple[object, ...] = ()

    @property
    def mark(self) -> str:
        """A symbol, so that no meaning hangs on colour."""
        return MARKS[self.kind]

    def offers_action(self, action: str) -> bool:
        """True where ``action`` means something now."""
        return any(offer.action == action for offer in self.offers)
