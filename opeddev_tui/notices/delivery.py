"""Send notices to the terminal and to services, from background threads with short queues.

Training never waits: ``emit`` only puts into a queue that drops its oldest notice. A notice that cannot be delivered is
logged, and the first failure of each service is also shown. Addresses of services are secrets and appear nowhere.
"""

import contextlib
import importlib
import importlib.util
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from opeddev_tui.config.settings import Settings
from opeddev_tui.errors import Problem, SettingsProblem
from opeddev_tui.format import capital
from opeddev_tui.notices.addresses import masked, read_addresses
from opeddev_tui.notices.rules import Notice, Notices
from opeddev_tui.runs import events as ev
from opeddev_tui.runs.bus import FanOut, Guarded
from opeddev_tui.runs.events import Sink

_LOG = logging.getLogger(__name__)
_MOST_WAITING = 16
# most seconds that the end of a program waits for the last notices
_LAST_SECONDS = 5.0

# sends one notice; returns what went wrong, None if it was delivered
Deliver = Callable[[Notice], str | None]


class DeliveryThread:
    """The queue and thread of one receiver, so that a receiver that hangs delays no other."""

    def __init__(self, name: str, deliver: Deliver, on_failure: Callable[[str], None]) -> None:
        self.name = name
        self._deliver = deliver
        self._on_failure = on_failure
        self._waiting: deque[Notice] = deque(maxlen=_MOST_WAITING)
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._work, name=f"notices to {name}", daemon=True)
        self._thread.start()

    def put(self, notice: Notice) -> None:
        """Queue ``notice`` and return at once; a full queue drops its oldest notice."""
        with self._changed:
            self._waiting.append(notice)
            self._changed.notify_all()

    def close(self, seconds: float) -> None:
        """Send the queued notices for at most ``seconds``; notices left over are reported as a failure."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(max(0.0, seconds))
        if self._thread.is_alive():
            self._on_failure(f"the last notices to {self.name} were given up: it did not answer in time")

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closing)
                if not self._waiting:
                    return
                notice = self._waiting.popleft()
            problem = self._deliver(notice)
            if problem is not None:
                self._on_failure(f"a notice could not be sent to {self.name}: {problem}")


class Notifier:
    """A sink that sends the notices of events, and one if there is no event for ``ui.stall_seconds``."""

    def __init__(self, settings: Settings, lanes: Sequence[DeliveryThread]) -> None:
        self._lanes = tuple(lanes)
        # a resumed run replays its past events to every sink; their notices were sent when they happened
        self._notices = Notices(settings.notify, since=time.time())
        self._stall_seconds = settings.ui.stall_seconds
        self._lock = threading.Condition()
        self._last = time.monotonic()
        self._stall_sent = False
        self._closing = False
        self._watch = threading.Thread(target=self._watch_for_stalls, name="stall watch", daemon=True)
        self._watch.start()

    def emit(self, event: ev.AnyEvent) -> None:
        """Take one event and return at once."""
        with self._lock:
            self._last, self._stall_sent = time.monotonic(), False
            notice = self._notices.take(event)
        self._send(notice)

    def _send(self, notice: Notice | None) -> None:
        if notice is not None:
            for lane in self._lanes:
                lane.put(notice)

    def close(self, seconds: float = _LAST_SECONDS) -> None:
        """Send the queued notices, for at most ``seconds`` in all, and end the threads."""
        with self._lock:
            self._closing = True
            self._lock.notify_all()
        end = time.monotonic() + seconds
        for lane in self._lanes:
            lane.close(end - time.monotonic())

    def _watch_for_stalls(self) -> None:
        while True:
            with self._lock:
                silent = time.monotonic() - self._last
                wait = self._stall_seconds if self._stall_sent else self._stall_seconds - silent
                if self._closing or self._lock.wait_for(lambda: self._closing, max(wait, 0.01)):
                    return
                silent = time.monotonic() - self._last
                if self._stall_sent or silent < self._stall_seconds:
                    continue
                self._stall_sent = True
                notice = self._notices.stalled(silent)
            self._send(notice)


# --- services


def service(address: str) -> Deliver:
    """Return the function that delivers to the service at ``address`` (an Apprise URL)."""

    def deliver(notice: Notice) -> str | None:
        # on the delivery thread: the import takes a second, the network any time
        import apprise

        _keep_addresses_out_of_logs()
        way = apprise.Apprise.instantiate(address)
        if way is None:
            return "the address is not one that Apprise understands"
        kind = apprise.NotifyType.FAILURE if notice.kind == "run_failed" else apprise.NotifyType.INFO
        try:
            # not by Apprise.notify: the end of the process would wait for its threads, as long as a service hangs
            title, body, target = _as_understood(way, notice)
            done = way.notify(body=body, title=title, notify_type=kind, body_format=target)
        except Exception as error:  # noqa: BLE001 - code of any of a hundred services; only the type is reported, the message may hold the address
            return type(error).__name__
        return None if done else "the service did not take it"

    return deliver


def _as_understood(way: Any, notice: Notice) -> tuple[str, str, Any]:
    """Return title, body and format as the service needs them: plain text must not become its markup."""
    import apprise

    # imported by name: it has no types
    convert: Any = importlib.import_module("apprise.conversion").convert_between
    text = apprise.NotifyFormat.TEXT
    # newer releases know services with several formats
    resolve = getattr(way, "resolve_format", None)
    target = resolve(text) if resolve is not None else way.notify_format
    # where a service knows no titles, the title becomes a part of the body
    title = convert(text, target, content=notice.title) if way.title_maxlen <= 0 else notice.title
    return title, convert(text, target, content=notice.body), target


def _keep_addresses_out_of_logs() -> None:
    """Silence the loggers of Apprise and urllib3, which log addresses with their secrets."""
    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
    logging.getLogger("urllib3").setLevel(logging.CRITICAL + 1)


def services(environment: Mapping[str, str] | None = None) -> list[tuple[str, Deliver]]:
    """Return (masked address, delivery function) of every service; raise ``SettingsProblem`` if they cannot be used."""
    addresses = read_addresses(environment)
    if addresses and importlib.util.find_spec("apprise") is None:
        raise SettingsProblem(
            "notices go to a service, but Apprise is not installed.",
            cure='Install it: pip install "opeddev-tui[notify]".',
        )
    return [(masked(address), service(address)) for address in addresses]


def _first_is_shown(sink: Sink) -> Callable[[str], None]:
    """Return a handler of one receiver's failures: each is logged, the first is also a warning to ``sink``."""
    shown = threading.Event()
    # a failing view must not end the delivery thread
    guarded = Guarded(sink)

    def failed(message: str) -> None:
        _LOG.warning("%s", message)
        if not shown.is_set():
            shown.set()
            text = f"{capital(message)}. The training goes on; further ones are only in train.log."
            guarded.emit(ev.Warned(message=text))

    return failed


@contextlib.contextmanager
def with_notices(
    sink: Sink,
    settings: Settings,
    *,
    terminal: Deliver | None = None,
    environment: Mapping[str, str] | None = None,
    warned: Sink | None = None,
) -> Iterator[Sink]:
    """Yield a sink that passes events to ``sink`` and sends notices; at the end, the last ones get some seconds.

    ``terminal`` delivers to the terminal (see ``notices.terminal``), None for none. Addresses that cannot be used are a
    warning to ``warned``, or to ``sink`` without it, and so is a notice that was not sent; the training starts anyway.
    """
    shown = FanOut([sink])
    warned = warned or shown
    receivers: list[tuple[str, Deliver]] = []
    if terminal is not None and settings.notify.terminal:
        receivers.append(("the terminal", terminal))
    try:
        receivers += services(environment)
    except Problem as problem:
        _LOG.warning("%s", problem)
        warned.emit(ev.Warned(message=str(problem)))
    if not receivers:
        yield shown
        return
    lanes = [DeliveryThread(name, deliver, _first_is_shown(warned)) for name, deliver in receivers]
    with contextlib.closing(Notifier(settings, lanes)) as notifier:
        yield FanOut([shown, notifier])
