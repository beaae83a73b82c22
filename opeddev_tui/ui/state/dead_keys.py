"""Why a key of the bar does nothing now, in one line: a key that is pressed and says nothing looks broken.

Pure: a function of the view. Keys are named as a text names them, for the keymap to write.
"""

from opeddev_tui.ui.state.situation import Kind
from opeddev_tui.ui.state.situation_text import STOPPING, why_not
from opeddev_tui.ui.state.view import View

_AT_WORK: frozenset[Kind] = frozenset({"training", "paused", "stalled"})
_NO_QUESTION = "There is no question now: it comes after the epoch."


def why_dead(view: View, action: str) -> str:
    """Return why ``action``, which the bar does not offer, does nothing now; "" where the bar says it already."""
    kind = view.situation.kind
    if view.chosen is not None or view.situation.offers_action(action):
        return ""
    if view.replay:
        return "This is an old run: {monitor.return} returns to the newest one."
    if view.read_only:
        return "This app only looks (--view): no key changes anything."
    if kind in ("no workspace", "reading"):
        return "There is no workspace here yet." if kind == "no workspace" else "One moment: the workspace is read."
    if action == "start":
        return _no_start(view)
    if kind == "starting":
        return "Not yet: the training is starting. Press it again once it trains."
    if kind == "awaiting":
        if action == "decide('continue')":
            return "No further epoch is allowed: {monitor.stop} ends the step."
        return "The training waits for your decision: {monitor.continue} continues, {monitor.stop} ends the step."
    if kind in _AT_WORK:
        return "It is being saved and ends here." if STOPPING in view.requested else _NO_QUESTION
    return _idle(view)


def _no_start(view: View) -> str:
    if view.alive or view.starting:
        return "A training runs here already."
    if reason := why_not(view):
        return reason
    if view.following is not None:
        return ""
    trained = "All batches are trained: a new batch folder adds a step."
    return trained if view.batches else "There are no rows to train on yet."


def _idle(view: View) -> str:
    """Return what is said where nothing trains, with the key that starts the next training."""
    offered = view.situation.offers_action("start")
    return "Nothing is training now." + (" {monitor.start} starts it." if offered else "")
