"""Notices: each kind arrives, nothing waits for them, no address is ever shown."""

import json
import logging
import os
import queue
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import journal_samples as js
import pytest
from engine_helpers import Seen
from msgspec.structs import replace

from opeddev_tui.cli import main
from opeddev_tui.config.settings import Notify, Settings, Ui
from opeddev_tui.errors import SettingsProblem
from opeddev_tui.notices.addresses import address_file, masked, read_addresses
from opeddev_tui.notices.delivery import DeliveryThread, Notifier, services, with_notices
from opeddev_tui.notices.rules import Notice, Notices
from opeddev_tui.notices.terminal import sequence, terminal
from opeddev_tui.runs import events as ev

SECRET = "hunter2secret"


@pytest.fixture
def server() -> Iterator[tuple[str, "queue.Queue[dict[str, str]]"]]:
    """A service on this machine: its Apprise URL and what it received."""
    received: queue.Queue[dict[str, str]] = queue.Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as listening:
        threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"json://127.0.0.1:{listening.server_port}/{SECRET}", received
        listening.shutdown()


@pytest.fixture
def hanging() -> Iterator[str]:
    """A service that takes the connection and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"json://127.0.0.1:{listening.getsockname()[1]}/{SECRET}?rto=60&cto=60"


def fresh(events: list[ev.AnyEvent]) -> list[ev.AnyEvent]:
    """Return ``events`` as if they happened a moment from now."""
    return [replace(event, at=time.time() + 1) for event in events]


def test_each_kind_arrives(server: tuple[str, "queue.Queue[dict[str, str]]"]) -> None:
    """Epoch, decision, end and failure through Apprise, with metrics, verdict and the first generation."""
    address, received = server
    runs = [
        *js.run_events(0, [2.0, 1.5], policy="rule", texts=("before", "Grade: 4 @everyone")),
        *js.run_events(1, [1.5, 1.0], policy="ask", finished=False),
        ev.RunFailed(kind="storage", message="no space left on device"),
    ]
    with with_notices(Seen(), Settings(), environment={"OPEDDEV_NOTIFY_URLS": address}) as sink:
        for event in fresh(runs):
            sink.emit(event)
        found = [received.get(timeout=120) for _ in range(4)]
    titles = [item["title"] for item in found]
    assert titles == [
        "opeddev step 0 (base): epoch 1 finished",
        "opeddev step 0 (base): done",
        "opeddev step 1 (batch_100_01): epoch 1 waits for your decision",
        "opeddev step 1 (batch_100_01): the disk is full or failed",
    ]
    body = found[0]["message"]
    assert "Hold-out loss 1.5000 (before: 2.0000), train loss 1.6000." in body
    assert "Verdict: stop (hold-out loss better by 0.1)." in body
    assert "First generation: Grade: 4 ＠everyone" in body
    assert [item["type"] for item in found] == ["info", "info", "info", "failure"]


def test_hanging_service_delays_nothing(hanging: str) -> None:
    """Emitting takes no longer; the queue drops its oldest; the terminal still gets its notice."""
    told: queue.Queue[Notice] = queue.Queue()

    def ring(notice: Notice) -> None:
        told.put(notice)

    ways = services({"OPEDDEV_NOTIFY_URLS": hanging})
    lanes = [DeliveryThread(name, way, lambda _: None) for name, way in [*ways, ("the terminal", ring)]]
    notifier = Notifier(Settings(), lanes)
    for step in range(50):
        for event in fresh(js.run_events(step, [2.0, 1.5], policy="rule")):
            notifier.emit(event)
    assert told.get(timeout=60).title.startswith("opeddev step")
    # every emit has returned although the service has answered nothing yet
    notifier.close(0.2)


def test_queue_is_bounded() -> None:
    """While one notice is under way the newest sixteen wait, no more."""
    under_way, go_on = threading.Event(), threading.Event()
    seen: list[str] = []

    def slow(notice: Notice) -> None:
        under_way.set()
        go_on.wait(10)
        seen.append(notice.title)

    lane = DeliveryThread("slow", slow, lambda _: None)
    lane.put(Notice("run_finished", "first", ""))
    assert under_way.wait(10)
    for number in range(100):
        lane.put(Notice("run_finished", str(number), ""))
    go_on.set()
    lane.close(10)
    assert seen == ["first", *(str(number) for number in range(84, 100))]


def test_failure_is_told_without_the_address(
    caplog: pytest.LogCaptureFixture, hanging: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """A dead, a hanging and a wrong address become warnings; no log at any level holds the secret."""
    caplog.set_level(logging.DEBUG)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        dead = f"json://127.0.0.1:{closed.getsockname()[1]}/{SECRET}"
    short = hanging.replace("rto=60", "rto=0.2")
    addresses = f"{dead}\n{short}\nnosuch://{SECRET}@host {SECRET}"
    with with_notices(Seen(), Settings(), environment={"OPEDDEV_NOTIFY_URLS": addresses}) as sink:
        for event in fresh(js.run_events(0, [2.0, 1.5], policy="rule")[-1:]):
            sink.emit(event)
    warnings = {record.getMessage() for record in caplog.records if record.name == "opeddev_tui.notices.delivery"}
    assert warnings == {
        "a notice could not be sent to json://***: the service did not take it",
        "a notice could not be sent to nosuch://***: the address is not one that Apprise understands",
        "a notice could not be sent to ***: the address is not one that Apprise understands",
    }
    assert SECRET not in caplog.text
    assert SECRET not in "".join(capfd.readouterr())


def test_kinds_can_be_switched_off() -> None:
    """Every switch takes its kind away; without decisions an epoch is still told."""
    runs = js.run_events(0, [2.0, 1.5], policy="ask")
    failed = ev.RunFailed(kind="bug", message="x")

    def kinds(**switches: bool) -> list[str]:
        notices = Notices(Notify(**switches))
        return [found.kind for event in [*runs, failed] if (found := notices.take(event))]

    assert kinds() == ["decision_awaited", "run_finished", "run_failed"]
    assert kinds(decision_awaited=False) == ["epoch_finished", "run_finished", "run_failed"]
    assert kinds(decision_awaited=False, epoch_finished=False) == ["run_finished", "run_failed"]
    assert kinds(run_finished=False, run_failed=False) == ["decision_awaited"]


def test_the_past_is_not_told_again() -> None:
    """A resumed run replays its journal to every sink; a question asked anew is not a new notice."""
    notices = Notices(Notify(), since=js.START + 10**9)
    assert [notices.take(event) for event in js.run_events(0, [2.0, 1.5])].count(None) == len(
        js.run_events(0, [2.0, 1.5])
    )
    notices = Notices(Notify())
    question = ev.DecisionAwaited(epoch=1, verdict=js.verdict(1), max_epochs=3)
    assert notices.take(question) is not None
    assert notices.take(question) is None


def test_a_stall_is_told_once() -> None:
    """Nothing for stall_seconds: one notice; none while a decision is awaited."""
    told: queue.Queue[Notice] = queue.Queue()
    lane = DeliveryThread("test", told.put, lambda _: None)
    notifier = Notifier(Settings(ui=Ui(stall_seconds=0.05)), [lane])
    for event in js.run_events(0, [2.0])[:1]:
        notifier.emit(event)
    assert told.get(timeout=60).title == "opeddev step 0 (base): stalled"
    notifier.close()
    assert told.empty()
    waiting = Notices(Notify())
    for event in js.run_events(0, [2.0, 1.5])[:-2]:
        waiting.take(event)
    assert waiting.state.status == "awaiting"
    assert waiting.stalled(100) is None


def test_address_file_must_be_private() -> None:
    """0600 is read, anything wider is refused with the cure; the environment goes before it."""
    path = address_file()
    assert read_addresses({}) == []
    path.parent.mkdir(parents=True)
    path.write_text("# mine\njson://a/x\n\n  json://b/y json://c\n")
    path.chmod(0o640)
    with pytest.raises(SettingsProblem, match="chmod 600") as caught:
        read_addresses({})
    assert "json://" not in str(caught.value)
    path.chmod(0o600)
    assert read_addresses({}) == ["json://a/x", "json://b/y", "json://c"]
    assert read_addresses({"OPEDDEV_NOTIFY_URLS": "json://d"}) == ["json://d"]
    assert masked("slack://token/secret") == "slack://***"
    assert masked("token") == "***"


def test_unusable_addresses_refuse_no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Apprise, or with an open file, the training goes on and a warning says so."""
    path = address_file()
    path.parent.mkdir(parents=True)
    path.write_text("json://a")
    path.chmod(0o644)
    seen = Seen()
    with with_notices(seen, Settings()) as sink:
        sink.emit(ev.Paused(global_step=1))
    assert [type(event) for event in seen.events] == [ev.Warned, ev.Paused]
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(SettingsProblem, match=r"opeddev-tui\[notify\]"):
        services({"OPEDDEV_NOTIFY_URLS": "json://a"})


def test_terminal_sequences() -> None:
    """OSC 9 or 777 by terminal, through tmux, never a control character from outside."""
    notice = Notice("run_finished", "title; more", "body \x1b]0;x\x07 \x9d \n end")
    plain = sequence(notice, {"TERM": "xterm-256color"})
    assert plain.startswith("\x1b]9;title; more: body ")
    assert plain.count("\x1b") == 1
    assert plain.endswith("\a\a")
    assert "\x9d" not in plain
    assert sequence(notice, {"TERM": "foot"}).startswith("\x1b]777;notify;title, more;body ")
    assert sequence(notice, {"TERM": "linux"}) == "\a"
    assert sequence(notice, {"TERM": "tmux-256color", "TMUX": "x"}).startswith("\x1bPtmux;\x1b\x1b]9;")


def test_terminal_only_if_there_is_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A file or a pipe gets nothing; a real terminal gets the bell."""
    with (tmp_path / "out").open("w") as file:
        monkeypatch.setattr("sys.stderr", file)
        monkeypatch.setattr("sys.stdout", file)
        assert terminal() is None
    leader, follower = os.openpty()
    with os.fdopen(follower, "w") as stream:
        monkeypatch.setattr("sys.stderr", stream)
        deliver = terminal(environment={"TERM": "linux"})
        assert deliver is not None
        assert deliver(Notice("run_finished", "t", "b")) is None
        assert os.read(leader, 10) == b"\a"
    os.close(leader)


def test_notify_test(
    server: tuple[str, "queue.Queue[dict[str, str]]"],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """The command sends to everything configured and shows no address."""
    address, received = server
    assert main(["notify", "test", "-w", str(tmp_path)]) == 1
    assert "nowhere" in capsys.readouterr().out
    monkeypatch.setenv("OPEDDEV_NOTIFY_URLS", f"{address} nosuch://{SECRET}")
    assert main(["notify", "test", "-w", str(tmp_path)]) == 1
    assert received.get(timeout=60)["title"] == "opeddev: a test notice"
    output = capsys.readouterr().out
    assert "json://***: sent" in output
    assert "nosuch://***: the address is not one" in output
    assert SECRET not in output
