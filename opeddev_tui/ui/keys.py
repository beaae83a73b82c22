"""Owns the key tables: what each key does on each screen. Bindings, footer and help are made from them."""

from collections.abc import Iterable

from msgspec import Struct
from textual.binding import Binding, BindingType


class Key(Struct, frozen=True):
    """One row: keys (comma-separated, Textual names), action, a word for the footer, a sentence for the help."""

    keys: str
    action: str
    label: str
    help: str
    footer: bool = False
    shown: str = ""

    @property
    def display(self) -> str:
        """How the keys are written for people."""
        return self.shown or " ".join(_NAMES.get(key, key) for key in self.keys.split(","))


_NAMES = {
    "question_mark": "?",
    "slash": "/",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "enter": "Enter",
    "escape": "Esc",
    "space": "Space",
    "tab": "Tab",
    "shift+tab": "Shift+Tab",
    "ctrl+p": "^p",
}

PLACES: tuple[tuple[str, str, str], ...] = (
    ("1", "monitor", "Monitor"),
    ("2", "generations", "Generations"),
    ("3", "checkpoints", "Checkpoints"),
    ("4", "log", "Log"),
    ("5", "settings", "Settings"),
    ("6", "runs", "Runs"),
)

GLOBAL: tuple[Key, ...] = (
    *(Key(key, f"app.go('{mode}')", title, f"Go to {title}.") for key, mode, title in PLACES),
    Key("question_mark,f1", "app.help", "Help", "Show the keys of this screen.", footer=True, shown="?"),
    Key("ctrl+p", "app.command_palette", "Commands", "Search all commands, themes among them.", footer=True),
    Key("ctrl+l", "app.redraw", "Redraw", "Draw the whole screen again.", shown="^l"),
    Key("y", "app.copy", "Copy", "Copy the selected text, or the focused row, to your clipboard (OSC 52)."),
    Key("q", "app.leave", "Quit", "Quit; asks first while a training runs.", footer=True),
)

MONITOR: tuple[Key, ...] = (
    Key("c", "decide('continue')", "Continue", "Answer the question after an epoch: train one more."),
    Key("s", "decide('stop')", "Stop", "Answer the question: end the step. While training: save and stop, resumable."),
    Key("u", "undo", "Undo", "Take back what was chosen, before it takes effect."),
    Key("t", "start", "Start", "Start the next step, or take up an interrupted one."),
    Key("p", "pause", "Pause", "Pause at the next optimizer step; again: go on."),
    Key("g", "sample", "Sample now", "Generate the probe prompts now."),
    Key("w", "save", "Save now", "Save a checkpoint now; said to be saved once it is verified."),
    Key("o", "note", "Observation", "Write an observation on this run; it is kept in its journal and in a file."),
    Key("n", "make_workspace", "New workspace", "Make a workspace here, where there is none."),
    Key("d", "demo", "Demo", "Try everything with a tiny model, where there is no workspace."),
    Key("r", "back_to_live", "Return", "From an old run back to the newest one."),
    Key("tab", "pane(1)", "Next pane", "Go to the next pane.", footer=True),
    Key("shift+tab", "pane(-1)", "Previous pane", "Go to the previous pane."),
    Key("l,right", "pane(1)", "Pane right", "Go to the next pane."),
    Key("h,left", "pane(-1)", "Pane left", "Go to the previous pane."),
    Key("enter", "grow", "Grow", "Grow the focused pane to the full screen.", footer=True),
    Key("escape", "shrink", "Back", "Back from a grown pane, or from an old run."),
)

PANE: tuple[Key, ...] = (
    Key("j,down", "scroll_down", "Down", "Scroll down."),
    Key("k,up", "scroll_up", "Up", "Scroll up."),
)

GENERATIONS: tuple[Key, ...] = (
    Key("j,n,right,l", "prompt(1)", "Next", "Go to the next prompt.", footer=True),
    Key("k,p,left,h", "prompt(-1)", "Previous", "Go to the previous prompt.", footer=True),
    Key("right_square_bracket", "epoch(1)", "Later", "Show a later point on the right.", footer=True),
    Key("left_square_bracket", "epoch(-1)", "Earlier", "Show an earlier point on the right.", footer=True),
    Key("right_curly_bracket,full_stop", "left_epoch(1)", "Left later", "Show a later point on the left.", shown="} ."),
    Key("left_curly_bracket,comma", "left_epoch(-1)", "Left", "Show an earlier point on the left.", True, "{ ,"),
    Key("0", "left_first", "Left: first", "Left: the first point there is; again: before this step."),
    Key("up,pageup", "move(-1)", "Up", "Scroll the texts up, both sides together."),
    Key("down,pagedown", "move(1)", "Down", "Scroll the texts down, both sides together."),
    Key("b", "blind", "Blind round", "Rate this epoch against the state before the step, names hidden.", footer=True),
    Key("m", "grades", "Grades", "Grades of the whole hold-out: confusion matrix and flips.", footer=True),
    Key("o", "observe", "Observation", "Write an observation on this run."),
    Key("a", "own_prompt", "Own prompt", "Add a prompt of your own to the probe prompts."),
    Key("f", "pin", "Pin", "Fix this prompt among the probe prompts of the next steps; again: no longer."),
    Key("d", "marks", "Marks", "Mark the differences between the sides, or not."),
    Key("tab", "app.focus_next", "Next text", "Go to the next of the four texts."),
    Key("enter", "grow", "Grow", "Grow the focused text, or both sides, to the full screen; again: back."),
    Key("escape", "shrink", "Back", "Back from a grown text."),
)

BLIND: tuple[Key, ...] = (
    Key("1,left", "answer('left')", "Left", "The left text is better.", footer=True, shown="1 ←"),
    Key("2,right", "answer('right')", "Right", "The right text is better.", footer=True, shown="2 →"),
    Key("3", "answer('tie')", "Tie", "Both are equally good.", footer=True),
    Key("4", "answer('both bad')", "Both bad", "Neither is any good; counts as a tie.", footer=True),
    Key("u", "undo", "Undo", "Take the last rating back, until the names are shown.", footer=True),
    Key("k,up,pageup", "move(-1)", "Up", "Scroll both texts up.", shown="k ↑"),
    Key("j,down,pagedown", "move(1)", "Down", "Scroll both texts down.", shown="j ↓"),
    Key("tab", "app.focus_next", "Next text", "Go to the next text."),
    Key("enter", "grow", "Grow", "Both sides over the whole screen; again: back."),
    Key("question_mark,f1", "help", "Help", "Show these keys.", shown="?"),
    Key("escape,q", "leave", "Leave", "Leave; a half-finished round goes on later.", footer=True, shown="Esc"),
)

GRADES: tuple[Key, ...] = (
    Key("right_square_bracket", "epoch(1)", "Later", "Show a later epoch.", footer=True),
    Key("left_square_bracket", "epoch(-1)", "Earlier", "Show an earlier epoch.", footer=True),
    Key("f,right", "group(1)", "Next group", "Fixed, broken, still right, still wrong.", footer=True, shown="f →"),
    Key("F,left", "group(-1)", "Previous group", "The group before.", shown="F ←"),
    Key("enter", "open_row", "Read", "Read the selected row.", footer=True),
    Key("escape,m", "back", "Back", "Back to the generations.", footer=True, shown="Esc"),
)

NOTE: tuple[Key, ...] = (
    Key("ctrl+s", "keep", "Keep", "Keep the text.", shown="Ctrl+S"),
    Key("ctrl+e", "editor", "$EDITOR", "Write in your own editor.", shown="Ctrl+E"),
    Key("escape", "drop", "Not now", "Close without keeping anything.", shown="Esc"),
)

TABLE: tuple[Key, ...] = (
    Key("j", "cursor_down", "Down", "Next row (also ↓)."),
    Key("k", "cursor_up", "Up", "Previous row (also ↑)."),
    Key("h", "scroll_left", "Left", "Scroll left (also ←)."),
    Key("l", "scroll_right", "Right", "Scroll right (also →)."),
)

CHECKPOINTS: tuple[Key, ...] = (
    Key(
        "enter,r",
        "resume_from",
        "Train from it",
        "Train the next step, or a branch, from the selected one.",
        footer=True,
    ),
    Key("space", "mark", "Mark", "Mark one or two: their differences below; d, v and p work on both.", footer=True),
    Key("v", "verify", "Verify", "Read every byte of the selected (or marked) ones.", footer=True),
    Key("V", "verify_all", "Verify all", "Read every byte of all of them."),
    Key("p", "pin", "Pin", "Never delete it; again: take the pin away.", footer=True),
    Key("n", "note", "Note", "Write a note on it."),
    Key("t", "try_it", "Try", "Answer a prompt with it; with two marked, side by side.", footer=True),
    Key("s", "score", "Score", "Score it on the hold-out again."),
    Key("x", "export", "Export", "Write it as an ordinary model folder with a model card."),
    Key("d,delete", "remove", "Delete", "Delete the selected (or marked) ones; shows first what goes.", footer=True),
    Key("D", "prune", "Prune", "Delete everything that nothing needs; shows first what goes."),
    Key("o", "order", "Order", "As a tree, by loss, by age or by size."),
    Key("slash", "filter", "Filter", "Show only checkpoints that contain a text: best, lora, step 2, a note."),
    Key("escape", "clear_filter", "Clear", "Drop the filter, then the marks."),
)

LOG: tuple[Key, ...] = (
    Key("slash", "filter", "Filter", "Show only the lines that contain a text.", footer=True),
    Key(
        "e", "errors_first", "Errors first", "Errors and warnings before everything else; again: in order.", footer=True
    ),
    Key("escape", "clear_filter", "Clear", "Drop the filter."),
    Key("j", "down", "Down", "Scroll down (also ↓)."),
    Key("k", "up", "Up", "Scroll up (also ↑)."),
    Key("g", "top", "Top", "Go to the first line."),
    Key("G", "bottom", "End", "Go to the last line and follow it."),
)

SETTINGS: tuple[Key, ...] = (
    Key("enter", "edit", "Change", "Change the selected setting; saved in the app's own file.", footer=True),
    Key("x,delete", "reset", "Reset", "Forget what the app saved for the selected setting.", footer=True),
    Key("slash", "filter", "Filter", "Show only settings whose name or help contains a text.", footer=True),
    Key("escape", "clear_filter", "Clear", "Drop the filter."),
)

RUNS: tuple[Key, ...] = (
    Key("enter", "open_run", "Open", "Show the selected run in the monitor.", footer=True),
    Key("r", "reload", "Reload", "Read the list of runs again.", footer=True),
)

SCREEN_KEYS: dict[str, tuple[tuple[str, tuple[Key, ...]], ...]] = {
    "monitor": (("Monitor", MONITOR), ("In a pane", PANE)),
    "generations": (("Generations", GENERATIONS),),
    "blind": (("Blind round", BLIND),),
    "grades": (("Grades", GRADES), ("In the table", TABLE)),
    "checkpoints": (("Checkpoints", CHECKPOINTS), ("In the table", TABLE)),
    "log": (("Log", LOG),),
    "settings": (("Settings", SETTINGS), ("In the table", TABLE)),
    "runs": (("Runs", RUNS), ("In the table", TABLE)),
}


def bindings(keys: Iterable[Key], *, priority: Iterable[str] = ()) -> list[BindingType]:
    """Return the Textual bindings of a key table; ``priority`` names keys that win over the focused widget."""
    first = set(priority)
    return [
        Binding(key.keys, key.action, key.label, show=key.footer, tooltip=key.help, priority=bool(first & {key.keys}))
        for key in keys
    ]


def help_of(mode: str) -> tuple[tuple[str, tuple[Key, ...]], ...]:
    """Return the help's sections for a screen: its own keys, then the keys of every screen."""
    return (*SCREEN_KEYS.get(mode, ()), ("Everywhere", GLOBAL))
