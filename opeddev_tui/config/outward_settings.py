"""The settings of what leaves the program: the HTTP service, notices, exports, live trackers."""

from typing import Annotated, Literal

from msgspec import Meta, field

from opeddev_tui.config.section import Each, Section


class Serve(Section, frozen=True):
    """The HTTP service (opeddev-tui serve). Its token is a secret and never a setting: see docs/serving.md."""

    host: Annotated[str, Meta(min_length=1), "Address to listen on. Anything but this machine's own needs a token."] = (
        "127.0.0.1"
    )
    port: Annotated[int, Meta(ge=0, le=65535), "Port to listen on; 0 takes a free one."] = 8000
    hosts: Annotated[
        list[str], "Other names by which clients reach the service: what the Host header holds behind a proxy."
    ] = field(default_factory=list)
    texts: Annotated[
        bool, "Also write texts: feedback and chat completions. Off: grades alone, which may need less memory."
    ] = True
    max_body_bytes: Annotated[int, Meta(ge=1000, le=1 << 30), "Most bytes per request."] = 4_000_000
    max_submissions: Annotated[int, Meta(ge=1, le=10_000), "Most submissions per request."] = 64
    queue: Annotated[int, Meta(ge=1, le=100_000), "Most submissions and texts that wait; more are refused (429)."] = 256
    wait_ms: Annotated[
        float, Meta(ge=0, le=1000), "Milliseconds that a submission waits for others to go through the model together."
    ] = 5.0
    client_seconds: Annotated[
        float,
        Meta(gt=0, le=3600),
        "Most seconds that a client takes to send its request or to take a part of the answer.",
    ] = 30.0
    answer_seconds: Annotated[float, Meta(gt=0, le=86400), "Most seconds until a request is answered (504)."] = 300.0
    stop_seconds: Annotated[
        float,
        Meta(ge=0, le=3600),
        "Most seconds that requests under way get to be answered when the service is stopped.",
    ] = 30.0


class Notify(Section, frozen=True):
    """Which notices are sent. The addresses of services are secrets and are never read from here."""

    epoch_finished: Annotated[bool, "Notify after every epoch."] = True
    decision_awaited: Annotated[bool, "Notify when a decision is awaited."] = True
    run_finished: Annotated[bool, "Notify when a run finishes or is stopped."] = True
    run_failed: Annotated[bool, "Notify when a run fails or stalls."] = True
    terminal: Annotated[bool, "Notify in the terminal too: bell and desktop notification."] = True


class Export(Section, frozen=True):
    """What is written when a checkpoint leaves the workspace."""

    dtype: Annotated[
        Literal["bf16", "fp16", "fp32"],
        Each(
            {
                "bf16": "half the space; 8 bits of precision, the range of fp32",
                "fp16": "half the space; 11 bits of precision, numbers up to 65504",
                "fp32": "exactly what was trained",
            }
        ),
        "The numbers that an export's weights are stored as. Adapters are always fp32.",
    ] = "bf16"
    license: Annotated[
        str,
        "The licence in the model card, as the hub names it, such as apache-2.0; empty: the card says that none is.",
    ] = ""


class Tracking(Section, frozen=True):
    """Live trackers that follow a training. Figures and settings go to those named here, never rows or texts."""

    trackers: Annotated[
        list[Literal["tensorboard", "wandb", "trackio", "mlflow"]],
        Each(
            {
                "tensorboard": "event files in tracking.folder",
                "wandb": "Weights & Biases",
                "trackio": "Trackio, on this machine or a Space of the hub",
                "mlflow": "MLflow, at its tracking URI",
            }
        ),
        'Trackers that follow every run; tracking = ["wandb"] above the first table is the same. Where they send it, '
        "their own environment variables say (WANDB_MODE=offline, MLFLOW_TRACKING_URI, TRACKIO_SPACE_ID).",
    ] = field(default_factory=list)
    project: Annotated[str, Meta(min_length=1), "Name of the project there."] = "opeddev-tui"
    folder: Annotated[str, "The folder of the trackers' own files."] = "logs/trackers"
    flush_seconds: Annotated[
        float, Meta(ge=0, le=3600), "Most seconds that the end of a training waits for trackers to take the rest."
    ] = 30.0
