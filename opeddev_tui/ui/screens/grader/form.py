"""What is graded: code, or the path of a file or folder, with task, rubric and kind. Holds only what is typed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace
from textual import on
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.events import Key, Paste
from textual.suggester import Suggester
from textual.widget import Widget
from textual.widgets import Input, Static, TextArea

from opeddev_tui.config.settings import GIVEN_FIELDS, Grading
from opeddev_tui.ui.screens.grader.empty_fields import empty_words
from opeddev_tui.ui.tasks.grader import Typed
from opeddev_tui.ui.widgets.bars import keymap_in
from opeddev_tui.ui.widgets.tables import cut

if TYPE_CHECKING:
    from opeddev_tui.serving.asked import Filling

_FIELDS = ("path", *GIVEN_FIELDS)


class Paths(Suggester):
    """Completes the path of a file or folder."""

    def __init__(self) -> None:
        super().__init__(use_cache=False, case_sensitive=True)

    async def get_suggestion(self, value: str) -> str | None:
        """Return ``value`` completed to the first name that begins with it, None where there is none."""
        return await asyncio.to_thread(completed, value) if value else None


def completed(value: str) -> str | None:
    """Return the path ``value`` completed to the first name that begins with it; a folder ends with a slash."""
    folder, _, start = value.rpartition("/")
    place = Path(f"{folder}/" if "/" in value else ".").expanduser()
    try:
        names = sorted((entry.name, entry.is_dir()) for entry in os.scandir(place) if _is_offered(entry.name, start))
    except (OSError, RuntimeError, ValueError):
        return None
    if not names:
        return None
    name, is_folder = names[0]
    found = f"{value[: len(value) - len(start)]}{name}{'/' if is_folder else ''}"
    return found if found != value else None


def _is_offered(name: str, start: str) -> bool:
    hidden = name.startswith(".") and not start.startswith(".")
    return name.startswith(start) and not hidden and name.isprintable()


class PathInput(Input):
    """A path: Tab takes the completion; text of several lines that is pasted here is code."""

    def on_key(self, event: Key) -> None:
        """Take the completion, where there is one."""
        if event.key != "tab":
            return
        before = self.value
        self.action_cursor_right()
        if self.value != before:
            event.stop()
            event.prevent_default()

    def on_paste(self, event: Paste) -> None:
        """Give several lines to the code."""
        if "\n" in event.text.strip():
            event.stop()
            event.prevent_default()
            self.screen.query_one(Form).take(event.text)


class Form(Vertical):
    """The fields above the code; ``typed`` is all that is in them. An empty field says what is taken for it."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id, classes="pane")
        self.typed = Typed()
        self._fill: Filling | None = None
        self._template = Grading().prompt_template

    def compose(self) -> Iterable[Widget]:
        """Make the fields and the code."""
        self.border_title = Content("Submission")
        for name in _FIELDS:
            with Horizontal(classes="field"):
                yield Static(name, markup=False, classes="label")
                if name == "path":
                    yield PathInput(suggester=Paths(), id=name, compact=True)
                else:
                    yield Input(id=name, compact=True)
        yield TextArea(id="code", soft_wrap=True, compact=True)

    def on_mount(self) -> None:
        """Name the key that grades."""
        self.name_keys()

    def name_keys(self) -> None:
        """Name the key that grades as it is now."""
        grade = keymap_in(self).first("grader.grade")
        self.query_one("#code", TextArea).placeholder = f"write or paste code; {grade} grades it"

    def on_resize(self) -> None:
        """Cut what empty fields say to the new width."""
        self.call_after_refresh(self._say_what_is_taken)

    def fill_with(self, fill: Filling, template: str) -> None:
        """Say from now on that empty fields are filled by ``fill``, for a prompt like ``template``."""
        self._fill, self._template = fill, template
        self._say_what_is_taken()

    def _say_what_is_taken(self) -> None:
        for name, words in empty_words(self._fill, self._template, replace(self.typed, path=self.path)).items():
            field = self.query_one(f"#{name}", Input)
            field.placeholder = cut(words, field.content_size.width or len(words))

    @property
    def path(self) -> str:
        """The path that is graded, empty where code is."""
        return "" if self._is_by_code() else self.query_one("#path", Input).value.strip()

    def name_path(self) -> None:
        """Grade the path that stands there from now on, until code is typed."""
        self._take_in("path")

    def _is_by_code(self, changed: str = "") -> bool:
        """Return whether code was typed after the path, also where its change is not told yet; ``changed`` is."""
        if changed == "path":
            return False
        if changed == "code" or self.code != self.typed.code:
            return bool(self.code.strip())
        return self.typed.by_code and self.query_one("#path", Input).value == self.typed.path

    @property
    def code(self) -> str:
        """The code."""
        return self.query_one("#code", TextArea).text

    @property
    def given(self) -> dict[str, str]:
        """Task, rubric and kind, those that are typed."""
        found = {name: self.query_one(f"#{name}", Input).value.strip() for name in GIVEN_FIELDS}
        return {name: value for name, value in found.items() if value}

    @on(Input.Changed)
    @on(TextArea.Changed)
    def _changed(self, event: Input.Changed | TextArea.Changed) -> None:
        self._take_in(event.control.id or "")

    def _take_in(self, changed: str) -> None:
        """Know what is typed also when the widgets are gone, and say which of it is graded."""
        lines = {name: self.query_one(f"#{name}", Input).value for name in _FIELDS}
        self.typed = Typed(code=self.code, by_code=self._is_by_code(changed), **lines)
        self._say_what_is_graded()

    def _say_what_is_graded(self) -> None:
        """Name what is graded where both are there, and have the other one pale."""
        self._say_what_is_taken()
        path, named = self.path, bool(self.typed.path.strip())
        graded = f": the {'path' if path else 'code'} is graded" if named else ""
        self.border_title = Content(f"Submission{graded}")
        self.query_one("#code").set_class(bool(path), "-idle")
        self.query_one("#path").set_class(named and not path, "-idle")

    def restore(self, typed: Typed) -> None:
        """Put back what was typed before, where nothing has been typed since."""
        if self.typed != Typed():
            return
        with self.prevent(Input.Changed, TextArea.Changed):
            self.query_one("#code", TextArea).text = typed.code
            for name in _FIELDS:
                self.query_one(f"#{name}", Input).value = getattr(typed, name)
        self.typed = typed
        self._say_what_is_graded()

    def take(self, code: str) -> None:
        """Put pasted ``code`` where the cursor is in the code."""
        area = self.query_one("#code", TextArea)
        area.insert(code)
        area.focus()

    def go_to(self, name: str) -> None:
        """Focus a field."""
        self.query_one(f"#{name}").focus()


def is_typing(widget: Widget | None) -> bool:
    """Return whether keys go into a text."""
    return isinstance(widget, Input | TextArea)
