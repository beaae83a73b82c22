"""The trackers themselves: how TensorBoard, Weights & Biases, Trackio and MLflow take a run.

The libraries are imported by name when a tracker starts, in a process of its own. What they collect without being
asked (the machine, the code, the command line, the console, their own telemetry) is switched off.
"""

import importlib
import itertools
import os
import re
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from opeddev_tui.reports.scalars import Scalar
from opeddev_tui.trackers.facts import Fact
from opeddev_tui.trackers.follow import Tracker

_Facts = Mapping[str, str | int | float | bool]
# most that one request to an MLflow server may hold
_MLFLOW_METRICS, _MLFLOW_PARAMS = 500, 100
_STEP = "global_step"

# read by the libraries when they are imported
QUIET = {
    "WANDB_SILENT": "true",
    "WANDB_ERROR_REPORTING": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING": "false",
    "GRADIO_ANALYTICS_ENABLED": "False",
    "DO_NOT_TRACK": "1",
}
# what a person has not set; a server that cannot be reached is told soon, and asked again by ``follow``
UNLESS_SET = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2"}
# name the run of another program that started this one; a run's own id is given to the libraries
STRIPPED = ("WANDB_RUN_ID", "WANDB_RESUME", "WANDB_SWEEP_ID", "WANDB_SERVICE", "MLFLOW_RUN_ID")


def _by_step(figures: Sequence[Scalar]) -> list[tuple[int, dict[str, float]]]:
    """Return the figures of each optimizer step together, in their order."""
    return [
        (step, {item.name: item.value for item in items})
        for step, items in itertools.groupby(figures, key=lambda item: item.global_step)
    ]


class TensorBoard:
    """Event files, one folder per run; a resumed run adds a file to its folder."""

    def __init__(self, folder: Path, project: str) -> None:  # noqa: ARG002 - TensorBoard knows no projects
        self._folder = folder / "tensorboard"
        self._file: Any = None

    def start(self, run: str, known_id: str, facts: _Facts) -> str:
        """Open an event file; the settings are a text of it."""
        events = importlib.import_module("tensorboard.summary.writer.event_file_writer")
        self._file = events.EventFileWriter(str(self._folder / run))
        if not known_id:
            self._text("run", "\n".join(f"    {name} = {value}" for name, value in facts.items()), 0)
        return f"{self._folder.name}/{run}"

    def write(self, figures: Sequence[Scalar], facts: Sequence[Fact]) -> None:
        """Append to the event file."""
        protocol = importlib.import_module("tensorboard.compat.proto.event_pb2")
        summary = importlib.import_module("tensorboard.compat.proto.summary_pb2").Summary
        for item in figures:
            value = summary.Value(tag=item.name, simple_value=item.value)
            event = protocol.Event(step=item.global_step, wall_time=item.at, summary=summary(value=[value]))
            self._file.add_event(event)
        for fact in facts:
            self._text(fact.name.replace(" ", "_"), fact.text, fact.global_step, fact.at)
        self._file.flush()

    def _text(self, tag: str, text: str, step: int, at: float = 0.0) -> None:
        protocol = importlib.import_module("tensorboard.compat.proto.event_pb2")
        summary = importlib.import_module("tensorboard.compat.proto.summary_pb2").Summary
        metadata = importlib.import_module("tensorboard.plugins.text.metadata")
        tensors = importlib.import_module("tensorboard.util.tensor_util")
        value = summary.Value(
            tag=tag,
            metadata=metadata.create_summary_metadata(display_name=tag, description=""),
            tensor=tensors.make_tensor_proto([text.encode()]),
        )
        self._file.add_event(protocol.Event(step=step, wall_time=at, summary=summary(value=[value])))

    def end(self, status: str) -> None:  # noqa: ARG002 - a file has no status
        """Close the event file."""
        self._file.close()


# bytes that the disk must take before figures are given to a library that says nothing where it cannot write them
_ROOM = 1 << 16


class Wandb:
    """A run of Weights & Biases; WANDB_MODE=offline keeps it on this machine for ``wandb sync``.

    Offline, the library loses figures on a full disk: it raises nothing, logs nothing and ends with exit code 0.
    """

    def __init__(self, folder: Path, project: str) -> None:
        self._folder, self._project = folder, project
        self._place = os.environ.get("WANDB_DIR") or str(folder)
        self._run: Any = None
        self._tried = False

    def start(self, run: str, known_id: str, facts: _Facts) -> str:
        """Begin or resume the run; the training's own id is the run's id."""
        wandb = importlib.import_module("wandb")
        if self._tried:
            # what failed lives on in the library's own process, which has no place for a second run of this name
            wandb.teardown()
        self._tried = True
        self._folder.mkdir(parents=True, exist_ok=True)
        quiet = wandb.Settings(
            console="off",
            disable_git=True,
            disable_code=True,
            save_code=False,
            x_disable_meta=True,
            x_disable_machine_info=True,
            x_disable_stats=True,
            x_save_requirements=False,
            host="",
            silent=True,
        )
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT") or self._project,
            dir=self._place,
            id=known_id or run,
            name=run,
            config=dict(facts),
            resume="allow",
            settings=quiet,
        )
        # a resumed run may lie behind the last step that the service knows
        self._run.define_metric("*", step_metric=_STEP)
        return str(self._run.id)

    def write(self, figures: Sequence[Scalar], facts: Sequence[Fact]) -> None:
        """Log the figures of each step together; facts go into the run's summary. Raises ``OSError`` without room."""
        self._check_room()
        for step, values in _by_step(figures):
            self._run.log({**values, _STEP: step})
        for fact in facts:
            self._run.summary[fact.name] = fact.text

    def end(self, status: str) -> None:
        """Finish the run; anything but the end of the step counts as a failure there."""
        self._run.summary["status"] = status
        self._run.finish(exit_code=0 if status == "finished" else 1)
        self._check_room()

    def _check_room(self) -> None:
        """Raise ``OSError`` where the disk takes nothing more of a run that is kept on it alone."""
        if getattr(self._run, "offline", False) and os.path.isdir(self._place):
            with tempfile.TemporaryFile(dir=self._place, buffering=0) as file:
                file.write(bytes(_ROOM))


# of the library's warnings, those of figures that it has not kept
_NOT_KEPT = re.compile(r"fail|could not|cannot|unable|dropp", re.IGNORECASE)


class Trackio:
    """A run of Trackio, on this machine or, with TRACKIO_SPACE_ID, in a Space.

    The library writes in a thread of its own, and raises nothing: what it could not keep it tells by a warning.
    """

    def __init__(self, folder: Path, project: str) -> None:  # noqa: ARG002 - Trackio has a place of its own
        self._project = project
        self._trackio: Any = None
        self._not_kept: list[str] = []
        self._show = warnings.showwarning
        warnings.filterwarnings("always", module=r"trackio\b")
        warnings.showwarning = self._warned

    def _warned(self, message: Warning | str, category: type[Warning], *more: Any, **named: Any) -> None:
        self._show(message, category, *more, **named)
        if issubclass(category, UserWarning) and _NOT_KEPT.search(str(message)):
            self._not_kept.append(str(message))

    def _raise_not_kept(self) -> None:
        if self._not_kept:
            told, self._not_kept = self._not_kept[0], []
            raise RuntimeError(told)

    def start(self, run: str, known_id: str, facts: _Facts) -> str:  # noqa: ARG002 - a run is known by its name
        """Begin or resume the run of that name."""
        self._trackio = importlib.import_module("trackio")
        self._trackio.init(
            project=os.environ.get("TRACKIO_PROJECT") or self._project,
            name=run,
            config=dict(facts),
            resume="allow",
            embed=False,
            auto_log_gpu=False,
            auto_log_cpu=False,
        )
        return run

    def write(self, figures: Sequence[Scalar], facts: Sequence[Fact]) -> None:
        """Log the figures of each step together, and facts as texts of their step."""
        self._raise_not_kept()
        for step, values in _by_step(figures):
            self._trackio.log(values, step=step)
        for fact in facts:
            self._trackio.log({fact.name: fact.text}, step=fact.global_step)

    def end(self, status: str) -> None:  # noqa: ARG002 - Trackio knows no status
        """Send what is queued."""
        self._trackio.finish()
        self._raise_not_kept()


class Mlflow:
    """A run of MLflow, on the server that MLFLOW_TRACKING_URI names, else in a database in the workspace."""

    def __init__(self, folder: Path, project: str) -> None:
        self._folder, self._project = folder / "mlflow", project
        self._client: Any = None
        self._id = ""

    def start(self, run: str, known_id: str, facts: _Facts) -> str:
        """Begin the run, or open it again; by the client alone, which adds no names of user, file or commit."""
        mlflow, entities = importlib.import_module("mlflow"), importlib.import_module("mlflow.entities")
        self._client = mlflow.MlflowClient(tracking_uri=self._place())
        if known_id:
            self._id = known_id
            self._client.update_run(known_id, status="RUNNING")
            return known_id
        # what came to nothing before may have made the run
        self._id = self._id or self._made(run)
        params = [entities.Param(name, str(value)) for name, value in facts.items()]
        for some in _portions(params, _MLFLOW_PARAMS):
            self._client.log_batch(self._id, params=some)
        return self._id

    def _made(self, run: str) -> str:
        experiment = self._client.get_experiment_by_name(self._project)
        number = experiment.experiment_id if experiment else self._client.create_experiment(self._project)
        return str(self._client.create_run(number, run_name=run).info.run_id)

    def _place(self) -> str:
        named = os.environ.get("MLFLOW_TRACKING_URI")
        if named:
            return named
        self._folder.mkdir(parents=True, exist_ok=True)
        return f"sqlite:///{self._folder / 'mlflow.db'}"

    def write(self, figures: Sequence[Scalar], facts: Sequence[Fact]) -> None:
        """Log the figures in portions; facts are tags."""
        entities = importlib.import_module("mlflow.entities")
        metrics = [entities.Metric(item.name, item.value, round(item.at * 1000), item.global_step) for item in figures]
        for some in _portions(metrics, _MLFLOW_METRICS):
            self._client.log_batch(self._id, metrics=some)
        for fact in facts:
            self._client.set_tag(self._id, fact.name, fact.text)

    def end(self, status: str) -> None:
        """Close the run with MLflow's own word for how it ended."""
        words = {"finished": "FINISHED", "failed": "FAILED"}
        self._client.set_terminated(self._id, words.get(status, "KILLED"))


def _portions(items: list[Any], size: int) -> list[list[Any]]:
    return [items[at : at + size] for at in range(0, len(items), size)]


MAKERS: Mapping[str, Callable[[Path, str], Tracker]] = {
    "tensorboard": TensorBoard,
    "wandb": Wandb,
    "trackio": Trackio,
    "mlflow": Mlflow,
}
