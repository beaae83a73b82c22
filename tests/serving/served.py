"""A grader made up for tests of the service, and a client that asks it in this process."""

import threading
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import httpx2

from opeddev_tui.config.settings import Generation, Serve
from opeddev_tui.serving.asked import Asked, Graded
from opeddev_tui.serving.http.app import application
from opeddev_tui.serving.http.figures import Figures
from opeddev_tui.serving.http.gate import Gate
from opeddev_tui.serving.http.worker import Worker

TOKEN = "canary-token-0123456789"


class MadeUpGrader:
    """Grades by the length of a submission. ``gate`` holds every round until it is set; ``rounds`` are their sizes."""

    def __init__(self, batch: int = 8) -> None:
        self.settings = SimpleNamespace(generation=Generation())
        self.models = SimpleNamespace(batch=batch, scale=SimpleNamespace(labels=("1", "2")))
        self.choice = SimpleNamespace(checkpoint="run/checkpoint-1", way="base head")
        self.model_name, self.notes = "made-up", ["a note."]
        self.rounds: list[int] = []
        self.gate, self.entered = threading.Event(), threading.Semaphore(0)
        self.gate.set()
        self.react: Callable[[Sequence[Asked]], None] = lambda _: None

    def ask(self, row: dict[str, Any]) -> Asked:
        return Asked(None, id=str(row.get("id", "")), file=str(row.get("submission")))

    def grade(
        self, asked: Sequence[Asked], *, feedback: bool = False, raise_if_stopped: Callable[[], None]
    ) -> list[Graded]:
        self.rounds.append(len(asked))
        self.entered.release()
        assert self.gate.wait(60)
        raise_if_stopped()
        self.react(asked)
        text = "because" if feedback else None
        return [
            Graded(index=at, id=item.id, grade="1" if len(item.file) < 9 else "2", feedback=text)
            for at, item in enumerate(asked)
        ]


class Served:
    """The service around ``grader``, without a socket."""

    def __init__(self, grader: Any, *, token: str | None = None, loopback: bool = True, **settings: Any) -> None:
        self.grader, self.figures = grader, Figures()
        serve = Serve(**{"wait_ms": 0.0, **settings})
        self.loaded = threading.Event()
        self.worker = Worker(self._open, serve, self.figures, lambda: None)
        self.app: Gate = application(self.worker, serve, self.figures, token=token, loopback=loopback)

    def _open(self) -> Any:
        assert self.loaded.wait(60)
        return self.grader

    def client(self, host: str = "127.0.0.1:8000", **headers: str) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=self.app), base_url=f"http://{host}", headers=headers, timeout=60
        )

    def start(self) -> "Served":
        """Load the grader and wait until it is there."""
        self.loaded.set()
        self.worker.start()
        while self.worker.grader is None and self.worker.problem is None:
            self.worker.ended(0.01)
        return self

    def close(self) -> None:
        if isinstance(self.grader, MadeUpGrader):
            self.grader.gate.set()
        self.loaded.set()
        self.worker.abandon()
        assert self.worker.ended(60)
