"""Read the demo's task templates, good code with marked places for names and for defects, and fill them in.

In a template's texts ``‹city›`` takes a value from the pool ``city`` (``‹city2›`` another one), and
``«missing-alt: alt="Fox"¦»`` reads as its first part, or as its second where that defect is planted.
The templates are files of the package: ``snippets/index.toml`` lists them, each code snippet is a file beside it.
"""

import random
import re
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Literal

from opeddev_tui.demo.defects import AREAS, area_of

Part = Literal["training", "holdout"]

_PLACE = re.compile(r"«([a-z-]+):([^«¦»]*)¦([^«»]*)»")
# a line that only a defect would fill must not leave a gap behind
_GAP = re.compile(r"\n{3,}")
_SLOT = re.compile(r"‹([a-z]+)(\d*)›")

POOLS: Mapping[str, tuple[str, ...]] = {
    "shop": ("Fernhill", "Oak and Iron", "Blue Harbour", "Marlow Tea", "Pinecone", "Lumen", "Wrenfield", "Tidewater"),
    "person": ("Ada", "Bruno", "Chiara", "Dmitri", "Elif", "Farid", "Greta", "Hana", "Ivo", "Juno"),
    "city": ("Lisbon", "Tartu", "Ghent", "Porto", "Malmo", "Graz", "Bergen", "Turin", "Cork", "Split"),
    "product": ("desk lamp", "rain jacket", "tea pot", "wool scarf", "field notebook", "camp stove", "bike bell"),
    "things": ("orders", "books", "recipes", "tickets", "invoices", "courses", "songs", "trips", "players"),
    "price": ("8.50", "12.00", "19.90", "24.50", "36.00", "49.00", "75.20"),
    "year": ("2021", "2022", "2023", "2024", "2025"),
    "number": ("12", "18", "25", "32", "47", "60", "84"),
    "dark": ("#1d3557", "#22333b", "#3a0ca3", "#14532d", "#5f0f40", "#1b263b", "#7f1d1d"),
    "pale": ("#f8f9fa", "#fefae0", "#edf6f9", "#f1f5f9", "#fff7ed", "#f0fdf4"),
    "faint": ("#ddd", "#e5e5e5", "#d9e2ec", "#eee8d5", "#e2e8f0"),
    "rem": ("0.5rem", "0.75rem", "1rem", "1.25rem", "1.5rem", "2rem"),
    "radius": ("4px", "6px", "8px", "12px", "0.5rem"),
    "wide": ("720px", "860px", "940px", "1080px", "1200px"),
    "tall": ("140px", "180px", "220px", "260px"),
    "ms": ("150", "250", "300", "400", "500", "800"),
}


@dataclass(frozen=True)
class Template:
    """One task with its good solution, its defect places and pools of its own."""

    name: str
    kind: str
    task: str
    body: str
    pools: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def codes(self) -> dict[str, list[str]]:
        """Return the defects that can be planted here, by rubric area."""
        found = dict.fromkeys(match[1] for match in _PLACE.finditer(self.body))
        return {area: [code for code in found if area_of(self.kind, code) == area] for area in AREAS[self.kind]}

    def render(self, draw: random.Random, planted: Collection[str]) -> tuple[str, str]:
        """Return the task and a submission with drawn values and the ``planted`` defects."""
        values = self._values(draw)
        body = _PLACE.sub(lambda match: match[3] if match[1] in planted else match[2], self.body)
        body = _GAP.sub("\n\n", body).strip()
        return _fill(self.task, values), _fill(body, values)

    def _values(self, draw: random.Random) -> dict[str, str]:
        values: dict[str, str] = {}
        for slot in dict.fromkeys(_SLOT.findall(self.task + self.body)):
            pool = self.pools[slot[0]] if slot[0] in self.pools else POOLS[slot[0]]
            # two slots of one pool stand for two things: never give them the same value
            values["".join(slot)] = draw.choice([value for value in pool if value not in values.values()])
        return values


def read_templates(part: Part) -> dict[str, tuple[Template, ...]]:
    """Return the templates of ``part`` by kind (html, css, js), in the order of the index.

    No template is in both parts, so the hold-out measures tasks that were never trained on.
    """
    folder = resources.files("opeddev_tui.demo") / "snippets"
    index = tomllib.loads((folder / "index.toml").read_text(encoding="utf-8"))
    found: dict[str, tuple[Template, ...]] = {}
    for kind, entries in index[part].items():
        found[kind] = tuple(
            Template(
                name=entry["name"],
                kind=kind,
                task=entry["task"],
                body=(folder / part / f"{entry['name'].replace(' ', '-')}.{kind}").read_text(encoding="utf-8"),
                pools={pool: tuple(values) for pool, values in entry.get("pools", {}).items()},
            )
            for entry in entries
        )
    return found


def _fill(text: str, values: Mapping[str, str]) -> str:
    return _SLOT.sub(lambda match: values[match[1] + match[2]], text)
