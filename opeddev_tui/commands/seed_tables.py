"""Print the progress and the figures of a step that is trained with several seeds, and take another one."""

from rich.table import Table
from rich.text import Text

from opeddev_tui.analysis.seed_figures import StepSpread
from opeddev_tui.commands.printing import CleanConsole, plain_table
from opeddev_tui.format import number
from opeddev_tui.runs import events as ev
from opeddev_tui.text import clean_line
from opeddev_tui.workspace.paths import Workspace


class SeedsView:
    """Prints a line per epoch and seed. ``answer_with`` is the command that answers a question, empty if none is."""

    def __init__(self, console: CleanConsole, answer_with: str = "") -> None:
        self._console, self._answer_with = console, answer_with
        self._told: set[tuple[str, int]] = set()

    def show(self, label: str, event: ev.AnyEvent) -> None:
        """Show what the run called ``label`` recorded."""
        match event:
            case ev.EpochFinished() if (label, event.epoch) not in self._told:
                self._told.add((label, event.epoch))
                before = "before the step" if event.epoch == 0 else f"epoch {event.epoch}"
                self.tell(f"{label}, {before}: hold-out loss {event.val_loss:.4f}")
            case ev.DecisionAwaited() if self._answer_with and not event.verdict.limit_reached:
                self.tell(f"{label}, epoch {event.epoch} waits for your decision: {self._answer_with}")
            case ev.Warned():
                self.tell(f"{label}: {event.message}")

    def tell(self, text: str) -> None:
        """Show a sentence."""
        self._console.say(text, soft_wrap=True)


def print_spread(console: CleanConsole, spread: StepSpread) -> None:
    """Print the figures of a step over its seeds."""
    console.print(seeds_table(spread))
    for line in spread_lines(spread):
        console.say(line, soft_wrap=True)


def take_seed(workspace: Workspace, run: str) -> int:
    """Make ``run``, trained with another seed, its step's run; print that and return the exit code."""
    from opeddev_tui.groups.seeds import take

    console = CleanConsole(workspace.root)
    figures, notes = take(workspace, run)
    done = f"Seed {figures.seed} is the step's run now: {run}. The next step starts from it."
    for line in (done, *notes):
        console.say(clean_line(line), soft_wrap=True)
    return 0


def seeds_table(spread: StepSpread) -> Table:
    """Return the figures of every seed."""
    table = plain_table(title=f"step {spread.step}, {len(spread.seeds)} seeds")
    for name in ("seed", "state", "epoch", "hold-out loss", "kappa"):
        table.add_column(name, no_wrap=True)
    table.add_column("run", overflow="fold")
    for item in spread.seeds:
        epoch = "" if item.epoch is None else str(item.epoch)
        loss, kappa = number(item.loss, 4), number(item.kappa, 2)
        state = "chosen" if item.chosen else item.status
        cells = (str(item.seed), state, epoch, loss, kappa, clean_line(item.run))
        table.add_row(*(Text(cell) for cell in cells))
    return table


def spread_lines(spread: StepSpread) -> list[str]:
    """Return the spread of the figures, a line each."""
    figures = (("hold-out loss", spread.loss, 4), ("kappa", spread.kappa, 2), ("distance", spread.distance, 3))
    return [f"{name} over the seeds: {found.words(digits)}" for name, found, digits in figures if found is not None]
