"""Every setting with its type, range, default and one sentence of help.

A setting that Transformers, PEFT or GenerationConfig already names keeps that name. The help is the text beside the
type: a person reads it in config.toml, on the Settings screen and in docs/settings.md, which are all written from here.
"""

from typing import Annotated, Any, Literal

from msgspec import Meta, field

from opeddev_tui.config.grading_settings import FILLED_FIELDS as FILLED_FIELDS
from opeddev_tui.config.grading_settings import GIVEN_FIELDS as GIVEN_FIELDS
from opeddev_tui.config.grading_settings import Grade as Grade
from opeddev_tui.config.grading_settings import Grading as Grading
from opeddev_tui.config.outward_settings import Export as Export
from opeddev_tui.config.outward_settings import Notify as Notify
from opeddev_tui.config.outward_settings import Serve as Serve
from opeddev_tui.config.outward_settings import Tracking as Tracking
from opeddev_tui.config.section import Batch, Each, Rate, Section

# the fields of a row that a column can be read as (data.columns)
ROW_FIELDS = (
    *("task", "submission", "rubric", "grade", "feedback", "kind", "id"),
    *("messages", "prompt", "completion", "instruction", "input", "output", "text", "system", "history"),
    *("weight", "grades", "rater", "criteria", "group"),
)

# the sections that shape a run: what is trained, and what is measured and recorded of it
RUN_SECTIONS = ("model", "data", "training", "lora", "early_stop", "generation", "grading")
# begins a source that is a data set of the Hugging Face Hub, not a path
HUB_PREFIX = "hub:"


class Paths(Section, frozen=True):
    """Where files are kept. Paths are relative to the workspace unless they are absolute or begin with ~."""

    base: Annotated[str, "The first training set: a file, a folder or hub:owner/name."] = (
        "datasets/processed_webdev_coding"
    )
    increments: Annotated[str, "The folder of the later batches: batch_100_01, batch_100_02 and so on."] = (
        "datasets/incremental"
    )
    holdout: Annotated[
        str, "The hold-out, never trained on. Where it is missing, a validation or test split of the base set is used."
    ] = "datasets/holdout_webdev_coding"
    test: Annotated[
        str,
        "A sealed test set: never trained on, never shown row by row, scored only by opeddev-tui test, which counts "
        "every look. A file, a folder or hub:owner/name; empty for none.",
    ] = ""
    proposals: Annotated[str, "The folder of proposed rows that wait for your grades. It is never trained on."] = (
        "datasets/proposed"
    )
    model_store: Annotated[str, "The folder of all checkpoints. It grows large and may be on another disk."] = (
        "~/.openclaw/models/qwen3_webdev"
    )
    model_link: Annotated[str, "A link to the model store, made inside the workspace."] = "models/qwen3_webdev"
    logs: Annotated[str, "The folder of the metrics tables."] = "logs"
    runs: Annotated[str, "The folder of the runs: one folder per run, with its journal."] = "logs/runs"
    train_log: Annotated[str, "The log file of the libraries."] = "logs/train.log"
    observations: Annotated[str, "The file of your notes on runs."] = "logs/observations.md"
    last_run_args: Annotated[str, "The manifest of the last run: everything needed to repeat it."] = (
        ".specs/training/last_run_args.json"
    )
    plots: Annotated[str, "The folder of plots and reports."] = ".specs/plots"


class Model(Section, frozen=True):
    """The model that is fine-tuned."""

    name: Annotated[str, Meta(min_length=1), "A model of the Hugging Face Hub, or a folder."] = "Qwen/Qwen3-0.6B"
    revision: Annotated[str, "Branch, tag or commit of the model on the hub."] = "main"
    precision: Annotated[
        Literal["fp16", "bf16", "fp32"],
        Each(
            {
                "fp16": "bf16 autocast on GPUs of compute capability 8 and above, fp16 autocast with a loss scaler on "
                "older GPUs, float32 on a CPU",
                "bf16": "the same, as the GPU decides which of the two it is",
                "fp32": "float32 everywhere, slower and with more memory for activations",
            }
        ),
        "Arithmetic of forward and backward passes; the weights stay float32.",
    ] = "fp16"
    device_map: Annotated[str, "How the weights are placed on the GPUs of this process."] = "auto"
    trust_remote_code: Annotated[bool, "Run Python code that comes with a model. Leave this off."] = False
    use_safetensors: Annotated[bool, "Load weights only from safetensors files: pickled weights can run code."] = True


class Data(Section, frozen=True):
    """How data files are read and rows become tokens."""

    max_length: Annotated[
        int,
        Meta(ge=32, le=131072),
        "Most tokens per example. Where there are more, the middle of the prompt is cut out.",
    ] = 1024
    completion_tokens: Annotated[
        int,
        Meta(ge=0, le=65536),
        "Tokens of max_length that stay free for the completion, at most a quarter of them: how far a prompt is cut "
        "then does not tell how long its completion is. Longer completions take more.",
    ] = 256
    min_prompt_tokens: Annotated[
        int, Meta(ge=0, le=4096), "Fewest tokens of a cut prompt; a row that would keep fewer is dropped and reported."
    ] = 16
    max_line_bytes: Annotated[int, Meta(ge=1000), "Most bytes per row."] = 4_000_000
    max_depth: Annotated[int, Meta(ge=4, le=500), "Most levels of nested brackets in a JSON row."] = 32
    near_duplicate: Annotated[
        float,
        Meta(gt=0, le=1),
        "Share of common 4-word sequences from which a training row is reported as a near copy of a hold-out row. "
        "Exact copies are always an error.",
    ] = 0.8
    columns: Annotated[
        dict[str, str], 'The columns of your files that fields are read from: {submission = "code", grade = "score"}.'
    ] = field(default_factory=dict)


class Training(Section, frozen=True):
    """Settings of the Hugging Face Trainer."""

    per_device_train_batch_size: Annotated[Batch, "Examples per forward pass in training."] = 2
    per_device_eval_batch_size: Annotated[Batch, "Examples per forward pass on the hold-out."] = 4
    gradient_accumulation_steps: Annotated[Batch, "Forward passes per optimizer step."] = 1
    learning_rate: Annotated[Rate, "Learning rate of a run that starts from the base model."] = 2e-5
    resume_learning_rate: Annotated[Rate, "Learning rate of a run that starts from the previous step."] = 1e-5
    num_train_epochs: Annotated[int, Meta(ge=1, le=100), "Planned epochs; after them the early-stop rule applies."] = 3
    lr_scheduler_type: Annotated[
        Literal["constant_with_warmup", "constant", "linear", "cosine"],
        Each(
            {
                "constant_with_warmup": "rises during the warm-up, then stays, whatever the number of epochs",
                "constant": "the same from the first optimizer step on",
                "linear": "after the warm-up falls in a line to zero at the most epochs allowed, so a run that stops "
                "earlier ends above zero",
                "cosine": "as linear, along half a cosine",
            }
        ),
        "Schedule of the learning rate.",
    ] = "constant_with_warmup"
    warmup_steps: Annotated[float, Meta(ge=0), "Warm-up in optimizer steps; below 1, as a share of all of them."] = 0.02
    weight_decay: Annotated[float, Meta(ge=0, le=10), "Weight decay of AdamW."] = 0.0
    max_grad_norm: Annotated[float, Meta(gt=0), "Norm to which gradients are clipped."] = 1.0
    activation_checkpointing: Annotated[
        bool, "Compute activations again in the backward pass: less memory, somewhat slower."
    ] = False
    logging_steps: Annotated[int, Meta(ge=1), "Optimizer steps between two logged points."] = 1
    save_total_limit: Annotated[
        int,
        Meta(ge=3, le=1000),
        "Newest checkpoints kept per run. The best, the pinned and those another step starts from are kept as well.",
    ] = 3
    seed: Annotated[int, Meta(ge=0, le=2**32 - 1), "Seed of the order of rows, of dropout and of new adapters."] = 42
    start_from: Annotated[
        Literal["latest", "best"],
        Each({"latest": "that of its last epoch", "best": "that of its best epoch, by early_stop.metric"}),
        "The checkpoint of the previous step that the next one starts from.",
    ] = "latest"
    torch_num_threads: Annotated[
        int, Meta(ge=0, le=1024), "CPU threads of the training; 0 uses all cores but one, which is left to the screen."
    ] = 0
    num_processes: Annotated[
        int,
        Meta(ge=0, le=1024),
        "Processes that train together, one per GPU, each with a copy of the model (with shard: a share of it) and "
        "per_device_train_batch_size rows. 0 is one per visible GPU.",
    ] = 1
    shard: Annotated[
        bool,
        "Shard weights, gradients and optimizer over the processes (FSDP2), for models whose training does not fit one "
        "GPU. Experimental: tried on CPU processes only.",
    ] = False
    rank_timeout_minutes: Annotated[
        float, Meta(ge=0.1, le=1440), "Minutes without a sign of one of several processes after which the run ends."
    ] = 10.0
    arguments: Annotated[dict[str, Any], "Other fields of transformers.TrainingArguments, passed to the Trainer."] = (
        field(default_factory=dict)
    )


class Lora(Section, frozen=True):
    """Low-rank adapters (PEFT) instead of training all weights."""

    enabled: Annotated[bool, "Train adapters only: less memory and small checkpoints."] = False
    r: Annotated[int, Meta(ge=1, le=512), "Rank of the adapters; 8 and 16 are usual."] = 8
    lora_alpha: Annotated[int, Meta(ge=1, le=1024), "Scaling of the adapters."] = 16
    lora_dropout: Annotated[float, Meta(ge=0, lt=1), "Dropout on the input of the adapters."] = 0.05
    target_modules: Annotated[str, "The layers that get adapters."] = "all-linear"
    learning_rate: Annotated[Rate, "Learning rate of adapters."] = 1e-4


class EarlyStop(Section, frozen=True):
    """When a step goes on after its planned epochs, and who decides."""

    metric: Annotated[
        Literal["loss", "grade"],
        Each(
            {
                "loss": "the hold-out loss",
                "grade": "the distance of the step's own model from the right grades of the hold-out",
            }
        ),
        "What the rule, the best checkpoint and the forecast go by. A run keeps the metric that it began with.",
    ] = "loss"
    max_extra_epochs: Annotated[
        int, Meta(ge=0, le=100), "Most epochs that are added while the metric or your blind ratings improve."
    ] = 2
    min_delta: Annotated[
        float,
        Meta(ge=0),
        "Smallest decrease that counts as better: of the hold-out loss (nats per token), or of the distance (grades).",
    ] = 0.0
    mode: Annotated[
        Literal["plain", "significant"],
        Each(
            {
                "plain": "a smaller mean is enough",
                "significant": "the interval of the difference must exclude zero as well",
            }
        ),
        "When the metric counts as better than before.",
    ] = "plain"
    confidence: Annotated[float, Meta(gt=0.5, lt=1), "Confidence of the intervals."] = 0.95
    policy: Annotated[
        Literal["ask", "rule"],
        Each({"ask": "you, and the training waits for your answer", "rule": "the early-stop rule, at once"}),
        "Who decides after an epoch.",
    ] = "ask"
    decision_timeout_minutes: Annotated[
        float, Meta(ge=0), "Minutes without an answer after which the rule decides; 0 waits without a limit."
    ] = 0.0


class Generation(Section, frozen=True):
    """The probe prompts: a few fixed hold-out prompts that are generated after every epoch."""

    num_probes: Annotated[int, Meta(ge=0, le=200), "Number of probe prompts."] = 6
    probe_seed: Annotated[int, Meta(ge=0), "Seed that chooses the probe prompts."] = 42
    max_new_tokens: Annotated[int, Meta(ge=1, le=8192), "Most tokens per generation."] = 160
    do_sample: Annotated[bool, "Draw tokens at random instead of taking the likeliest one."] = False
    temperature: Annotated[float, Meta(gt=0, le=10), "Temperature of sampling; used only with do_sample."] = 0.7
    top_p: Annotated[
        float, Meta(gt=0, le=1), "Share of probability that is drawn from (nucleus sampling); used only with do_sample."
    ] = 0.9
    enable_thinking: Annotated[bool, "Thinking mode of the chat template, in training and in generation."] = False
    batch_size: Annotated[int, Meta(ge=1, le=512), "Prompts per batch of generation."] = 8
    probes: Annotated[list[str], "Hold-out rows that are always probe prompts: their ids, or #3 for the third row."] = (
        field(default_factory=list)
    )
    prompts: Annotated[list[str], "Prompts of your own, generated beside the probe prompts."] = field(
        default_factory=list
    )


class Ui(Section, frozen=True):
    """The screen."""

    theme: Annotated[str, "Name of the theme."] = "opeddev-dark"
    guard_ms: Annotated[
        int, Meta(ge=0, le=5000), "Milliseconds after a change of the bottom bar in which decision keys are ignored."
    ] = 300
    undo_seconds: Annotated[
        float, Meta(ge=0, le=60), "Seconds before a decision takes effect; until then it can be undone."
    ] = 3.0
    smoothing: Annotated[float, Meta(ge=0, lt=1), "Smoothing of the train loss on screen; 0 is off."] = 0.8
    stall_seconds: Annotated[
        float, Meta(gt=0), "Seconds without an event after which a run is shown and reported as stalled."
    ] = 120.0


class Settings(Section, frozen=True):
    """All settings of a workspace."""

    paths: Paths = field(default_factory=Paths)
    model: Model = field(default_factory=Model)
    data: Data = field(default_factory=Data)
    training: Training = field(default_factory=Training)
    lora: Lora = field(default_factory=Lora)
    early_stop: EarlyStop = field(default_factory=EarlyStop)
    generation: Generation = field(default_factory=Generation)
    grading: Grading = field(default_factory=Grading)
    grade: Grade = field(default_factory=Grade)
    serve: Serve = field(default_factory=Serve)
    notify: Notify = field(default_factory=Notify)
    export: Export = field(default_factory=Export)
    tracking: Tracking = field(default_factory=Tracking)
    ui: Ui = field(default_factory=Ui)


# the sections whose present values count, whatever a run was trained with
OTHER_SECTIONS = tuple(name for name in Settings.__struct_fields__ if name not in RUN_SECTIONS)
