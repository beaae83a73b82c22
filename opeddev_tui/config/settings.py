"""Owns what can be set: every setting with its type, range, default and one sentence of help.

A setting that Transformers, PEFT or GenerationConfig already names keeps that name. ``config.toml`` at
the project's top level is written from here (``opeddev_tui.config.loading.render_default``), so the two agree.
"""

import re
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field
from msgspec.structs import force_setattr

# what a column may be read as (data.columns)
ROW_FIELDS = (
    *("task", "submission", "rubric", "grade", "feedback", "kind", "id"),
    *("messages", "prompt", "completion", "instruction", "input", "output", "text", "system", "history"),
    *("weight", "grades", "rater", "criteria", "group"),
)
# an area opens a sentence or a line of a list, with a capital, and is followed by a colon
DEFAULT_AREA_PATTERN = r"(?:(?:^|\n)[\s\d.)>#*_•–-]*|(?<=[.!?;])[\s*_]+)([A-Z][\w &/,'()-]{1,60}?)[*_]{0,2}:(?!//)"
DEFAULT_PATTERN = r"Grade:\s*([+-]?[0-9]+(?:[.,][0-9]+)?)"

# a source that is a data set of the hub instead of a path
HUB_PREFIX = "hub:"


class _Section(Struct, frozen=True, forbid_unknown_fields=True):
    """A table of config.toml."""


def _text(doc: str) -> Meta:
    return Meta(description=doc)


class Paths(_Section, frozen=True):
    """Where things lie, relative to the workspace unless absolute or starting with ~."""

    base: Annotated[str, _text("The first training set: a folder or file.")] = "datasets/processed_webdev_coding"
    increments: Annotated[str, _text("The folder of the increments: batch_100_01, batch_100_02 and so on.")] = (
        "datasets/incremental"
    )
    holdout: Annotated[
        str,
        _text("The fixed validation set. If it does not exist, a validation or test split of the base set is used."),
    ] = "datasets/holdout_webdev_coding"
    model_store: Annotated[str, _text("Where checkpoints are kept; large, may be on another disk.")] = (
        "~/.openclaw/models/qwen3_webdev"
    )
    model_link: Annotated[str, _text("The link to the model store inside the workspace.")] = "models/qwen3_webdev"
    logs: Annotated[str, _text("Logs and the metrics tables.")] = "logs"
    runs: Annotated[str, _text("One folder a run, with its journal.")] = "logs/runs"
    train_log: Annotated[str, _text("What the libraries print while training.")] = "logs/train.log"
    observations: Annotated[str, _text("Your notes on stopped steps.")] = "logs/observations.md"
    last_run_args: Annotated[str, _text("Everything that repeats the last run.")] = ".specs/training/last_run_args.json"
    plots: Annotated[str, _text("Plots and reports.")] = ".specs/plots"


class Model(_Section, frozen=True):
    """The model that is fine-tuned."""

    name: Annotated[str, Meta(min_length=1, description="A hub name or a folder (relative to the workspace).")] = (
        "Qwen/Qwen3-0.6B"
    )
    revision: Annotated[str, _text("Branch, tag or commit on the hub.")] = "main"
    precision: Annotated[
        Literal["fp16", "bf16", "fp32"],
        _text(
            "16-bit arithmetic where the hardware does it well: fp16 becomes bf16 autocast on compute "
            "capability 8 and above, fp16 autocast with a loss scaler below, nothing on a CPU. Weights stay float32."
        ),
    ] = "fp16"
    device_map: Annotated[str, _text("How weights are placed on GPUs (one process).")] = "auto"
    trust_remote_code: Annotated[bool, _text("Run Python code that comes with a model. Leave this off.")] = False
    use_safetensors: Annotated[bool, _text("Load weights from safetensors only; pickled weights can run code.")] = True


class Data(_Section, frozen=True):
    """Reading batches and turning rows into tokens."""

    max_length: Annotated[
        int,
        Meta(ge=32, le=131072, description="Longest example in tokens; longer prompts lose their middle."),
    ] = 1024
    min_prompt_tokens: Annotated[
        int,
        Meta(ge=0, le=4096, description="A row whose prompt would be cut below this is dropped and reported."),
    ] = 16
    max_line_bytes: Annotated[int, Meta(ge=1000, description="Longest line of a JSONL file, in bytes.")] = 4_000_000
    max_depth: Annotated[int, Meta(ge=4, le=500, description="Deepest nesting of a JSON row.")] = 32
    near_duplicate: Annotated[
        float,
        Meta(
            gt=0,
            le=1,
            description="Share of common 4-word shingles from which a training row counts as a "
            "near copy of a hold-out row (a warning; exact copies are an error).",
        ),
    ] = 0.8
    columns: Annotated[
        dict[str, str],
        _text('Which column of your files a field is read from: {submission = "code", grade = "score"}.'),
    ] = field(default_factory=dict)


class Training(_Section, frozen=True):
    """The Hugging Face Trainer's settings."""

    per_device_train_batch_size: Annotated[int, Meta(ge=1, le=4096, description="Examples a forward pass.")] = 2
    per_device_eval_batch_size: Annotated[
        int, Meta(ge=1, le=4096, description="Examples a forward pass on the hold-out.")
    ] = 4
    gradient_accumulation_steps: Annotated[
        int, Meta(ge=1, le=4096, description="Forward passes an optimizer step.")
    ] = 1
    learning_rate: Annotated[float, Meta(gt=0, le=1, description="Learning rate of a first full fine-tune.")] = 2e-5
    resume_learning_rate: Annotated[
        float, Meta(gt=0, le=1, description="Learning rate when continuing from a checkpoint.")
    ] = 1e-5
    num_train_epochs: Annotated[int, Meta(ge=1, le=100, description="Epochs before the early-stop rule decides.")] = 3
    lr_scheduler_type: Annotated[
        Literal["constant_with_warmup", "constant", "linear", "cosine"],
        _text(
            "constant_with_warmup is exact however many epochs are added; linear and cosine are planned "
            "to the maximum of epochs."
        ),
    ] = "constant_with_warmup"
    warmup_steps: Annotated[
        float, Meta(ge=0, description="Optimizer steps of warm-up; below 1 a share of all steps.")
    ] = 0.02
    weight_decay: Annotated[float, Meta(ge=0, le=10, description="Weight decay of AdamW.")] = 0.0
    max_grad_norm: Annotated[float, Meta(gt=0, description="Gradients are clipped to this norm.")] = 1.0
    activation_checkpointing: Annotated[bool, _text("Recompute activations: less memory, somewhat slower.")] = False
    logging_steps: Annotated[int, Meta(ge=1, description="Optimizer steps between two logged points.")] = 1
    save_total_limit: Annotated[
        int, Meta(ge=3, le=1000, description="Checkpoints kept a run, besides best, pinned and parent ones.")
    ] = 3
    seed: Annotated[int, Meta(ge=0, le=2**32 - 1, description="Seed of everything random.")] = 42
    start_from: Annotated[
        Literal["latest", "best"], _text("Which checkpoint of the previous step the next one starts from.")
    ] = "latest"
    torch_num_threads: Annotated[
        int, Meta(ge=0, le=1024, description="CPU threads of the training; 0 leaves one core to the screen.")
    ] = 0
    arguments: Annotated[
        dict[str, Any], _text("Any other field of transformers.TrainingArguments, passed through.")
    ] = field(default_factory=dict)


class Lora(_Section, frozen=True):
    """Low-rank adapters (PEFT) instead of a full fine-tune."""

    enabled: Annotated[bool, _text("Train adapters only: little memory, small checkpoints.")] = False
    r: Annotated[int, Meta(ge=1, le=512, description="Rank; 8 or 16 are usual.")] = 8
    lora_alpha: Annotated[int, Meta(ge=1, le=1024, description="Scaling of the adapters.")] = 16
    lora_dropout: Annotated[float, Meta(ge=0, lt=1, description="Dropout on the adapters' input.")] = 0.05
    target_modules: Annotated[str, _text("Which layers get adapters.")] = "all-linear"
    learning_rate: Annotated[float, Meta(gt=0, le=1, description="Learning rate of adapters.")] = 1e-4


class EarlyStop(_Section, frozen=True):
    """When to go on after the planned epochs, and who decides."""

    max_extra_epochs: Annotated[
        int,
        Meta(ge=0, le=100, description="Epochs that may be added while the hold-out or the person says better."),
    ] = 2
    min_delta: Annotated[float, Meta(ge=0, description="How much the hold-out loss must fall to count as better.")] = (
        0.0
    )
    mode: Annotated[
        Literal["plain", "significant"],
        _text("plain compares the means; significant asks the interval of the difference to exclude zero."),
    ] = "plain"
    confidence: Annotated[float, Meta(gt=0.5, lt=1, description="Confidence of the intervals.")] = 0.95
    policy: Annotated[Literal["ask", "rule"], _text("Who decides after an epoch: you, or the rule.")] = "ask"
    decision_timeout_minutes: Annotated[
        float, Meta(ge=0, description="After this long without an answer the rule decides; 0 waits for ever.")
    ] = 0.0


class Generation(_Section, frozen=True):
    """The probe prompts: a few fixed hold-out prompts, generated after every epoch."""

    num_probes: Annotated[int, Meta(ge=0, le=200, description="How many probe prompts.")] = 6
    probe_seed: Annotated[int, Meta(ge=0, description="Seed that chooses them.")] = 42
    max_new_tokens: Annotated[int, Meta(ge=1, le=8192, description="Longest generation in tokens.")] = 160
    do_sample: Annotated[bool, _text("Sample instead of taking the likeliest token.")] = False
    temperature: Annotated[float, Meta(gt=0, le=10, description="Only with do_sample.")] = 0.7
    top_p: Annotated[float, Meta(gt=0, le=1, description="Only with do_sample.")] = 0.9
    enable_thinking: Annotated[
        bool, _text("Thinking mode of the chat template, the same in training and generation.")
    ] = False
    batch_size: Annotated[int, Meta(ge=1, le=512, description="Prompts generated together.")] = 8
    probes: Annotated[
        list[str],
        _text("Hold-out rows that are always among the probe prompts: their ids, or #3 for the third row."),
    ] = field(default_factory=list)
    prompts: Annotated[list[str], _text("Prompts of your own, generated beside the probe prompts.")] = field(
        default_factory=list
    )


class Grading(_Section, frozen=True):
    """Rows with task, submission, rubric, grade and feedback; and the grade in a text."""

    system_prompt: Annotated[str, _text("The system message; empty for none.")] = (
        "You grade web-development code from 1 (poor) to 5 (excellent)."
    )
    prompt_template: Annotated[str, _text("Fields in braces are the row's: {task} {submission} {rubric} {kind}.")] = (
        "Task: {task}\n\nRubric: {rubric}\n\nSubmission:\n{submission}"
    )
    completion_template: Annotated[str, _text("What the model learns to write.")] = (
        "Grade: {grade}\nFeedback: {feedback}"
    )
    pattern: Annotated[
        str,
        _text("A regular expression whose first group is the grade. With grading.grades it reads those, unless set."),
    ] = DEFAULT_PATTERN
    area_pattern: Annotated[
        str,
        _text(
            "A regular expression whose first group is an area of the rubric that a feedback names, as in "
            '"Valid markup: a list is never closed." Rows with criteria do not need it.'
        ),
    ] = DEFAULT_AREA_PATTERN
    minimum: Annotated[int, _text("Lowest grade.")] = 1
    maximum: Annotated[int, _text("Highest grade.")] = 5
    grades: Annotated[
        list[str],
        _text(
            'The grades as they are written, the lowest first, such as ["F", "D", "C", "B", "A"] or ["1", "1.5", "2"]; '
            "empty for the whole numbers from minimum to maximum."
        ),
    ] = field(default_factory=list)
    evaluate: Annotated[bool, _text("Generate a grade for every hold-out row after every epoch.")] = True
    max_new_tokens: Annotated[int, Meta(ge=1, le=512, description="Tokens generated to read a grade.")] = 8

    def __post_init__(self) -> None:
        """Let maximum and pattern follow the written grades, so that every reader of the settings agrees.

        A written grade is handled as the number minimum + its position.
        """
        if not self.grades:
            return
        force_setattr(self, "maximum", self.minimum + len(self.grades) - 1)
        if self.pattern == DEFAULT_PATTERN:
            longest_first = sorted(self.grades, key=len, reverse=True)
            spellings = "|".join(re.escape(grade) for grade in longest_first)
            # not the beginning of a longer word or number: A is not read in "Also", 1 not in "1.5"
            force_setattr(self, "pattern", rf"Grade:\s*({spellings})(?![\w+-]|[.,][0-9])")


class Notify(_Section, frozen=True):
    """Which notices are sent. Service addresses come from the environment, never from here."""

    epoch_finished: Annotated[bool, _text("After every epoch.")] = True
    decision_awaited: Annotated[bool, _text("When a decision waits.")] = True
    run_finished: Annotated[bool, _text("When a run ends.")] = True
    run_failed: Annotated[bool, _text("When a run fails or stalls.")] = True
    terminal: Annotated[bool, _text("Bell and terminal notification.")] = True


class Ui(_Section, frozen=True):
    """The screen."""

    theme: Annotated[str, _text("Name of a theme.")] = "opeddev-dark"
    guard_ms: Annotated[
        int, Meta(ge=0, le=5000, description="Decision keys are ignored this long after the bar changes.")
    ] = 300
    undo_seconds: Annotated[
        float, Meta(ge=0, le=60, description="How long a decision can be undone before it takes effect.")
    ] = 3.0
    smoothing: Annotated[float, Meta(ge=0, lt=1, description="Smoothing of the shown train loss; 0 is off.")] = 0.8
    stall_seconds: Annotated[
        float, Meta(gt=0, description="A run without an event for this long is shown as stalled.")
    ] = 120.0


class Settings(_Section, frozen=True):
    """All settings of a workspace."""

    paths: Paths = field(default_factory=Paths)
    model: Model = field(default_factory=Model)
    data: Data = field(default_factory=Data)
    training: Training = field(default_factory=Training)
    lora: Lora = field(default_factory=Lora)
    early_stop: EarlyStop = field(default_factory=EarlyStop)
    generation: Generation = field(default_factory=Generation)
    grading: Grading = field(default_factory=Grading)
    notify: Notify = field(default_factory=Notify)
    ui: Ui = field(default_factory=Ui)
