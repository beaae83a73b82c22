"""Texts of the checkpoint browser: lines of a tree or a sorted list, details, differences, a planned deletion.

Pure: ``catalog.read_checkpoint_list`` reads the disk.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from opeddev_tui.checkpoints.catalog import CheckpointList, Entry, of_other_holdout
from opeddev_tui.checkpoints.pruning import Removal
from opeddev_tui.format import duration, number, rounded, share, signed, size
from opeddev_tui.runs.grade_words import read_by
from opeddev_tui.runs.manifest import difference
from opeddev_tui.text import clean_line
from opeddev_tui.ui.widgets.grid import Cell
from opeddev_tui.ui.widgets.tables import cut, fit

# problems found by reading every byte, by folder; an empty list is an undamaged checkpoint
Verified = Mapping[str, list[str]]
ORDERS: tuple[str, ...] = ("tree", "loss", "age", "size")
# what a person chooses by comes first: it is in view on 80 columns
TITLES = ("checkpoint", "hold-out", "marks", "verified", "gain (95%)", "size", "age", "human", "exact", "kappa", "kind")
NUMBERS = ("hold-out", "size", "age", "human", "exact", "kappa")
# what the details say as well, the least asked for first
LEFT_OUT = ("kind", "human", "age", "size", "kappa", "exact", "gain (95%)")
RUN = "run "
# the first column leaves room for the others on 80 columns
_WIDEST = 24


# --- lines of the table


def lines(
    shelf: CheckpointList, verified: Verified, marked: Sequence[str], *, order: str, filter_text: str, now: float
) -> list[tuple[str, tuple[Cell, ...]]]:
    """Return (key, cells) of each line; the key of a run's own line begins with ``RUN``."""
    kept = [entry for entry in shelf.entries if filter_text.lower() in _searched(shelf, entry, verified)]
    if order != "tree":
        kept.sort(key=_KEYS[order])
        return [(str(entry.folder), _cells(entry, short(entry), verified, marked, now)) for entry in kept]
    result: list[tuple[str, tuple[Cell, ...]]] = []
    for run in dict.fromkeys(entry.run for entry in sorted(kept, key=lambda item: (item.step, item.run))):
        mine = [entry for entry in kept if entry.run == run]
        result.append((RUN + run, _run_cells(shelf, mine)))
        for entry in mine:
            branch = "└" if entry is mine[-1] else "├"
            result.append((str(entry.folder), _cells(entry, f" {branch} {_leaf(entry)}", verified, marked, now)))
    return result


_KEYS: dict[str, Callable[[Entry], float]] = {
    "loss": lambda entry: entry.val_loss if entry.val_loss is not None else float("inf"),
    "age": lambda entry: -entry.created,
    "size": lambda entry: -entry.size,
}


def _searched(shelf: CheckpointList, entry: Entry, verified: Verified) -> str:
    """Return the text that a filter looks into."""
    texts = (entry.name, short(entry), *entry.marks, kind(entry), entry.note, state(entry, verified))
    return " ".join((*texts, shelf.batches.get(entry.run, ""))).lower()


def _run_cells(shelf: CheckpointList, mine: Sequence[Entry]) -> tuple[Cell, ...]:
    """Return the line of a run: its batch, the checkpoint it started from, its rows."""
    entry = next((item for item in mine if item.published), mine[0])
    origin = shelf.find(entry.parent)
    started = short(origin) if origin is not None else Path(entry.parent).name if entry.parent else "the base model"
    rows = f"{entry.rows} rows " if entry.rows else ""
    what = "repeat of step" if entry.repeats else "step"
    head = fit(f"{what} {entry.step} {clean_line(shelf.batches.get(entry.run, ''))}", _WIDEST).rstrip()
    return ((head, "bold"), "", f"{rows}← {started}", *("",) * (len(TITLES) - 3))


def _leaf(entry: Entry) -> str:
    if not entry.published:
        return entry.folder.name
    whole = float(entry.epoch).is_integer()
    return f"epoch {entry.epoch:g}" if whole else f"epoch {entry.epoch:.2f} (step {entry.global_step})"


def short(entry: Entry) -> str:
    """Return the short name of a checkpoint inside the workspace: its step and epoch."""
    return f"step {entry.step} {_leaf(entry)}"


def kind(entry: Entry) -> str:
    """Return whether it is full or LoRA, and its precision."""
    return f"{'LoRA' if entry.lora else 'full'} {entry.precision}".strip() if entry.published else "–"


def state(entry: Entry, verified: Verified) -> str:
    """Return whether it can be trusted."""
    problems = verified.get(str(entry.folder))
    if not entry.published:
        return "✗ unfinished"
    if problems is None:
        # every byte was read back before it was published; later damage is found by reading it again
        return "✓ when saved"
    return "✗ damaged" if problems else "✓ just now"


# cells that the marks take at most: the details name them all
_MARKS = 60
_SIGNS = {"best": "★ best", "pinned": "⚑ pinned", "chosen": "✓ chosen"}


def _marks(entry: Entry) -> str:
    # the best one first: the end of a long list is cut
    marks = sorted(entry.marks, key=lambda mark: mark != "best")
    signs = (_SIGNS.get(mark, mark.replace("start of step", "→ step")) for mark in marks)
    return cut(", ".join(signs), _MARKS) or "–"


def _cells(entry: Entry, name: str, verified: Verified, marked: Sequence[str], now: float) -> tuple[Cell, ...]:
    sign = f"{marked.index(str(entry.folder)) + 1}▸" if str(entry.folder) in marked else "  "
    return (
        f"{sign}{name}",
        number(entry.val_loss, 4),
        _marks(entry),
        state(entry, verified),
        gain(entry),
        size(entry.size),
        duration(max(0.0, now - entry.created)),
        share(entry.human),
        share(entry.exact),
        rounded(entry.kappa),
        kind(entry),
    )


def gain(entry: Entry) -> str:
    """Return how far the hold-out loss fell since the step's beginning, with its 95% interval."""
    if entry.gain is None or entry.interval is None:
        return "–"
    return f"{signed(entry.gain, 3)} ({signed(entry.interval[0], 3)} to {signed(entry.interval[1], 3)})"


# --- below the table


def _of_other(shelf: CheckpointList, entry: Entry) -> str:
    is_other = of_other_holdout(shelf.entries, entry)
    return " (another hold-out than the newest run's: not comparable)" if is_other else ""


def detail(shelf: CheckpointList, entry: Entry, verified: Verified, now: float) -> list[str]:
    """Return everything known of one checkpoint as cleaned lines."""
    problems = verified.get(str(entry.folder))
    trust = state(entry, verified) + (": " + "; ".join(problems) if problems else "")
    trust = trust.replace("✓ ", "✓ verified ")
    facts = [
        f"{short(entry)} · {entry.name} · optimizer step {entry.global_step}",
        f"{trust} · {', '.join(entry.marks) or 'no marks'} · {kind(entry)} · {size(entry.size)} · "
        f"{duration(max(0.0, now - entry.created))} old",
        f"hold-out {number(entry.val_loss, 4)}{_of_other(shelf, entry)} · gain {gain(entry)} · human "
        f"{share(entry.human)}{_grades(entry)}",
        "grew from " + " ← ".join(lineage(shelf, entry)),
    ]
    facts += [f"note: {entry.note}"] if entry.note else []
    facts += [f"adapters on {entry.base}"] if entry.lora else []
    facts.append(str(entry.folder))
    facts += [_as_set(name, value, entry) for name, value in _notable(shelf.settings.get(entry.run, {}))]
    return [clean_line(fact) for fact in facts]


def _grades(entry: Entry) -> str:
    """Return how good its grades of the hold-out are, and how they were read; empty where none were measured."""
    if entry.exact is None:
        return ""
    return f" · grades by {read_by(entry.graded_by)}: {share(entry.exact)} exact, kappa {rounded(entry.kappa)}"


def _as_set(name: str, value: Any, entry: Entry) -> str:
    """Return a setting with its value; a precision that the device did not have was replaced, which is said."""
    replaced = name == "model.precision" and entry.precision and value not in ("auto", entry.precision)
    return f"{name} = {value}" + (f" was asked for, {entry.precision} was used" if replaced else "")


_NOTABLE = (
    "model.name", "model.precision", "training.learning_rate", "training.resume_learning_rate",
    "training.num_train_epochs", "training.per_device_train_batch_size", "training.gradient_accumulation_steps",
    "training.seed", "data.max_length", "lora.enabled", "lora.r", "lora.lora_alpha",
)  # fmt: skip


def _notable(settings: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return the settings of a run that a person looks for first, as (name, value)."""
    notable = []
    for name in _NOTABLE:
        section, _, key = name.partition(".")
        table = settings.get(section, {})
        if isinstance(table, dict) and key in table and not (section == "lora" and not table.get("enabled")):
            notable.append((name, table[key]))
    return notable


def lineage(shelf: CheckpointList, entry: Entry) -> list[str]:
    """Return the ancestors, nearest first, down to the base model."""
    ancestors: list[str] = []
    seen = {str(entry.folder)}
    parent = entry.parent
    while parent:
        ancestor = shelf.find(parent)
        if ancestor is None or parent in seen:
            return [*ancestors, f"{Path(parent).parent.name}/{Path(parent).name} (no longer here)"]
        seen.add(parent)
        ancestors.append(f"{short(ancestor)} ({ancestor.rows} rows)")
        parent = ancestor.parent
    return [*ancestors, "the base model"]


def differences(shelf: CheckpointList, one: Entry, two: Entry) -> list[tuple[str, str, str]]:
    """Return (name, value of one, value of two) of everything that differs between two checkpoints."""
    # the grades of the list may be read in another way than those that are compared
    by = f" by {read_by(one.graded_by)}" if one.graded_by and one.graded_by == two.graded_by else ""

    def facts(entry: Entry) -> dict[str, Any]:
        return {
            "step": entry.step, "epoch": entry.epoch, "rows": entry.rows, "hold-out loss": number(entry.val_loss, 4),
            "gain": gain(entry), "human": share(entry.human), f"exact{by}": share(entry.exact),
            f"kappa{by}": rounded(entry.kappa), "size": size(entry.size),
            "hold-out": entry.holdout[:12], "kind": kind(entry), "grew from": lineage(shelf, entry)[0],
            "note": entry.note,
        }  # fmt: skip

    pairs = difference(facts(one), facts(two))
    pairs += difference(shelf.settings.get(one.run, {}), shelf.settings.get(two.run, {}))
    return [(clean_line(name), _text(a), _text(b)) for name, a, b in pairs]


def _text(value: Any) -> str:
    value = f"{value:.6g}" if isinstance(value, float) else value
    return "–" if value is None or value == "" else clean_line(str(value), max_chars=200)


def removal_text(removal: Removal, room: int) -> str:
    """Return what a deletion would do in about ``room`` lines: what is deleted, then what is kept and why."""
    deleted = [f"✗ deleted: {short(entry)} of …{entry.run[-12:]} ({size(entry.size)})" for entry in removal.goes]
    deleted += [f"✗ deleted: {item.folder.name} of …{item.run[-12:]} ({size(item.size)}), quarantined as damaged"
                for item in removal.aside]  # fmt: skip
    kept = [f"  kept: {short(entry)} ({reason})" for entry, reason in removal.stays]
    most = max(2, room - min(len(kept), room // 3))
    shown = [*deleted[:most], *([f"  … and {len(deleted) - most} more deleted"] if len(deleted) > most else [])]
    left = max(1, room - len(shown))
    shown += [*kept[:left], *([f"  … and {len(kept) - left} more kept"] if len(kept) > left else [])]
    last = f"{size(removal.freed)} would be freed." if deleted else "Nothing would be deleted."
    return "\n".join(clean_line(line) for line in [*shown, last])
