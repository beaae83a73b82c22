"""The score of the test set as a table and sentences that fit 80 columns, and as JSON. It has no row to show."""

from typing import TYPE_CHECKING, Any

import msgspec

from opeddev_tui.commands.printing import CleanConsole
from opeddev_tui.format import moment, plural, with_interval
from opeddev_tui.runs.grade_words import graded_by
from opeddev_tui.runs.looks import Looks
from opeddev_tui.text import clean_line

if TYPE_CHECKING:
    from opeddev_tui.grading.sealed_score import Scored


def as_json(scored: "Scored", looks: Looks, fingerprint: str) -> dict[str, Any]:
    """Return the figures and the number of the look as plain values."""
    counted = {"look": looks.at_version(fingerprint), "looks": looks.count, "fingerprint": fingerprint}
    return {**counted, **msgspec.to_builtins(scored)}


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
        told = with_interval(loss.value, (loss.low, loss.high), 3)
        console.say(f"loss of {clean_line(name)}: {told} nats per token")
    if scored.race is None:
        console.say("Grades are not scored: training rows or test rows have too few.")
        return
    from opeddev_tui.commands.race_tables import race_table

    console.print(race_table(scored.race, timed=False))
    console.say("In brackets: 95% intervals.")
    verdict = scored.race.verdict.replace("the hold-out", "the test set").replace("hold-out row", "test row")
    console.say(verdict, style="bold")
    console.say(graded_by(scored.race.chosen))
    console.say(scored.race.tuning)
