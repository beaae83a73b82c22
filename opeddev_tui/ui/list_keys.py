"""Tables of the keys of the screens that list things to compare and to read: runs, probe prompts, rows."""

from opeddev_tui.ui.key_rows import Key, table


def details() -> tuple[Key, ...]:
    """Return the keys of every list that shows its selected row in full; the first one is for the footer."""
    return (
        Key("i", "details", "Details", "Show the selected row in full below the list, or hide it: on all lists.", True),
        Key("J", "scroll_details(1)", "Details down", "Scroll the details down.", part="details"),
        Key("K", "scroll_details(-1)", "Details up", "Scroll the details up.", part="details"),
    )


def ends(action: str = "") -> tuple[Key, ...]:
    """Return the keys to the top and the end of a text; without ``action`` those of the text itself.

    No letters: g has another meaning where texts are, and means the same only in lists and in the log.
    """
    top, end = (f"{action}(-1)", f"{action}(1)") if action else ("scroll_home", "scroll_end")
    return (Key("home", top, "Top", "Go to the top of the text."), Key("end", end, "End", "Go to the end of it."))


RUNS = table(
    "runs",
    Key("enter", "open_run", "Open", "Show the selected run in the monitor.", footer=True),
    Key("C", "compare", "Compare", "Put the marked runs, or all that are listed, into one chart.", footer=True),
    Key("space", "mark", "Mark", "Mark the selected run for the comparison, or take the mark away.", footer=True),
    Key(
        "slash", "filter", "Filter", "Show only runs such as: lr<1e-4 lora !failed, qwk>0.5 step:2 seed=3.", footer=True
    ),
    *details(),
    Key("o", "order", "Order", "Order: newest, lowest hold-out loss, largest fall, best kappa, step, state.", True),
    Key("escape", "clear_filter", "Clear", "Drop the filter, then the marks."),
    Key("s", "other_seeds", "Other seeds", "Train the step of this run again with other seeds; asks first.", True),
    Key("a", "take", "Take", "Make this seed's run the run of its step; asks first.", footer=True),
    Key("r", "reload", "Reload", "Read the list of runs again.", footer=True),
)

COMPARE = table(
    "compare",
    Key("n", "measure(1)", "Next chart", "Compare the next measure: losses, grades, speed, load.", footer=True),
    Key("N", "measure(-1)", "Previous chart", "Compare the measure before."),
    Key("a", "tile", "All charts", "Show as many charts as fit beside each other, or one again.", footer=True),
    Key("slash", "filter", "Filter", "Choose runs: lr<1e-4 lora !failed, qwk>0.5 step:2 seed=3.", footer=True),
    Key("space", "draw", "Draw", "Draw the selected run, or leave it out of the picture.", footer=True),
    Key("u", "draw_all", "All runs", "Draw every run that the filter lets pass."),
    Key("v", "cursor", "Values", "Show a cursor; the table has the value of each run there. Arrows move it.", True),
    Key("left", "move(-1)", "Left", "Move the cursor, or pan.", shown="←", priority=True),
    Key("right", "move(1)", "Right", "Move the cursor, or pan.", shown="→", priority=True),
    Key("x", "x_axis", "X axis", "Show epochs or optimizer steps on the x axis.", footer=True),
    Key("l", "log_scale", "Log scale", "Logarithmic y axis, on or off.", priority=True),
    Key("m", "smoothing", "Smoothing", "Smooth the train loss: off, 0.6, 0.8, 0.95."),
    Key("plus,equals_sign", "zoom(0.5)", "Zoom in", "Zoom in on the x axis.", shown="+"),
    Key("minus", "zoom(2.0)", "Zoom out", "Zoom out.", shown="-"),
    Key("0", "reset", "Whole plot", "Undo zoom and pan."),
    Key("enter", "open_run", "Open", "Show the selected run in the monitor."),
    Key("escape", "back", "Back", "Drop the filter, else go back.", footer=True),
)

PROBES = table(
    "probes",
    Key("enter", "open_row", "Read", "Read the selected prompt at both points, side by side.", footer=True),
    Key(
        "slash", "filter", "Search", "Show only prompts with a text in the prompt, the answers or the reference.", True
    ),
    Key("o", "order", "Sort", "Sort: as generated, changed grades first, most flips, farthest from right, id.", True),
    *details(),
    Key("escape,t", "back", "Back", "Drop the search, else back to the generations.", footer=True, shown="Esc"),
    Key("right_square_bracket", "epoch(1)", "Later", "Show a later point as now.", footer=True),
    Key("left_square_bracket", "epoch(-1)", "Earlier", "Show an earlier point as now.", footer=True),
    Key("right_curly_bracket,full_stop", "left_epoch(1)", "Before later", "A later point as before.", shown="} ."),
    Key("left_curly_bracket,comma", "left_epoch(-1)", "Before", "An earlier point as before.", True, "{ ,"),
)

ROWS = table(
    "rows",
    Key("enter", "open_row", "Read", "Read the selected row as the model sees it, and as it was written.", footer=True),
    Key("slash", "filter", "Search", "Rows such as: loss>2 grade=3 kind:css, group:team, or words in them.", True),
    Key("o", "order(1)", "Sort", "Sort: as in the files, highest loss, grade, disagreement, longest, group.", True),
    Key("O", "order(-1)", "Sort back", "Sort in the way before."),
    *details(),
    Key("right_square_bracket", "set(1)", "Next set", "Show the rows of the next batch; the hold-out is last.", True),
    Key("left_square_bracket", "set(-1)", "Previous set", "Show the rows of the batch before.", footer=True),
    Key("r", "reload", "Reload", "Read the files again.", footer=True),
    Key("escape", "clear_filter", "Clear", "Drop the search."),
)

ROW = table(
    "reading",
    Key("m", "side", "Model or file", "Show the row as the model sees it, as it was written, or what it got.", True),
    Key("j,down", "scroll(1)", "Down", "Scroll down."),
    Key("k,up", "scroll(-1)", "Up", "Scroll up."),
    *ends("ends"),
    Key("n,right", "next(1)", "Next", "Read the next row of the list.", footer=True, shown="n →"),
    Key("p,left", "next(-1)", "Previous", "Read the row before.", footer=True, shown="p ←"),
    Key("y", "copy", "Copy", "Copy what is shown.", footer=True),
    Key("P", "pager", "Pager", "Show it in your pager ($PAGER, else less)."),
    Key("escape,q", "leave", "Close", "Back to the list.", footer=True, shown="Esc"),
)

LONG_LIST = table(
    "list",
    Key("j,down", "cursor(1)", "Down", "Next row.", shown="j ↓"),
    Key("k,up", "cursor(-1)", "Up", "Previous row.", shown="k ↑"),
    Key("pagedown", "page(1)", "Page down", "A page further down.", shown="PgDn"),
    Key("pageup", "page(-1)", "Page up", "A page further up.", shown="PgUp"),
    Key("g,home", "end(-1)", "First", "Go to the first row.", shown="g"),
    Key("G,end", "end(1)", "Last", "Go to the last row.", shown="G"),
    Key("enter", "choose", "Choose", "Read the selected row."),
)

TABLE = table(
    "table",
    Key("j", "cursor_down", "Down", "Next row (also ↓)."),
    Key("k", "cursor_up", "Up", "Previous row (also ↑)."),
    Key("h", "scroll_left", "Left", "Scroll to the column before (also ←)."),
    Key("l", "scroll_right", "Right", "Scroll to the next column (also →)."),
    Key("g,home", "scroll_top", "First", "Go to the first row.", shown="g"),
    Key("G,end", "scroll_bottom", "Last", "Go to the last row.", shown="G"),
)
