"""Report the progress of a model's download from the hub. The libraries fetch it: must not fetch anything itself."""

import contextlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from opeddev_tui.format import duration, size
from opeddev_tui.models.place import cache_folder
from opeddev_tui.runs.events import PhaseChanged, Sink

EVERY = 1.0
# the first second is no measure of a rate
_LEAST_SECONDS = 2.0


@contextmanager
def told(sink: Sink, source: str, revision: str) -> Iterator[None]:
    """Tell ``sink`` once per second how many bytes of the hub model ``source`` are here, as long as they grow."""
    if Path(source).is_dir():
        yield
        return
    over = threading.Event()
    arguments = (sink, source, revision, fetched_bytes(source), over)
    teller = threading.Thread(target=_tell, args=arguments, name="fetching", daemon=True)
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join()


def _tell(sink: Sink, source: str, revision: str, first: int, over: threading.Event) -> None:
    last = first
    began = time.monotonic()
    total: int | None = None
    while not over.wait(EVERY):
        now = fetched_bytes(source)
        if now == last:
            continue
        if total is None:  # asked once: a hub that does not answer lets one wait for seconds
            total = _whole_size(source, revision)
        last = now
        sink.emit(PhaseChanged(phase="fetching", detail=progress_words(source, now, total, now - first, began)))


def progress_words(source: str, now: int, total: int, grown: int, began: float) -> str:
    """Return how far ``source`` is; ``total`` 0: not known, ``grown``: bytes since ``began`` (monotonic seconds)."""
    seconds = time.monotonic() - began
    words = f"{source}: {size(now)}" + (f" of {size(total)}" if total else "")
    if seconds < _LEAST_SECONDS or grown <= 0:
        return words
    left = f", {duration((total - now) * seconds / grown)} left" if total > now else ""
    return f"{words}, {size(grown / seconds)}/s{left}"


def fetched_bytes(source: str) -> int:
    """Return the bytes of a hub model in the cache, half-fetched files included."""
    found = 0
    with contextlib.suppress(OSError):
        for path in (cache_folder(source) / "blobs").iterdir():
            with contextlib.suppress(OSError):
                found += path.stat().st_size
    return found


def _whole_size(source: str, revision: str) -> int:
    """Return the bytes that will be fetched: the files that a safetensors model is loaded from; 0 where unknown."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    try:
        files = HfApi().model_info(source, revision=revision, files_metadata=True, timeout=5).siblings or []
    except (HfHubHTTPError, OSError, ValueError):
        return 0
    return sum(file.size or 0 for file in files if file.rfilename.endswith((".safetensors", ".json", ".txt", ".jinja")))
