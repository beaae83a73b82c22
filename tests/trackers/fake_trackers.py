"""Stand-ins for the libraries of trackers: each call is a JSON line in the file that FAKE_TRACKER_LOG names.

Written as modules into a folder that the trackers' processes import from. FAKE_TRACKER_MOOD, such as "wandb log hang",
names a module, one of its calls, and what that call does instead.
"""

from pathlib import Path

COMMON = """
import json, os, sys, threading, time, warnings

failed = []

def called(module, name, **values):
    who, what, how = (os.environ.get("FAKE_TRACKER_MOOD", "") + "  ").split(" ")[:3]
    if (who, what) == (module, name):
        if how == "raise":
            raise RuntimeError("no route to " + os.environ["FAKE_API_KEY"])
        if how == "raise-once" and not failed:
            failed.append(name)
            raise RuntimeError("no route")
        if how == "warn":
            warnings.warn("the library failed to write: disk full. Your code goes on.")
        if how == "hang":
            threading.Event().wait()
        if how == "exit":
            os._exit(3)
        if how == "kill":
            os.kill(os.getpid(), 9)
        if how == "leave":
            sys.exit("the library ends the process")
        if how == "chatter":
            for _ in range(2000):
                print("chatter" * 20)
            print("traceback" * 20, file=sys.stderr)
    with open(os.environ["FAKE_TRACKER_LOG"], "a") as file:
        file.write(json.dumps({"module": module, "call": name, **values}) + "\\n")
"""

WANDB = """
import os
import fake_calls
fake_calls.called("wandb", "import")

class Settings(dict):
    def __init__(self, **values):
        dict.__init__(self, values)

class Summary(dict):
    def __setitem__(self, name, value):
        fake_calls.called("wandb", "summary", values={name: value})

class Run:
    def __init__(self, id):
        self.id, self.summary = id, Summary()
        self.offline = os.environ.get("WANDB_MODE") == "offline"
    def define_metric(self, name, step_metric):
        pass
    def log(self, values):
        fake_calls.called("wandb", "log", values=values)
    def finish(self, exit_code):
        fake_calls.called("wandb", "finish", code=exit_code)

def teardown():
    fake_calls.called("wandb", "teardown")

def init(**values):
    fake_calls.called("wandb", "init", values={key: str(value) for key, value in values.items()})
    return Run(values["id"])
"""

TRACKIO = """
import fake_calls

def init(**values):
    fake_calls.called("trackio", "init", values={key: str(value) for key, value in values.items()})

def log(values, step=None):
    fake_calls.called("trackio", "log", values=values, step=step)

def finish():
    fake_calls.called("trackio", "finish")
"""

MLFLOW = """
import fake_calls
from types import SimpleNamespace

class MlflowClient:
    def __init__(self, tracking_uri):
        fake_calls.called("mlflow", "client", place=tracking_uri)
    def get_experiment_by_name(self, name):
        return None
    def create_experiment(self, name):
        return "1"
    def create_run(self, number, run_name):
        fake_calls.called("mlflow", "create_run", run=run_name)
        return SimpleNamespace(info=SimpleNamespace(run_id="made-" + run_name))
    def update_run(self, run_id, status):
        fake_calls.called("mlflow", "update_run", run=run_id, status=status)
    def log_batch(self, run_id, metrics=(), params=()):
        assert len(metrics) <= 1000 and len(params) <= 100
        values = [(m.key, m.value, m.timestamp, m.step) for m in metrics]
        fake_calls.called("mlflow", "log_batch", metrics=values, params={p.key: p.value for p in params})
    def set_tag(self, run_id, key, value):
        fake_calls.called("mlflow", "set_tag", values={key: value})
    def set_terminated(self, run_id, status):
        fake_calls.called("mlflow", "set_terminated", status=status)
"""

ENTITIES = """
from collections import namedtuple
Metric = namedtuple("Metric", "key value timestamp step")
Param = namedtuple("Param", "key value")
"""


def write_modules(folder: Path) -> Path:
    """Write the stand-ins into ``folder`` and return it."""
    files = {
        "fake_calls.py": COMMON,
        "wandb.py": WANDB,
        "trackio.py": TRACKIO,
        "mlflow/__init__.py": MLFLOW,
        "mlflow/entities.py": ENTITIES,
        "sqlalchemy.py": "",
        "alembic.py": "",
    }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder
