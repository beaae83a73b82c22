"""The newest generations beside the monitor's numbers, where the terminal has room for them."""

from __future__ import annotations

from typing import ClassVar

from textual.content import Content

from opeddev_tui.runs.events import Sample
from opeddev_tui.text import clean, clean_line
from opeddev_tui.ui.state.view import View
from opeddev_tui.ui.widgets.pane import Pane, lines


class LatestPane(Pane):
    """What the model generated for the first probe prompts, before the step and now."""

    title: ClassVar[str] = "Newest generations"
    brief: ClassVar[str] = "Before the step and now; {everywhere.generations} shows all."
    about: ClassVar[str] = (
        "The probe prompts, answered before the step and by the newest weights; {everywhere.generations} has them all."
    )

    def render_view(self, view: View, width: int) -> Content:  # noqa: ARG002 - the text wraps by itself
        """Return every prompt with its first and its newest generation below each other."""
        samples = view.state.samples
        if not samples or not samples[-1].samples:
            return Content.styled("The probe prompts are generated before the step and after every epoch.", "$muted")
        before, now = samples[0], samples[-1]
        parts: list[Content | str] = []
        for at, sample in enumerate(now.samples):
            name = f"{sample.id} {sample.kind}".strip() or f"prompt {at + 1}"
            parts.append(Content.styled(clean_line(name), "bold $primary"))
            if len(samples) > 1 and at < len(before.samples):
                parts.append(_generated(before.epoch, before.samples[at]))
            parts += [_generated(now.epoch, sample), ""]
        return lines(parts)


def _generated(epoch: float, sample: Sample) -> Content:
    return Content.styled(f"epoch {epoch:g}  ", "$muted") + Content(clean(sample.text, max_chars=600).strip())
