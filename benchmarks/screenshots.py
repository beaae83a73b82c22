"""Makes the pictures of the documentation: the real app with scripted events, as SVG without outside resources.

python benchmarks/screenshots.py
"""

import asyncio
import re
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests" / "ui"))

import scenes  # noqa: E402 - found through the line above

# file name: (scene, keys pressed)
PICTURES: dict[str, tuple[str, tuple[str, ...]]] = {
    "monitor": ("awaiting", ()),
    "generations": ("awaiting", ("2",)),
}
SIZE = (120, 40)


async def main() -> None:
    """Write docs/images/*.svg."""
    target = ROOT / "docs" / "images"
    target.mkdir(parents=True, exist_ok=True)
    for name, (scene, keys) in PICTURES.items():
        with tempfile.TemporaryDirectory() as folder:
            await scenes.picture(scene, SIZE, "opeddev-dark", Path(folder), keys)
            svg = next(Path(folder).glob("*.svg")).read_text()
        # the export asks a public host for a font; any fixed-width font will do
        svg = re.sub(r"@font-face\s*\{[^}]*\}", "", svg)
        (target / f"{name}.svg").write_text(svg)


if __name__ == "__main__":
    asyncio.run(main())
