"""Find the markers that text from outside must not become, and cut such text so that it stays text.

Guarded are the tokenizer's special tokens and the role markers that its chat template writes. Ordinary added
vocabulary (runs of blanks, newlines, HTML tags, ``<think>``) is never touched: it is tokenized as the tokenizer does.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

# marks of a thought; where a tokenizer calls them special they are still what a model writes
THOUGHT = re.compile(r"[<\[]/?(?:think|thinking|thought|thoughts|reasoning)[>\]]", re.IGNORECASE)
# marks in brackets that are no tokens of their own, such as <|user|> under a tokenizer made for something else
_BRACKETED = re.compile(
    r"<<?/?\|?[^<>|｜\s]{1,40}\|?>>?|<｜[^<>｜]{1,40}｜>|\[\|[^\[\]|\s]{1,40}\|\]|\[/?[A-Z_]{2,30}\]"
)
_PRIVATE = (range(0xE000, 0xF900), range(0xF0000, 0xFFFFE), range(0x100000, 0x10FFFE))


class Guard:
    """Cuts guarded markers out of the reach of one tokenizer.

    ``role_markers`` are those of the chat template; ``thoughts`` lets marks of a thought through, as in completions.
    """

    def __init__(self, tokenizer: Any, role_markers: Iterable[str] = (), *, thoughts: bool = False) -> None:
        special = special_tokens(tokenizer)
        wanted = {*special, *role_markers}
        if thoughts:
            wanted = {marker for marker in wanted if not THOUGHT.fullmatch(marker)}
        # a marker of one character or of blanks alone is ordinary text of such a tokenizer and has no inside to cut
        self.markers = sorted((marker for marker in wanted if len(marker) > 1 and marker.strip()), key=len)
        # the shortest first: of two that begin together the one that ends first is cut first
        self._pattern = re.compile("|".join(map(re.escape, self.markers))) if self.markers else None
        self._cuts = {marker: _cut_of(tokenizer, marker, special) for marker in self.markers}
        self._normalize = _normalizer(tokenizer, special)

    @property
    def cuts(self) -> dict[str, int]:
        """Where each guarded marker is cut, the shortest first."""
        return dict(self._cuts)

    def spelled(self, text: str) -> list[str]:
        """Return the markers that ``text`` spells, each once, in order; empty for ordinary text."""
        if self._pattern is None:
            return []
        found = dict.fromkeys(match.group() for match in self._pattern.finditer(text))
        if self._normalize is not None and not found and self._hidden(text):
            return [text[:40]]
        return list(found)

    def cut(self, text: str, separator: str) -> str:
        """Return ``text`` with ``separator`` put inside every marker: no piece between separators spells one."""
        if self._pattern is None:
            return text
        pieces: list[str] = []
        at = 0
        while (found := self._first_end(text, at)) is not None:
            cut = found.start() + self._cuts[found.group()]
            pieces.append(text[at:cut])
            at = cut
        pieces.append(text[at:])
        if self._normalize is not None and any(self._hidden(piece) for piece in pieces):
            # a marker that appears only after normalization: no two characters stay together
            return separator.join(text)
        return separator.join(pieces)

    def _first_end(self, text: str, at: int) -> re.Match[str] | None:
        """Return the marker in ``text`` from ``at`` on that ends first, so that what is before its cut holds none."""
        assert self._pattern is not None
        found = self._pattern.search(text, at)
        while found is not None:
            inner = self._pattern.search(text, found.start() + 1, found.end() - 1)
            if inner is None:
                return found
            found = inner
        return None

    def _hidden(self, piece: str) -> bool:
        """True where ``piece`` spells a marker once the tokenizer has normalized it."""
        assert self._normalize is not None
        normalized = self._normalize(piece)
        return normalized != piece and any(
            form in normalized for marker in self.markers for form in {marker, self._normalize(marker)}
        )


def special_tokens(tokenizer: Any) -> dict[str, int]:
    """Return the special tokens of ``tokenizer`` with their ids."""
    found = {str(token): int(index) for index, token in tokenizer.added_tokens_decoder.items() if token.special}
    for token, index in zip(tokenizer.all_special_tokens, tokenizer.all_special_ids, strict=True):
        found.setdefault(str(token), int(index))
    return found


def role_markers(fixed: Sequence[str], tokenizer: Any) -> list[str]:
    """Return the role markers in ``fixed``, the texts that a chat template writes around the messages' own.

    They are added tokens with a bracket, and marks in brackets that are no token. A pair such as
    ``<think>…</think>`` inside one text is no role.
    """
    added = [token for token in tokenizer.get_added_vocab() if re.search(r"[<>\[\]｜|]", token)]
    found: dict[str, None] = {}
    for text in fixed:
        here = {token for token in added if token in text} | set(_BRACKETED.findall(text))
        paired = {mark for mark in here if _closing(mark) in here}
        here -= paired | {_closing(mark) for mark in paired}
        found |= dict.fromkeys(mark for mark in sorted(here) if not THOUGHT.fullmatch(mark))
    return list(found)


def separator_for(texts: Iterable[str]) -> str:
    """Return a private-use character that is in none of ``texts``."""
    used = set("".join(texts))
    return next(chr(code) for codes in _PRIVATE for code in codes if chr(code) not in used)


def _closing(mark: str) -> str:
    return f"{mark[0]}/{mark[1:]}"


def _cut_of(tokenizer: Any, marker: str, special: dict[str, int]) -> int:
    """Return where to cut ``marker``: in its middle, or where a mark that is no token gets other ids than its own."""
    middle = max(1, len(marker) // 2)
    if marker in special or marker in tokenizer.get_added_vocab():
        return middle

    def ids(text: str) -> list[int]:
        return list(tokenizer(text, add_special_tokens=False)["input_ids"])

    whole = ids(marker)
    outwards = sorted(range(1, len(marker)), key=lambda cut: abs(cut - middle))
    return next((cut for cut in outwards if ids(marker[:cut]) + ids(marker[cut:]) != whole), middle)


def _normalizer(tokenizer: Any, special: dict[str, int]) -> Any:
    """Return the function that normalizes text where markers are looked for afterwards, None where they are not."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    normalizer = getattr(backend, "normalizer", None)
    looked_for = any(token.normalized for token in tokenizer.added_tokens_decoder.values() if str(token) in special)
    return normalizer.normalize_str if normalizer is not None and looked_for else None
