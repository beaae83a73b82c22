"""What training for the grade brings: fine-tuning with each loss, through the app's Trainer, against frozen heads.

For each variant and seed (which draws the rows and their order) the model is trained anew on some of the graded rows.
Then hold-out and the rows that were not drawn are graded in five ways: the grade it writes, median and mean of its
grade-token distribution, a head on its states, a head on the base model's. Results are written after each training.

    python benchmarks/grading_losses.py MODEL DATA --rows 100 300 --seeds 3 --json OUT.json --minutes 5
    python benchmarks/grading_losses.py --show OUT.json

MODEL is a model folder, DATA a folder with training rows and validation rows as JSONL. A variant is a loss with its
weight, the weight of the grade's tokens, adapters, another learning rate: cross-entropy, ordinal*3,
cross-entropy+tokens*20, lora:squared*3, ordinal*10@1e-4; none is the untrained model. With several sizes, all variants
are trained at the first one and --further, or the best three, at the others. Several processes, each with its
--first-seed and file, share a GPU that one keeps half idle.
"""

import argparse
import copy
import gc
import json
import os
import re
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from grading_losses_tables import WAYS, best_of, print_markdown, print_tables
from msgspec import Struct

from opeddev_tui.config import settings as st
from opeddev_tui.data.batches import Batch, load_batch
from opeddev_tui.data.rows import Example, parse_grade
from opeddev_tui.files import write_atomic
from opeddev_tui.grading import step_head
from opeddev_tui.grading.features import read_rows
from opeddev_tui.grading.grade_tokens import GradeTokens, grade_stem, grade_tokens
from opeddev_tui.grading.graded_rows import graded_rows
from opeddev_tui.grading.ordinal import Grades
from opeddev_tui.grading.scale import Scale
from opeddev_tui.grading.scores import Predictions, Reference, answered, figures
from opeddev_tui.grading.spans import GradeRow, grade_rows

VARIANTS = (
    *("none", "cross-entropy", "squared*3", "ordinal*3", "cross-entropy+tokens*20"),
    *("cross-entropy@1e-4", "ordinal*10@1e-4"),
    *("lora:cross-entropy", "lora:squared*3", "lora:ordinal*3", "lora:ordinal*10@5e-4"),
)
# the share of the time for the first of several sizes
FIRST_SHARE = 0.6
_VARIANT = re.compile(r"(lora:)?(cross-entropy|squared|ordinal)(?:\*([\d.]+))?(?:\+tokens\*([\d.]+))?(?:@([\d.e-]+))?")


def settings_of(variant: str, options: argparse.Namespace, seed: int) -> st.Settings:
    """Return the app's settings for a variant; raises ``SystemExit`` for one that cannot be read."""
    found = _VARIANT.fullmatch(variant)
    if found is None:
        raise SystemExit(f"{variant} is not a variant; write for example lora:ordinal*3+tokens*20")
    lora, loss, weight, tokens, rate = found.groups()
    return st.Settings(
        model=st.Model(name=options.model, precision=options.precision),
        data=st.Data(max_length=options.max_length),
        training=st.Training(
            per_device_train_batch_size=options.batch,
            learning_rate=float(rate or options.learning_rate),
            num_train_epochs=options.epochs,
            logging_steps=5,
            seed=seed,
        ),
        lora=st.Lora(enabled=bool(lora), learning_rate=float(rate or options.lora_learning_rate)),
        grading=st.Grading(loss=loss, loss_weight=float(weight or 1), token_weight=float(tokens or 1)),
    )


class Data(Struct):
    """All rows: those that can be drawn first, then the hold-out; ``rows`` are their tokens."""

    examples: list[Example]
    drawable: int
    scale: Scale
    rows: list[GradeRow]
    tokens: GradeTokens

    @property
    def holdout(self) -> list[int]:
        """The places of the hold-out rows."""
        return list(range(self.drawable, len(self.examples)))


class Bench:
    """The model in memory and the rows; trains and grades one cell at a time on a copy of the model."""

    def __init__(self, options: argparse.Namespace) -> None:
        import torch

        from opeddev_tui.models import loading, token_check
        from opeddev_tui.models.precision import device_name, resolve_precision

        self._options = options
        torch.set_num_threads(options.threads)
        loading.quiet_libraries()
        settings = settings_of("cross-entropy", options, 0)
        self._fitted = token_check.fit(options.model, settings)
        self._precision = resolve_precision(options.precision)
        self._model: Any = loading.load_model(options.model, settings.model).eval()
        self.device = f"{device_name()}, {self._precision.name}"
        self.data = load_rows(options.data, self._fitted.encoder, settings)
        self._base: dict[int, Any] = {}
        print(
            f"{self.device}: {self.data.drawable} rows to draw from, {len(self.data.holdout)} hold-out rows", flush=True
        )

    def cell(self, variant: str, seed: int, count: int) -> dict[str, Any]:
        """Train one variant on ``count`` rows drawn by ``seed`` and return every figure."""
        import torch

        drawn = np.random.default_rng(seed).permutation(self.data.drawable)[:count].tolist()
        began = time.perf_counter()
        model, points = (self._model, []) if variant == "none" else self._trained(variant, seed, drawn)
        trained = time.perf_counter() - began
        found = self._graded(model, drawn, seed)
        del model
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        found |= {"variant": variant, "seed": seed, "rows": count, "device": self.device, "points": points}
        return found | {"train_seconds": trained, "seconds": time.perf_counter() - began}

    def _trained(self, variant: str, seed: int, drawn: Sequence[int]) -> tuple[Any, list[dict[str, float | None]]]:
        import torch
        from transformers.trainer_utils import IntervalStrategy, SaveStrategy

        from opeddev_tui.models.loading import with_adapters
        from opeddev_tui.training.grade_places import place_grades
        from opeddev_tui.training.trainer import step_trainer
        from opeddev_tui.training.trainer_arguments import Plan

        settings = settings_of(variant, self._options, seed)
        examples = [self.data.examples[place] for place in drawn]
        encoded = self._fitted.encoder.encode_all(examples, weighted=True)
        encoded, _ = place_grades(self._fitted.encoder, settings.grading, encoded, examples)
        model = copy.deepcopy(self._model)
        torch.manual_seed(seed)
        if settings.lora.enabled:
            model = with_adapters(model, settings.lora)
        hooks: Any = Watching()
        with tempfile.TemporaryDirectory() as folder:
            rate = settings.lora.learning_rate if settings.lora.enabled else settings.training.learning_rate
            plan = Plan(Path(folder), settings.training.per_device_train_batch_size, 1, rate, self._options.epochs)
            parts = (model, self._fitted.tokenizer, encoded.rows, plan, settings, self._precision, hooks)
            trainer = step_trainer(*parts)
            # neither checkpoints nor the app's own scoring: everything is graded below
            trainer.args.save_strategy, trainer.args.eval_strategy = SaveStrategy.NO, IntervalStrategy.NO
            trainer.train()
        return model, hooks.points

    def _base_features(self, places: Sequence[int]) -> Any:
        """Return features of the base model, which are read once per row."""
        missing = [place for place in places if place not in self._base]
        if missing:
            self._base.update(zip(missing, self._read(self._model, missing, features_only=True).states, strict=True))
        return np.stack([self._base[place] for place in places])

    def _read(self, model: Any, places: Sequence[int], *, features_only: bool = False) -> Any:
        import torch

        from opeddev_tui.models.precision import autocast

        device = next(model.parameters()).device
        with torch.random.fork_rng(), autocast(self._precision, device):
            return read_rows(
                *(model, [self.data.rows[place] for place in places]),
                pad_id=self._fitted.tokenizer.pad_token_id,
                batch_size=self._options.eval_batch,
                loss=not features_only,
                grade_tokens=None if features_only else self.data.tokens,
            )

    def _written(self, model: Any, places: Sequence[int]) -> Predictions:
        from opeddev_tui.models.generation import generate
        from opeddev_tui.models.precision import autocast

        encoder, grading = self._fitted.encoder, st.Grading()
        with autocast(self._precision, next(model.parameters()).device):
            ids = generate(
                *(model, encoder, [self.data.rows[place].prompt for place in places]),
                pad_id=self._fitted.tokenizer.pad_token_id,
                max_new_tokens=grading.max_new_tokens,
                batch_size=self._options.eval_batch,
            )
        return Predictions.written([parse_grade(encoder.decode(item), grading) for item in ids], self.data.scale)

    def _graded(self, model: Any, drawn: Sequence[int], seed: int) -> dict[str, Any]:
        """Return the figures of every way on the hold-out and on rows that were not drawn."""
        data = self.data
        others = [place for place in range(data.drawable) if place not in set(drawn)]
        others = np.random.default_rng(seed).permutation(others)[: self._options.unseen].tolist()
        places = [*drawn, *data.holdout, *others]
        read = self._read(model, places)
        known, new = slice(0, len(drawn)), slice(len(drawn), None)
        unread = places[len(drawn) :]
        assert read.grade_probabilities is not None
        tokens = Grades(read.grade_probabilities[new])
        ways = {
            "written": self._written(model, unread),
            "tokens, median": Predictions.of(tokens),
            "tokens, mean": Predictions(np.rint(tokens.expected).astype(np.int64), tokens.probabilities),
            "head on the step": self._head(read.states[known], read.states[new], drawn, unread),
            "head on the base": self._head(self._base_features(drawn), self._base_features(unread), drawn, unread),
        }
        held = len(data.holdout)
        parts = {"hold-out": np.arange(held), "unseen": np.arange(held, len(unread))}
        losses = {"drawn": known, "hold-out": slice(len(drawn), len(drawn) + held)}
        return {
            "sizes": {name: len(part) for name, part in parts.items()},
            "loss": {name: sum(read.sums[part]) / sum(read.tokens[part]) for name, part in losses.items()},
            "figures": {
                part: {
                    name: self._figures(way.rows(some), [unread[place] for place in some]) for name, way in ways.items()
                }
                for part, some in parts.items()
                if len(some)
            },
        }

    def _head(self, known: Any, new: Any, drawn: Sequence[int], unread: Sequence[int]) -> Predictions:
        rows, others = (
            graded_rows([self.data.examples[at] for at in some], self.data.scale) for some in (drawn, unread)
        )
        fitted = step_head.fit_step(known, rows, self.data.scale, None)
        return Predictions.of(step_head.read(fitted, new, others.kinds, others.prompts).grades)

    def _figures(self, way: Predictions, places: Sequence[int]) -> dict[str, float]:
        grades = [self.data.examples[place].grade for place in places]
        scale = self.data.scale
        reference = Reference(scale.positions([grade for grade in grades if grade is not None]), scale.size)
        found = {name: item.value for name, item in figures(way, reference).items()}
        return found | {"answered": answered(way)}


class Watching:
    """The hooks of a training that nobody watches: keeps the logged points, saves nothing, asks nobody."""

    def __init__(self) -> None:
        self.points: list[dict[str, float | None]] = []

    def logged(self, point: Any) -> None:
        """Keep a logged point."""
        self.points.append({"step": point.global_step, "loss": point.loss, "grade_loss": point.grade_loss})

    def stepped(self, *_: Any, **__: Any) -> Any:
        """Go on."""
        from opeddev_tui.training.hooks import AfterStep

        return AfterStep()

    def trained_rows(self, *_: Any) -> None:
        """Record nothing."""


def load_rows(folder: Path, encoder: Any, settings: st.Settings) -> Data:
    """Return the rows of ``folder`` as the app reads them; rows that do not fit whole are left out.

    A prompt that is cut tells by its length how long the completion is, and a longer feedback is a lower grade.
    """
    scale = Scale.of(settings.grading)
    batches = [Batch(path.stem, 0, path) for path in sorted(folder.glob("train*.jsonl"))]
    examples: list[Example] = []
    rows: list[GradeRow] = []
    drawable = 0
    for batch in (*batches, Batch("hold-out", -1, folder / "validation.jsonl")):
        found = load_batch(batch, settings).examples
        read = grade_rows(encoder, found, max_length=encoder.max_length, completion=True)
        whole = [(example, row) for example, row in zip(found, read, strict=True) if not row.cut]
        if len(whole) < len(found):
            print(f"{batch.name}: {len(found) - len(whole)} rows are longer than --max-length and left out")
        examples += [example for example, _ in whole]
        rows += [row for _, row in whole]
        drawable = len(rows) if batch.number >= 0 else drawable
    stem = grade_stem([example.completion for example in examples], settings.grading.pattern)
    tokens = grade_tokens(encoder, stem, scale.labels) if stem else None
    if tokens is None:
        raise SystemExit("the completions do not begin alike, so there is no grade-token distribution")
    return Data(examples, drawable, scale, rows, tokens)


def run(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Train and grade all cells, seed after seed, for as long as the time allows."""
    began = time.perf_counter()
    bench = Bench(options)
    cells: list[dict[str, Any]] = []
    for size, count in enumerate(options.rows):
        variants = options.variants if size == 0 else options.further or best_of(cells)
        seconds = options.minutes * 60 * (FIRST_SHARE if size == 0 and len(options.rows) > 1 else 1.0)
        longest = 0.0
        for seed in range(options.first_seed, options.first_seed + options.seeds):
            for variant in [name for name in variants if name != "none" or seed == 0]:
                elapsed = time.perf_counter() - began
                if seconds and elapsed + longest > seconds:
                    print(f"no time is left for {variant}, seed {seed}, {count} rows", flush=True)
                    continue
                cells.append(bench.cell(variant, seed, count))
                longest = max(longest, cells[-1]["seconds"])
                _tell(cells[-1], time.perf_counter() - began)
                if options.json:
                    write_atomic(options.json, json.dumps(cells).encode())
    return cells


def _tell(cell: Mapping[str, Any], elapsed: float) -> None:
    shown = cell["figures"].get("unseen") or cell["figures"]["hold-out"]
    kappas = ", ".join(f"{way} {shown[way]['kappa']:.2f}" for way in WAYS)
    loss = cell["loss"]["hold-out"]
    print(
        f"[{elapsed:5.0f} s] {cell['rows']} rows, seed {cell['seed']}, {cell['variant']}: "
        f"{cell['train_seconds']:.1f} s training, {cell['seconds']:.1f} s in all; loss {loss:.3f}; kappa {kappas}",
        flush=True,
    )


def main() -> int:
    """Run the benchmark, or print the tables of what earlier ones wrote."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", nargs="?")
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--rows", type=int, nargs="+", default=[100], help="training rows, one or several sizes")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS))
    parser.add_argument("--further", nargs="+", help="variants at the further sizes")
    parser.add_argument("--batch", type=int, default=4, help="rows per optimizer step")
    parser.add_argument("--learning-rate", type=float, default=2e-5)
    parser.add_argument("--lora-learning-rate", type=float, default=1e-4)
    parser.add_argument(
        "--unseen", type=int, default=1000, help="most rows graded that were not drawn, besides the hold-out"
    )
    parser.add_argument("--eval-batch", type=int, default=32)
    parser.add_argument("--max-length", type=int, default=1024)
    parser.add_argument("--precision", default="fp16", choices=("fp16", "bf16", "fp32"), help="as model.precision")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=0, help="begin no training that would end later; 0: no limit")
    parser.add_argument("--json", type=Path, help="file for the figures, written after each training")
    parser.add_argument("--show", type=Path, nargs="+", help="train nothing: print the tables of these files")
    options = parser.parse_args()
    if options.show:
        cells = [cell for path in options.show for cell in json.loads(path.read_text())]
        print_tables(cells)
        print_markdown(cells)
        return 0
    if options.data is None:
        parser.error("MODEL and DATA are needed")
    if options.device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    found = run(options)
    print_tables(found)
    print_markdown(found)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
