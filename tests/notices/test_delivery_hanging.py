"""A service that takes every request and answers none: the training ends, the process ends, and says what failed."""

import socket
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path

import apprise
import journal_samples as js
import pytest
from engine_helpers import Seen, make_workspace, start_training, states, workspace_of

from opeddev_tui.config.settings import Settings
from opeddev_tui.notices.addresses import address_file
from opeddev_tui.notices.delivery import DeliveryThread, _as_understood, with_notices
from opeddev_tui.notices.rules import Notice
from opeddev_tui.runs import events as ev
from opeddev_tui.runs import log as logs

SECRET = "canary7f3asecret"


class Holding(socketserver.ThreadingTCPServer):
    """Reads requests and keeps them open until it is closed."""

    daemon_threads = True

    def __init__(self) -> None:
        self.held = 0
        self.released = threading.Event()
        super().__init__(("127.0.0.1", 0), _Held)

    @property
    def url(self) -> str:
        return f"json://127.0.0.1:{self.server_address[1]}/{SECRET}?rto=600&cto=600"


class _Held(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, Holding)
        self.request.recv(65536)
        self.server.held += 1
        self.server.released.wait()


@pytest.fixture
def holding() -> Iterator[Holding]:
    with Holding() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.released.set()
        server.shutdown()


def put_address(url: str) -> None:
    """Configure a service as a person does."""
    path = address_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(url)
    path.chmod(0o600)


def test_training_and_process_end_while_every_request_is_held(
    tmp_path: Path, tiny_model: Path, holding: Holding
) -> None:
    """All epochs, all plots, exit code 0; the log and the console say which notices were given up, without address."""
    put_address(holding.url)
    root = make_workspace(tmp_path / "workspace", tiny_model)
    process = start_training(root)
    assert process.code(120) == 0
    assert holding.held == 1
    assert not holding.released.is_set()
    assert [(state.status, max(state.epochs)) for state in states(root)] == [("finished", 3)]
    folder = workspace_of(root).path(workspace_of(root).paths.plots)
    assert {"loss_step_base.png", "holdout_over_size.svg"} <= {path.name for path in folder.iterdir()}
    assert [path for path in folder.iterdir() if path.name.startswith(".")] == []
    log = workspace_of(root).log.read_text()
    assert "the last notices to json://*** were given up: it did not answer in time" in log
    told = " ".join(process.text().split())
    assert "The last notices to json://*** were given up" in told
    assert SECRET not in log + process.text() + "".join(path.read_text() for path in root.rglob("*.jsonl"))


def test_a_failed_delivery_is_logged_each_time_and_shown_once(tmp_path: Path) -> None:
    """train.log has every failure; the screen one warning a service, in plain words; nowhere the address."""
    logs.to_file(tmp_path / "train.log")
    with socket.create_server(("127.0.0.1", 0)) as closed:
        dead = f"json://127.0.0.1:{closed.getsockname()[1]}/{SECRET}"
    seen = Seen()
    with with_notices(seen, Settings(), environment={"OPEDDEV_NOTIFY_URLS": dead}) as sink:
        for step in range(2):
            sink.emit(ev.RunStarted(**{**_started(step), "at": 4e9}))
            sink.emit(ev.RunFailed(at=4e9, kind="bug", message="x"))
    log = (tmp_path / "train.log").read_text()
    assert log.count("a notice could not be sent to json://***: the service did not take it") == 2
    assert [event.message for event in seen.of(ev.Warned)] == [
        "A notice could not be sent to json://***: the service did not take it. "
        "The training goes on; further ones are only in train.log."
    ]
    assert SECRET not in log


def _started(step: int) -> dict[str, object]:
    first = js.run_events(step, [2.0])[0]
    assert isinstance(first, ev.RunStarted)
    return {name: getattr(first, name) for name in first.__struct_fields__}


def test_a_view_that_fails_does_not_end_a_lane(caplog: pytest.LogCaptureFixture) -> None:
    """The lane's own thread tells the warning: an exception there must not take the later notices away."""

    def broken(event: ev.AnyEvent) -> None:
        if isinstance(event, ev.Warned):
            raise ZeroDivisionError

    with with_notices(
        Seen(broken), Settings(), environment={"OPEDDEV_NOTIFY_URLS": f"nosuch://{SECRET} nosuch://{SECRET}"}
    ) as sink:
        for _ in range(2):
            sink.emit(ev.RunFailed(at=4e9, kind="bug", message="x"))
    failures = [record for record in caplog.records if "could not be sent" in record.getMessage()]
    assert len(failures) == 4


def test_closing_a_lane_says_what_was_given_up() -> None:
    """A lane that answers in time says nothing; one that does not says so."""
    told: list[str] = []
    go_on = threading.Event()
    begun = threading.Event()

    def stuck(_notice: Notice) -> None:
        begun.set()
        go_on.wait()

    for name, deliver in (("quick", lambda _: None), ("stuck", stuck)):
        lane = DeliveryThread(name, deliver, told.append)
        lane.put(Notice("run_finished", "t", "b"))
        if name == "stuck":
            assert begun.wait(10)
        lane.close(10.0 if name == "quick" else 0.0)
    go_on.set()
    assert told == ["the last notices to stuck were given up: it did not answer in time"]


@pytest.mark.parametrize(
    "address", ["mailto://user:pass@example.org?format=html", "tgram://123456789:abcdefg_hijklmnop/1"]
)
def test_markup_of_a_service_is_not_made_from_a_models_text(address: str) -> None:
    """A generation with tags reaches a service that shows HTML as text."""
    way = apprise.Apprise.instantiate(address)
    assert way is not None
    _title, body, target = _as_understood(way, Notice("run_finished", "a <b>", "<img src=x> & more"))
    raw = "<img" in body
    assert raw == (target == apprise.NotifyFormat.TEXT)
