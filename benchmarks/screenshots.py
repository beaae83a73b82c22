"""Makes the pictures of the documentation: the real app training the demo, by keys, as SVG without outside resources.

python benchmarks/screenshots.py

Two steps of the demo are trained, which takes about a minute. The last picture, ``run.svg``, shows the others in turn;
``run.cast`` has the whole run as it went, with a marker where each picture was taken, for ``asciinema play``.
"""

import asyncio
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from asciicast import Cast, Piece  # noqa: E402 - beside this file
from rich.segment import Segment  # noqa: E402 - found through the line above
from textual.pilot import Pilot  # noqa: E402

from opeddev_tui.config.loading import load  # noqa: E402
from opeddev_tui.demo.workspace import make_demo  # noqa: E402
from opeddev_tui.ui.app import OpeddevApp  # noqa: E402

IMAGES = ROOT / "docs" / "images"
SIZE = (120, 40)
# most seconds that the app is waited for, and those that the recording shows a picture for
PATIENCE, SHOWN = 180.0, 3
# seconds between two frames of the recording; each costs about 8 KB
RECORDED_EVERY = 2.0
CODE = ".card { width: 300px; color: red !important; }"
SETTINGS = ["ui.guard_ms=0", "ui.undo_seconds=0.5", 'grade.task="Style a card that fits every screen."']


class Camera:
    """Presses keys in the app, waits for words on the screen, and keeps pictures by name in their order."""

    def __init__(self, app: OpeddevApp, pilot: Pilot[str]) -> None:
        self.app, self._pilot = app, pilot
        self.pictures: dict[str, str] = {}
        self.cast = Cast(*SIZE, "The demo of opeddev-tui, by keys")
        self._began = time.monotonic()
        self._recorded = 0.0

    async def press(self, *keys: str, words: str = "") -> None:
        """Press ``keys`` and wait until ``words`` are on the screen."""
        await self._pilot.press(*keys)
        await self.wait(lambda: words in self._text())

    async def wait(self, condition: Callable[[], bool]) -> None:
        """Wait for ``condition`` and for the picture to be drawn; raises ``TimeoutError``."""
        async with asyncio.timeout(PATIENCE):
            while not condition():
                await self._pilot.pause(0.05)
                self._record()
        for _ in range(8):
            await self._pilot.pause(0.1)
            self._record()

    async def ask(self, epoch: int) -> None:
        """Wait for the question after ``epoch``."""
        await self.wait(lambda: f"Epoch {epoch} of at most" in self._text())

    def take(self, name: str) -> None:
        """Keep a picture of the screen."""
        self.pictures[name] = _portable(self.app.export_screenshot(title="opeddev-tui", simplify=True))
        self._record(name)

    def _record(self, name: str = "") -> None:
        """Add what is shown now to the recording, every few seconds; where a picture was taken, with its name."""
        at = time.monotonic() - self._began
        # before a run has begun the status line shows the temporary folder
        if self.app.session.state.started is not None and (name or at - self._recorded >= RECORDED_EVERY):
            self._recorded = at
            strips = self.app.screen._compositor.render_strips()
            self.cast.frame([[_piece(segment) for segment in strip.simplify()] for strip in strips], at)
            if name:
                self.cast.marker(name, at)

    def _text(self) -> str:
        lines = self.app.screen._compositor.render_strips()
        return "\n".join(line.text for line in lines)


async def _train(camera: Camera) -> None:
    """Train two steps of two epochs and look at what comes out."""
    await camera.wait(lambda: camera.app.session.state.progress is not None)
    camera.take("training")
    await camera.ask(1)
    camera.take("question")
    await camera.press("c", words="epoch 2 of at most 5")
    await camera.ask(2)
    await camera.press("2", words="Prompt 1 of")
    camera.take("generations")
    await camera.press("1", words="Epoch 2")
    await camera.press("s", words="Observation")
    await camera.press("escape")
    await camera.wait(lambda: camera.app.session.shown.situation.offers_action("start"))
    await camera.press("t")
    await camera.ask(1)
    await camera.press("1", words="Epoch 1")
    camera.take("monitor")
    await camera.press("s", words="Observation")
    await camera.press("escape")
    await camera.wait(lambda: camera.app.session.shown.situation.offers_action("start"))


async def _grade(camera: Camera) -> None:
    """Look at the race and the rows, correct a grade, and have code graded."""
    await camera.press("7", words="kappa")
    camera.take("grading")
    await camera.press("d", words="Enter reads one")
    await camera.press("enter", words="Choose a grade")
    camera.take("disputed")
    await camera.press("escape", "8", words="what was asked")
    camera.take("rows")
    await camera.press("9", "i", *CODE)
    await camera.press("ctrl+g", words="90% set")
    camera.take("grader")


def _piece(segment: Segment) -> Piece:
    """Return a text with the escape sequence of its style, without links."""
    if segment.style is None:
        return segment.text, ""
    return segment.text, segment.style.update_link(None).render("x").partition("x")[0]


def _portable(svg: str) -> str:
    # the export asks a public host for a font; any fixed-width font will do
    svg = re.sub(r"@font-face\s*\{[^}]*\}", "", svg)
    # librsvg leaves a no-break space at the start of a text element out
    return svg.replace("&#160;", " ").replace("<text ", '<text xml:space="preserve" ')


def recording(pictures: list[str]) -> str:
    """Return one picture that shows ``pictures`` in turn, for ever."""
    view = re.search(r'viewBox="([^"]*)"', pictures[0])
    assert view is not None
    count = len(pictures)
    share = 100 / count
    style = (
        f"@keyframes turn {{ 0% {{ visibility: visible }} {share:.3f}%, 100% {{ visibility: hidden }} }} "
        f".frame {{ visibility: hidden; animation: turn {count * SHOWN}s step-end infinite }} "
        # what does not move pictures shows the first one
        ".frame:first-of-type { visibility: visible }"
    )
    frames = [
        f'<g class="frame" style="animation-delay: {number * SHOWN}s">{picture}</g>'
        for number, picture in enumerate(pictures)
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{view[1]}"><style>{style}</style>{"".join(frames)}</svg>\n'
    )


async def main() -> None:
    """Write docs/images/*.svg and run.cast."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["HOME"] = folder
        root = Path(folder) / "opeddev-demo"
        make_demo(root)
        app = OpeddevApp(root, load(root, overrides=SETTINGS), start=True)
        async with app.run_test(size=SIZE) as pilot:
            camera = Camera(app, pilot)
            await _train(camera)
            await _grade(camera)
    IMAGES.mkdir(parents=True, exist_ok=True)
    for name in ("monitor", "generations", "grading", "rows", "grader"):
        (IMAGES / f"{name}.svg").write_text(camera.pictures[name])
    (IMAGES / "run.cast").write_text(camera.cast.text(), encoding="utf-8")
    (IMAGES / "run.svg").write_text(recording(list(camera.pictures.values())))


if __name__ == "__main__":
    asyncio.run(main())
