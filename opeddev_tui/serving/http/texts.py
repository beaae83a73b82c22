"""Write texts for conversations with the model of a grader, several together, told while they grow.

Prompts are cut as in training. Must not be used by two threads at once.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from opeddev_tui.errors import DataProblem
from opeddev_tui.serving.grader import Grader
from opeddev_tui.serving.http.jobs import Refused, Text, TextJob, fail, finish

if TYPE_CHECKING:
    from opeddev_tui.models.chat import ChatEncoder


def write_texts(grader: Grader, jobs: Sequence[TextJob], between: Callable[[], None]) -> int:
    """Give each of ``jobs`` its text and return how many tokens were written.

    ``between`` is called several times a second and may raise, which ends all of them. A conversation that the chat
    template refuses gets ``Refused``.
    """
    from opeddev_tui.models.generation import generate

    encoder = grader.models.encoder
    asked = _asked(encoder, jobs)
    if not asked:
        return 0
    _draw_anew(asked[0][0])

    def tell(texts: list[list[int]], _finished: int) -> None:
        for (job, _, _), ids in zip(asked, texts, strict=True):
            if job.told is not None and not job.left.is_set():
                job.told(shown_so_far(encoder.decode(ids[: job.most]), job.stops))
        between()

    def enough(index: int, ids: list[int]) -> bool:
        job = asked[index][0]
        return len(ids) >= job.most or job.left.is_set() or _stopped(encoder.decode(ids), job.stops)

    found = grader.models.within_memory(
        lambda batch: generate(
            *(grader.models.writing, encoder, [ids for _, ids, _ in asked]),
            pad_id=grader.models.tokenizer.pad_token_id,
            max_new_tokens=max(job.most for job, _, _ in asked),
            batch_size=batch,
            sampling=asked[0][0].sampling,
            on_tokens=tell,
            ended=enough,
        )
    )
    for (job, prompt, cut), ids in zip(asked, found, strict=True):
        text = encoder.decode(ids[: job.most])
        ended = len(ids) < job.most or _stopped(text, job.stops)
        finish(job, Text(before(text, job.stops), len(prompt), min(len(ids), job.most), ended=ended, truncated=cut))
    return sum(map(len, found))


def _asked(encoder: ChatEncoder, jobs: Sequence[TextJob]) -> list[tuple[TextJob, list[int], bool]]:
    """Return (job, ids of its prompt, whether that was cut) for those that the chat template does not refuse."""
    asked = []
    for job in jobs:
        try:
            whole = encoder.encode_prompt(job.messages)
        except DataProblem as problem:
            fail(job, Refused(400, "messages_refused", str(problem.message), place="$.messages"))
            continue
        ids = encoder.encode_question(job.messages, job.most)
        asked.append((job, ids, len(ids) < len(whole)))
    return asked


def _draw_anew(job: TextJob) -> None:
    """Seed what draws tokens: by the request's seed, else so that no two draws are the same."""
    if job.sampling.do_sample:
        import torch

        torch.manual_seed(job.seed if job.seed is not None else secrets.randbits(63))


def before(text: str, stops: Sequence[str]) -> str:
    """Return ``text`` up to the first of ``stops`` in it."""
    places = [text.find(stop) for stop in stops if stop in text]
    return text[: min(places)] if places else text


def _stopped(text: str, stops: Sequence[str]) -> bool:
    return any(stop in text for stop in stops)


def shown_so_far(text: str, stops: Sequence[str]) -> str:
    """Return what may be shown of a text that grows: no half character, nothing that may become one of ``stops``."""
    text = before(text, stops).rstrip("\ufffd")
    held = max(
        (length for stop in stops for length in range(1, len(stop)) if text.endswith(stop[:length])),
        default=0,
    )
    return text[: len(text) - held]
