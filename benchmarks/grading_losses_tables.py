"""The tables of ``grading_losses.py``: figures per variant as means over seeds. Not for use by itself."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

BEST = 3
WAYS = ("written", "tokens, median", "tokens, mean", "head on the step", "head on the base")
PARTS = ("hold-out", "unseen")
SHOWN = ("kappa", "exact", "within_one", "nll")


def mean(values: Iterable[float]) -> str:
    """Return mean ± standard error of the finite values."""
    found = [value for value in values if np.isfinite(value)]
    if not found:
        return "-"
    error = f" ± {np.std(found, ddof=1) / len(found) ** 0.5:.2f}" if len(found) > 1 else ""
    return f"{np.mean(found):.2f}{error}"


def print_tables(cells: Sequence[Mapping[str, Any]]) -> None:
    """Print, per number of rows, the figures of each variant as means over its seeds."""
    for count in sorted({cell["rows"] for cell in cells}):
        some = [cell for cell in cells if cell["rows"] == count]
        variants = list(dict.fromkeys(cell["variant"] for cell in some))
        for part in PARTS:
            print(f"\n{count} training rows, {part}: mean ± standard error over seeds")
            for figure in SHOWN:
                print(f"  {figure:34}" + "".join(f"{way:>19}" for way in WAYS))
                for variant in variants:
                    mine = [cell["figures"].get(part, {}) for cell in some if cell["variant"] == variant]
                    shown = [mean(one[way][figure] for one in mine if figure in one.get(way, {})) for way in WAYS]
                    print(f"    {variant:32}" + "".join(f"{cell:>19}" for cell in shown))
        print(f"\n{count} training rows: loss (drawn rows, hold-out), answered, seconds of training and in all")
        for variant in variants:
            mine = [cell for cell in some if cell["variant"] == variant]
            losses = "".join(f"{mean(cell['loss'][name] for cell in mine):>15}" for name in ("drawn", "hold-out"))
            told = mean(cell["figures"]["hold-out"]["written"]["answered"] for cell in mine)
            seconds = "".join(f"{mean(cell[name] for cell in mine):>15}" for name in ("train_seconds", "seconds"))
            print(f"    {variant:32}{losses}{told:>15}{seconds}  ({len(mine)} seeds)")
    print("", flush=True)


def print_markdown(cells: Sequence[Mapping[str, Any]]) -> None:
    """Print one table per number of rows for docs/grading.md: kappa on all rows that were not trained on."""
    for count in sorted({cell["rows"] for cell in cells}):
        print(f"| kappa after {count} rows | {' | '.join(WAYS)} | hold-out loss | written grades |")
        print("| --- " * (len(WAYS) + 3) + "|")
        some = [cell for cell in cells if cell["rows"] == count]
        for variant in dict.fromkeys(cell["variant"] for cell in some):
            mine = [cell for cell in some if cell["variant"] == variant]
            shown = [mean(_all_new(cell, way, "kappa") for cell in mine) for way in WAYS]
            shown.append(mean(cell["loss"]["hold-out"] for cell in mine))
            shown.append(mean(_all_new(cell, "written", "answered") for cell in mine))
            print(f"| {variant} ({len(mine)}) | {' | '.join(shown)} |")
        print("", flush=True)


def _all_new(cell: Mapping[str, Any], way: str, figure: str) -> float:
    """Return a figure on all rows that were not trained on: the parts' mean, weighted by their rows."""
    parts = [part for part in PARTS if part in cell["figures"]]
    sizes = [cell["sizes"][part] for part in parts]
    return float(np.average([cell["figures"][part][way][figure] for part in parts], weights=sizes))


def best_of(cells: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return cross-entropy and the variants whose grade tokens have the highest kappa on rows not trained on."""

    def kappa(variant: str) -> float:
        mine = [_all_new(cell, "tokens, median", "kappa") for cell in cells if cell["variant"] == variant]
        return float(np.nanmean(mine)) if np.isfinite(mine).any() else -1.0

    trained = [
        name for name in dict.fromkeys(cell["variant"] for cell in cells) if name not in ("none", "cross-entropy")
    ]
    return ["cross-entropy", *sorted(trained, key=kappa, reverse=True)[:BEST]]
