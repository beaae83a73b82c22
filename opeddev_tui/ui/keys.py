"""Tables of the keys of each screen; bindings, footer, help and command palette are made from them.

A key that is not in a table does not exist: no screen binds one by itself, except dialogs. A person's own keys lie over
these in ``keymap``; a text names an action as {monitor.pause}, and the keymap writes that action's key there.
"""

from opeddev_tui.ui.key_rows import Key as Key
from opeddev_tui.ui.key_rows import bindings as bindings
from opeddev_tui.ui.key_rows import of_part, table
from opeddev_tui.ui.key_rows import pane_title as pane_title
from opeddev_tui.ui.key_rows import written as written
from opeddev_tui.ui.list_keys import COMPARE as COMPARE
from opeddev_tui.ui.list_keys import LONG_LIST as LONG_LIST
from opeddev_tui.ui.list_keys import PROBES as PROBES
from opeddev_tui.ui.list_keys import ROW as ROW
from opeddev_tui.ui.list_keys import ROWS as ROWS
from opeddev_tui.ui.list_keys import RUNS as RUNS
from opeddev_tui.ui.list_keys import TABLE as TABLE
from opeddev_tui.ui.list_keys import details, ends

PLACES: tuple[tuple[str, str, str], ...] = (
    ("1", "monitor", "Monitor"),
    ("2", "generations", "Generations"),
    ("3", "checkpoints", "Checkpoints"),
    ("4", "log", "Log"),
    ("5", "settings", "Settings"),
    ("6", "runs", "Runs"),
    ("7", "grading", "Grading"),
    ("8", "rows", "Rows"),
    ("9", "grader", "Grader"),
)

# what Option and a digit from 1 on type on a Mac whose terminal does not send them as Alt
_OPTION_DIGITS = ("inverted_exclamation_mark", "trade_mark_sign", "pound_sign", "cent_sign", "infinity", "section_sign")

GLOBAL = table(
    "everywhere",
    *(Key(key, f"app.go('{mode}')", title, f"Go to {title}.") for key, mode, title in PLACES),
    Key("question_mark,f1", "app.help", "Help", "Show the keys of this screen.", footer=True, shown="?"),
    Key("ctrl+p", "app.command_palette", "Commands", "Search all commands and themes.", footer=True),
    Key(
        "colon",
        "app.command_line",
        "Command",
        "Type a command: set, step, theme, note … Tab completes it.",
        footer=True,
    ),
    Key("ctrl+l", "app.redraw", "Redraw", "Draw the whole screen again, if something else wrote to it.", shown="^l"),
    Key("y", "app.copy", "Copy", "Copy the selected text, or the focused pane or row, to your clipboard (OSC 52)."),
    Key("P", "app.pager", "Pager", "Show the focused pane or row, or the whole log, in $PAGER, else less."),
    *(
        Key(
            f"alt+{at},{option}",
            f"app.pane_number({at})",
            f"Pane {at}",
            f"Go straight to the pane [{at}].",
            shown=f"Alt+{at}",
        )
        for at, option in enumerate(_OPTION_DIGITS, 1)
    ),
    Key(
        "q",
        "app.leave",
        "Quit",
        "Quit; asks first while this app trains. A training in another process is left as it is.",
        footer=True,
    ),
)

MONITOR = table(
    "monitor",
    Key("c", "decide('continue')", "Continue", "Answer the question after an epoch: train one more epoch."),
    Key("s", "decide('stop')", "Stop", "Answer the question: end the step. While training: save and stop, resumable."),
    Key(
        "e",
        "more",
        "More",
        "At the question: learning rate or batch of the next step, the rule for the rest, the best.",
    ),
    Key("i", "in_full", "In full", "Read in full what the bar has no room for: the rule's reasons, every problem."),
    Key("u", "undo", "Undo", "Undo your choice before it takes effect."),
    Key("t", "start", "Start", "Start the next step, or resume an interrupted run."),
    Key("p", "ask('pause')", "Pause", "Pause at the next optimizer step; press again to go on."),
    Key("g", "ask('sample')", "Sample now", "Generate the probe prompts now."),
    Key("w", "ask('save')", "Save now", "Save a checkpoint now; you are notified once it is verified."),
    Key("o", "note", "Observation", "Write an observation on this run, kept in its journal and in observations.md."),
    Key("n", "make_workspace", "New workspace", "Make a workspace in this folder, where there is none."),
    Key("O", "open_near", "Open workspace", "Open a workspace in this folder, where it is none itself."),
    Key("d", "demo", "Demo", "Try everything with a tiny model, where there is no workspace yet."),
    Key("r", "back_to_live", "Return", "Return from an old run to the newest one."),
    Key("M", "machine", "Machine", "Show the history of every GPU and of the processor on the full screen, and back."),
    Key("C", "compare", "Compare", "Put this run and others into one chart, chosen by a filter."),
    Key("tab", "pane(1)", "Next pane", "Go to the next pane.", footer=True),
    Key("shift+tab", "pane(-1)", "Previous pane", "Go to the previous pane."),
    Key("l,right", "pane(1)", "Pane right", "Go to the next pane."),
    Key("h,left", "pane(-1)", "Pane left", "Go to the previous pane."),
    Key("enter", "grow", "Grow", "Grow the focused pane to the full screen.", footer=True),
    Key("escape", "shrink", "Back", "Shrink a grown pane, or return from an old run."),
)

PANE = table(
    "pane",
    Key("j,down", "scroll_down", "Down", "Scroll down."),
    Key("k,up", "scroll_up", "Up", "Scroll up."),
    *ends(),
)

CURVES = table(
    "curves",
    Key("l", "log_scale", "Log scale", "Logarithmic y axis, on or off.", footer=True),
    Key("m", "smoothing", "Smoothing", "Smooth the train loss: off, 0.6, 0.8, 0.95.", footer=True),
    Key("x", "x_axis", "X axis", "Show epochs or optimizer steps on the x axis.", footer=True),
    Key("plus,equals_sign", "zoom(0.5)", "Zoom in", "Zoom in on the x axis.", shown="+"),
    Key("minus", "zoom(2.0)", "Zoom out", "Zoom out.", shown="-"),
    Key("0", "reset", "Whole plot", "Undo zoom and pan; then: room for all curves, or for this step alone."),
    Key("left", "move(-1)", "Left", "Pan left, or move the cursor.", shown="←"),
    Key("right", "move(1)", "Right", "Pan right, or move the cursor.", shown="→"),
    Key("comma", "pan(-1)", "Pan left", "Pan left.", shown=","),
    Key("full_stop", "pan(1)", "Pan right", "Pan right.", shown="."),
    Key("v", "cursor", "Values", "Show a cursor with its values; the arrows move it.", footer=True),
    Key("n", "chart(1)", "Next chart", "Grades, learning rate, gradient norm, speed, memory, load.", footer=True),
    Key("N", "chart(-1)", "Previous chart", "Go to the chart before."),
    Key("a", "tile", "All charts", "Show as many charts as fit beside each other, or one again.", footer=True),
    Key("b", "sizes", "By data size", "Hold-out loss against the size of the data set, and back."),
)

GENERATIONS = table(
    "generations",
    Key("j,n,right,l", "prompt(1)", "Next", "Go to the next prompt.", footer=True, priority=True),
    Key("k,p,left,h", "prompt(-1)", "Previous", "Go to the previous prompt.", footer=True, priority=True),
    Key("right_square_bracket", "epoch(1)", "Later", "Show a later point on the right.", footer=True),
    Key("left_square_bracket", "epoch(-1)", "Earlier", "Show an earlier point on the right.", footer=True),
    Key("right_curly_bracket,full_stop", "left_epoch(1)", "Left later", "Show a later point on the left.", shown="} ."),
    Key("left_curly_bracket,comma", "left_epoch(-1)", "Left", "Show an earlier point on the left.", True, "{ ,"),
    Key("0", "left_first", "Left: first", "Show the very first point on the left; again: the step's beginning."),
    Key("up,pageup", "move(-1)", "Up", "Scroll the texts up, both sides together.", priority=True),
    Key("down,pagedown", "move(1)", "Down", "Scroll the texts down, both sides together.", priority=True),
    *ends("ends"),
    Key("b", "blind", "Blind round", "Rate this epoch against the state before the step, names hidden.", footer=True),
    Key("m", "grades", "Grades", "Show the grades of the whole hold-out: confusion matrix, changed rows.", footer=True),
    Key("t", "table('')", "Table", "Show all probe prompts in one table: sort, search, open one.", footer=True),
    Key("slash", "table('filter')", "Search", "Search all probe prompts, in their table."),
    Key("o", "note", "Observation", "Write an observation on this run."),
    Key("a", "own_prompt", "Own prompt", "Add a prompt of your own to the probe prompts."),
    Key("f", "pin", "Pin", "Always use this row as a probe prompt in the next steps; press again to unpin it."),
    Key("d", "marks", "Marks", "Mark the differences between the two sides, on or off."),
    Key("tab", "app.focus_next", "Next text", "Go to the next of the four texts."),
    Key("enter", "grow", "Grow", "Grow the focused text, or both sides, to the full screen; press again to shrink."),
    Key("escape", "shrink", "Back", "Shrink a grown text."),
)

BLIND = table(
    "blind",
    Key("1,left", "answer('left')", "Left", "The left text is better.", True, "1 ←", priority=True),
    Key("2,right", "answer('right')", "Right", "The right text is better.", True, "2 →", priority=True),
    Key("3", "answer('tie')", "Tie", "Both are equally good.", footer=True, priority=True),
    Key("4", "answer('both bad')", "Both bad", "Neither is any good; counts as a tie.", True, priority=True),
    Key("u", "undo", "Undo", "Undo the last rating; possible until the names are shown.", footer=True),
    Key("k,up,pageup", "move(-1)", "Up", "Scroll both texts up.", shown="k ↑", priority=True),
    Key("j,down,pagedown", "move(1)", "Down", "Scroll both texts down.", True, "j ↓", priority=True),
    *ends("ends"),
    Key("tab", "app.focus_next", "Next text", "Go to the next text, to scroll or to grow it.", footer=True),
    Key("enter", "grow", "Grow", "Grow the text you went to; once all are rated: show the names at once."),
    Key("question_mark,f1", "help", "Help", "Show these keys.", shown="?"),
    Key("escape,q", "leave", "Leave", "Leave; an unfinished round can be continued later.", footer=True, shown="Esc"),
)

GRADES = table(
    "grades",
    Key("right_square_bracket", "epoch(1)", "Later", "Show a later epoch.", footer=True),
    Key("left_square_bracket", "epoch(-1)", "Earlier", "Show an earlier epoch.", footer=True),
    Key("f,right", "group(1)", "Next group", "Fixed, broken, still right, still wrong.", True, "f →", priority=True),
    Key("F,left", "group(-1)", "Previous group", "Show the group before.", shown="F ←", priority=True),
    Key("enter", "open_row", "Read", "Read the selected row.", footer=True),
    Key("slash", "filter", "Search", "Show only rows with a text in their name or grades.", footer=True),
    Key("escape,m", "back", "Back", "Drop the search, else back to the generations.", footer=True, shown="Esc"),
)

GRADING = table(
    "grading",
    Key("tab", "pane(1)", "Part", "Go to the next part: race, trust, disputed rows.", footer=True),
    Key("shift+tab", "pane(-1)", "Previous part", "Go to the part before."),
    Key("d", "disputed", "Disputed", "Find the training rows whose grade the head disputes; a model is read.", True),
    *of_part(
        "disputed",
        Key("enter,r", "open_row", "Read", "Read the selected row and give it another grade.", footer=True),
        Key("u", "undo", "Undo", "Give the selected row the grade of your file again; once more: yours."),
        Key("a", "every", "All", "List all disputed rows, or only the most disputed tenth of your rows."),
    ),
    Key(
        "slash", "filter", "Search", "Show only disputed rows that contain a text: a name, a kind, a word.", footer=True
    ),
    *of_part("disputed", Key("escape", "clear_filter", "Clear", "Drop the search.")),
    *of_part(
        "trust",
        Key("plus,equals_sign", "wanted(1)", "Agreement", "Trust: want more agreement, up to 100%.", True, "+ -"),
        Key("minus", "wanted(-1)", "Less agreement", "Trust: want less agreement, down to 50%.", shown="-"),
        Key("x", "tolerance", "Within one", "Trust: agreement is the same grade, or one or more grades off.", True),
        Key("w", "way", "Way", "Trust: another way to a grade that has probabilities.", footer=True),
    ),
    Key("left", "step(1)", "Earlier step", "Show an earlier step.", shown="←", priority=True),
    Key("right", "step(-1)", "Later step", "Show a later step.", shown="→", priority=True),
    *of_part(
        "trust",
        Key("left_square_bracket", "epoch(-1)", "Earlier epoch", "Trust: the grades read after an earlier epoch."),
        Key("right_square_bracket", "epoch(1)", "Later epoch", "Trust: the grades read after a later epoch."),
    ),
    Key("o", "note", "Observation", "Write an observation on the run on show in the monitor."),
)

GRADER = table(
    "grader",
    Key("ctrl+g", "grade", "Grade", "Grade the code, or the file or folder that is named.", True, "^g", priority=True),
    Key("i", "go_to('code')", "Code", "Write or paste code; Esc leaves the text.", footer=True),
    Key("p", "go_to('path')", "Path", "Name a file or a folder to grade; Tab completes.", footer=True),
    Key("c", "correct", "Correct", "Say what grade it should get: a row of the batch of corrections.", footer=True),
    Key("e", "feedback", "Feedback", "Let the grader write a text for the submission on show.", footer=True),
    Key("f", "choose(0)", "Checkpoint", "Choose the checkpoint that grades.", footer=True),
    Key("b", "choose(1)", "Beside", "Choose a second checkpoint beside it, or none."),
    Key("s", "stop", "Stop", "Stop grading; what is graded stays."),
    Key("u", "undo", "Undo", "Undo the last correction of the submission on show."),
    Key("right_square_bracket,n", "next(1)", "Next", "Show the next answer of the list.", shown="] n"),
    Key("left_square_bracket", "next(-1)", "Previous", "Show the answer before."),
    Key(
        "o",
        "order",
        "Order",
        "Order the list: as it came, for a person first, lowest, least sure, by name.",
        part="list",
    ),
    Key("slash", "filter", "Search", "Show only submissions that contain a text: a name, ask, an area, a word."),
    Key("enter", "read", "Read", "Read the selected answer of the list."),
    Key("tab", "next_part(1)", "Next part", "Go to the next field or part."),
    Key("shift+tab", "next_part(-1)", "Previous part", "Go to the field or part before."),
    Key("escape", "leave", "Back", "Leave the text, or drop the search.", priority=True),
)

REGRADE = table(
    "regrade",
    Key("enter,g", "grade", "Grade", "Give the chosen grade, or type one; the one it has confirms it.", footer=True),
    Key("n", "note", "Note", "Write a note that is kept with the next correction.", footer=True),
    Key("u", "undo", "Undo", "Drop the chosen grade, or give the row the grade of your file again.", footer=True),
    Key("j,down", "scroll(1)", "Down", "Scroll down."),
    Key("k,up", "scroll(-1)", "Up", "Scroll up."),
    *ends("ends"),
    Key("escape,q", "dismiss", "Close", "Drop the chosen grade, or go back to the list.", footer=True, shown="Esc"),
)

NOTE = table(
    "note",
    Key("ctrl+s", "keep", "Keep", "Keep the text.", priority=True),
    Key("ctrl+e", "editor", "$EDITOR", "Write in your own editor.", priority=True),
    Key("escape", "drop", "Not now", "Close; what is typed stays for the next time.", shown="Esc", priority=True),
)

TRY = table(
    "try",
    Key("ctrl+s", "ask", "Ask", "Let the checkpoints answer.", True, priority=True),
    Key("ctrl+t", "template", "Template", "Take the text as a submission, or as the prompt.", True, priority=True),
    Key("ctrl+r", "row", "Hold-out row", "Put in a row of the hold-out.", True, priority=True),
    Key("ctrl+o", "file", "File", "Put in a file as the submission.", True, priority=True),
    Key("escape", "leave", "Close", "Close.", True, priority=True),
)

CHECKPOINTS = table(
    "checkpoints",
    Key("enter,r", "act('resume_from')", "Train from it", "Train the next step, or a branch, from it.", True),
    Key(
        "space",
        "mark",
        "Mark",
        "Mark one or two to compare; {checkpoints.delete}, {checkpoints.verify}, {checkpoints.pin} take both.",
        True,
    ),
    Key("v", "act('verify')", "Verify", "Read every byte of the selected (or marked) ones.", footer=True),
    Key("V", "act('verify_all')", "Verify all", "Read every byte of all checkpoints."),
    Key("p", "act('pin')", "Pin", "Never delete it; press again to unpin it.", footer=True),
    Key("n", "act('note')", "Note", "Write a note on it."),
    Key("t", "act('try_it')", "Try", "Answer a prompt with it; with two marked, side by side.", footer=True),
    Key("s", "act('score')", "Score", "Score it on the hold-out again."),
    Key("d,delete", "act('remove')", "Delete", "Delete the selected (or marked) ones; asks first.", footer=True),
    *details(),
    Key("x", "act('export')", "Export", "Write it as an ordinary model folder with a model card.", True),
    Key("D", "act('prune')", "Prune", "Delete every checkpoint that nothing needs; asks first."),
    Key("o", "order", "Order", "Order them as a tree, by loss, by age or by size.", True),
    Key("slash", "filter", "Filter", "Show only checkpoints that contain a text: best, lora, step 2, a note.", True),
    Key("escape", "clear_filter", "Clear", "Drop the filter, then the marks."),
)

LOG = table(
    "log",
    Key("slash", "filter", "Filter", "Show only the lines that contain a text.", footer=True),
    Key("r", "raw", "Raw", "Show the lines as they are in the file; press again for the readable form.", footer=True),
    Key("e", "errors_first", "Errors first", "Show errors and warnings first; press again for order of time.", True),
    Key("escape", "clear_filter", "Clear", "Drop the filter."),
    Key("j", "move(1)", "Down", "Scroll down (also ↓)."),
    Key("k", "move(-1)", "Up", "Scroll up (also ↑)."),
    Key("g,home", "top", "Top", "Go to the first line.", shown="g", priority=True),
    Key("G,end", "bottom", "End", "Go to the last line and follow the log.", shown="G", priority=True),
)

SETTINGS = table(
    "settings",
    Key("enter", "edit", "Change", "Change the selected setting; it is saved in a file of the app's own.", footer=True),
    Key("x,delete", "reset", "Reset", "Remove the value that the app saved for the selected setting.", footer=True),
    Key("u", "undo", "Undo", "Take back the last change of a setting; once more brings it back.", footer=True),
    Key("slash", "filter", "Filter", "Show only settings whose name or help contains a text.", footer=True),
    *details(),
    Key("escape", "clear_filter", "Clear", "Drop the filter."),
)

TABLES: dict[str, tuple[Key, ...]] = {
    keys[0].table: keys
    for keys in (
        GLOBAL, MONITOR, PANE, CURVES, GENERATIONS, BLIND, GRADES, GRADING, GRADER, REGRADE, NOTE, TRY, TABLE,
        CHECKPOINTS, LOG, SETTINGS, RUNS, COMPARE, PROBES, ROWS, ROW, LONG_LIST,
    )
}  # fmt: skip

Sections = tuple[tuple[str, tuple[Key, ...]], ...]

# the sections of each screen's help; the first one has the keys of its footer
SCREEN_KEYS: dict[str, Sections] = {
    "monitor": (("Monitor", MONITOR), ("In a pane", PANE), ("In the curves", CURVES)),
    "generations": (("Generations", GENERATIONS),),
    "probes": (("Probe prompts", PROBES), ("In the table", TABLE), ("In a text", PANE)),
    "blind": (("Blind round", BLIND),),
    "grades": (("Grades", GRADES), ("In the table", TABLE)),
    "checkpoints": (("Checkpoints", CHECKPOINTS), ("In the table", TABLE)),
    "log": (("Log", LOG),),
    "settings": (("Settings", SETTINGS), ("In the table", TABLE)),
    "rows": (("Rows", ROWS), ("In the list", LONG_LIST), ("In a text", PANE)),
    "runs": (("Runs", RUNS), ("In the table", TABLE), ("In a text", PANE)),
    "compare": (("Compare runs", COMPARE), ("In the table", TABLE)),
    "grading": (("Grading", GRADING), ("In a text", PANE), ("In the table", TABLE)),
    "grader": (("Grader", GRADER), ("In a text", PANE), ("In the table", TABLE)),
}
