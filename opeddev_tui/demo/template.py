"""Read the demo's task templates and fill them in: good code with marked places for names and for defects.

In a template's texts ``‹city›`` is replaced by a value from the pool ``city`` and ``‹city2›`` by another one.
``«missing-alt: alt="Fox"¦»`` becomes its first part, or its second where that defect is planted.
The templates are files of the package: ``snippets/index.toml`` lists them, each code snippet is a file beside it.
"""

import random
import re
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Literal

from opeddev_tui.demo.defects import AREAS

Part = Literal["training", "holdout"]

_PLACE = re.compile(r"«([a-z-]+):([^«¦»]*)¦([^«»]*)»")
# an empty place for a defect can leave blank lines behind
_GAP = re.compile(r"\n{3,}")
_SLOT = re.compile(r"‹([a-z]+)(\d*)›")


@dataclass(frozen=True)
class Template:
    """A task and its good solution with slots and places for defects; ``pools`` holds the values of its slots."""

    name: str
    kind: str
    task: str
    body: str
    pools: Mapping[str, Sequence[str]]

    def codes(self) -> dict[str, list[str]]:
        """Return the defects that can be planted here, by rubric area."""
        codes = dict.fromkeys(match[1] for match in _PLACE.finditer(self.body))
        return {area: [code for code in codes if code in defects] for area, defects in AREAS[self.kind].items()}

    def render(self, draw: random.Random, planted: Collection[str]) -> tuple[str, str]:
        """Return the task and a submission with drawn values and the ``planted`` defects."""
        values = self._values(draw)
        body = _PLACE.sub(lambda match: match[3] if match[1] in planted else match[2], self.body)
        body = _GAP.sub("\n\n", body).strip()
        return _fill(self.task, values), _fill(body, values)

    def _values(self, draw: random.Random) -> dict[str, str]:
        values: dict[str, str] = {}
        for slot in dict.fromkeys(_SLOT.findall(self.task + self.body)):
            # two slots of one pool stand for two things: never give them the same value
            free = [value for value in self.pools[slot[0]] if value not in values.values()]
            values["".join(slot)] = draw.choice(free)
        return values


def read_templates(part: Part) -> dict[str, tuple[Template, ...]]:
    """Return the templates of ``part`` by kind (html, css, js), in the order of the index.

    No template is in both parts, so the hold-out measures tasks that were never trained on.
    """
    folder = resources.files("opeddev_tui.demo") / "snippets"
    index = tomllib.loads((folder / "index.toml").read_text(encoding="utf-8"))
    return {
        kind: tuple(
            Template(
                name=entry["name"],
                kind=kind,
                task=entry["task"],
                body=(folder / part / f"{entry['name'].replace(' ', '-')}.{kind}").read_text(encoding="utf-8"),
                pools={**index["pools"], **entry.get("pools", {})},
            )
            for entry in entries
        )
        for kind, entries in index[part].items()
    }


def _fill(text: str, values: Mapping[str, str]) -> str:
    return _SLOT.sub(lambda match: values[match[1] + match[2]], text)
