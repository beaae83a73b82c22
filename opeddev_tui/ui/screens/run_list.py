"""Base of the screens that list runs: a filter over their settings and measures, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from opeddev_tui.analysis.run_facts import KNOWN
from opeddev_tui.analysis.run_filter import Facts, Filter, names_of, parse_in_part
from opeddev_tui.ui.screens.base import FilteredScreen
from opeddev_tui.ui.state.view import RunRow
from opeddev_tui.ui.tasks.lists import Listed
from opeddev_tui.ui.tasks.manifests import RunSettings
from opeddev_tui.ui.widgets.grid import Grid
from opeddev_tui.ui.widgets.query_box import QueryError

EXAMPLE = "lr<1e-4 lora !failed, qwk>0.5 step:2 seed=3, a name"


class RunListScreen(FilteredScreen):
    """A screen with a list of runs. What cannot be understood of a filter is told and left out."""

    def __init__(self) -> None:
        super().__init__()
        self.settings = RunSettings(self.shell)
        self._filter = Filter()

    def chosen_rows(self) -> list[tuple[RunRow, Facts]]:
        """Return the runs that the filter lets pass, newest first, with what is known of them."""
        rows = [row for row in self.shell.session.all_runs() if row.run]
        self.settings.read([row.run for row in rows], self.fill)
        known = [(row, self.settings.facts(row)) for row in rows]
        self._understand([facts for _, facts in known])
        return [(row, facts) for row, facts in known if self._filter.passes(facts)]

    def listed(self) -> Callable[[], Listed]:
        """Return what hands over the runs that the filter lets pass, with their measures and all their settings."""
        facts = {row.run: found for row, found in self.chosen_rows()}
        every = [facts[key] for key in self.query_one(Grid).keys if key in facts]
        names = (*KNOWN, *sorted({name for found in every for name in found.values if "." in name}))
        rows = [tuple(found.values.get(name) for name in names) for found in every]
        return lambda: Listed(names, rows)

    def _understand(self, every: Sequence[Facts]) -> None:
        self._filter, problem = parse_in_part(self.filter_text, {**KNOWN, **names_of(every)})
        self.query_one(QueryError).say(problem)
