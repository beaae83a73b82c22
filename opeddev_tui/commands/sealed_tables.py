"""The score of the test set as a table and sentences that fit 80 columns, and as JSON. It has no row to show."""

from typing import TYPE_CHECKING

import msgspec
from rich.table import Table

from opeddev_tui.commands.printing import CleanConsole, json_text, plain_table
from opeddev_tui.format import moment, number, plural, share, with_interval
from opeddev_tui.runs.grade_words import graded_by
from opeddev_tui.runs.looks import Looks
from opeddev_tui.text import clean_line

if TYPE_CHECKING:
    from opeddev_tui.grading.intervals import Estimate
    from opeddev_tui.grading.race import Race
    from opeddev_tui.grading.sealed_score import Scored


def as_json(scored: "Scored", looks: Looks, fingerprint: str) -> str:
    """Return the figures and the number of the look as JSON."""
    counted = {"look": looks.at_version(fingerprint), "looks": looks.count, "fingerprint": fingerprint}
    return json_text({**counted, **msgspec.to_builtins(scored)})


def looks_json(looks: Looks) -> str:
    """Return all looks as JSON."""
    return json_text({"looks": looks.looks, "damaged": looks.damaged})


def look_words(looks: Looks, fingerprint: str) -> str:
    """Return which look this is, and what earlier ones mean for its figures."""
    here = looks.at_version(fingerprint)
    told = f"Look {here} at this test set ({fingerprint[:8]})."
    if looks.count > here:
        told += f" Before, there was {plural(looks.count - here, 'look')} at other rows."
    if here == 1:
        return f"{told} These figures are fair as long as nothing is chosen by them."
    before = looks.looks[-2] if len(looks.looks) > 1 else None
    last = f" The one before: {moment(before.at)}, {clean_line(before.checkpoint)}." if before is not None else ""
    return f"{told}{last} What is chosen by figures of several looks is flattered by them."


def show(console: CleanConsole, scored: "Scored", looks: Looks, fingerprint: str) -> None:
    """Print the losses, the race and the number of the look."""
    console.say(look_words(looks, fingerprint), style="bold")
    console.say(f"{plural(scored.rows, 'row')}, {scored.graded} of them graded.")
    for name, loss in scored.losses.items():
        console.say(f"loss of {clean_line(name)}: {_told(loss, 3)} nats per token")
    if scored.race is None:
        console.say("Grades are not scored: training rows or test rows have too few.")
        return
    console.print(_race_table(scored.race))
    console.say("In brackets: 95% intervals.")
    verdict = scored.race.verdict.replace("the hold-out", "the test set").replace("hold-out row", "test row")
    console.say(verdict, style="bold")
    console.say(graded_by(scored.race.chosen))
    console.say(scored.race.tuning)


def _race_table(race: "Race") -> Table:
    table = plain_table("method", "kappa", "exact", "within\none", "MAE", "kappa less best\ncheap way's")
    for row in race.rows:
        found = row.figures
        table.add_row(
            clean_line(row.name),
            _told(found["kappa"], 2),
            share(found["exact"].value),
            share(found["within_one"].value),
            number(found["mae"].value, 2),
            "" if row.to_cheap is None else _told(row.to_cheap, 2, sign=True),
            style="bold" if row.name == race.chosen else "",
        )
    return table


def _told(estimate: "Estimate", digits: int, *, sign: bool = False) -> str:
    return with_interval(estimate.value, (estimate.low, estimate.high), digits, sign=sign)
