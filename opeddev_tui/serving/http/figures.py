"""What the service counts, as Prometheus reads it. Figures only: no text of a request becomes a label."""

import threading
from collections import Counter
from collections.abc import Iterator

# upper bounds in seconds, as Prometheus' own libraries have them, and longer ones for texts
_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Figures:
    """Counters that any thread may add to."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: Counter[tuple[str, int]] = Counter()
        self._times: Counter[tuple[str, float]] = Counter()
        self._seconds: Counter[str] = Counter()
        self._totals: Counter[str] = Counter()

    def answered(self, path: str, status: int, seconds: float) -> None:
        """Count a request to ``path`` (one of the service's own, or "other")."""
        with self._lock:
            self._requests[path, status] += 1
            self._seconds[path] += seconds  # type: ignore[assignment]  # a Counter adds floats as well
            for bound in _BOUNDS:
                if seconds <= bound:
                    self._times[path, bound] += 1

    def add(self, name: str, count: int = 1) -> None:
        """Add to the counter ``name``."""
        with self._lock:
            self._totals[name] += count

    def total(self, name: str) -> int:
        """Return the counter ``name``."""
        return self._totals[name]

    def text(self, waiting: int, *, ready: bool) -> str:
        """Return all figures in Prometheus' text format; ``waiting`` submissions and texts are in the queue."""
        with self._lock:
            return "\n".join(self._lines(waiting, ready)) + "\n"

    def _lines(self, waiting: int, ready: bool) -> Iterator[str]:
        yield "# TYPE opeddev_ready gauge"
        yield f"opeddev_ready {int(ready)}"
        yield "# TYPE opeddev_queue_waiting gauge"
        yield f"opeddev_queue_waiting {waiting}"
        for name, help_text in _TOTALS.items():
            yield f"# HELP opeddev_{name}_total {help_text}"
            yield f"# TYPE opeddev_{name}_total counter"
            yield f"opeddev_{name}_total {self._totals[name]}"
        yield "# TYPE opeddev_requests_total counter"
        for (path, status), count in sorted(self._requests.items()):
            yield f'opeddev_requests_total{{path="{path}",status="{status}"}} {count}'
        yield "# HELP opeddev_request_seconds Seconds from the request's head to the answer's end."
        yield "# TYPE opeddev_request_seconds histogram"
        for path in sorted(self._seconds):
            count = sum(number for (other, _), number in self._requests.items() if other == path)
            for bound in _BOUNDS:
                yield f'opeddev_request_seconds_bucket{{path="{path}",le="{bound:g}"}} {self._times[path, bound]}'
            yield f'opeddev_request_seconds_bucket{{path="{path}",le="+Inf"}} {count}'
            yield f'opeddev_request_seconds_sum{{path="{path}"}} {self._seconds[path]:.6f}'
            yield f'opeddev_request_seconds_count{{path="{path}"}} {count}'


_TOTALS = {
    "graded": "Submissions that were graded.",
    "asked": "Submissions for which a person should be asked.",
    "batches": "Rounds of the model with submissions.",
    "texts": "Texts that were written.",
    "tokens": "Tokens that were written.",
    "failures": "Rounds of the model that failed.",
}
