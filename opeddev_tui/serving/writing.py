"""Write feedback on grades that are given: the grade and the failed areas are forced, the model explains each.

Without areas the model goes on after the grade. Must not change a grade.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from opeddev_tui.data.rows import Example
from opeddev_tui.grading.areas import Style
from opeddev_tui.grading.feedback import Segment, feedback_plan, follow, sentences
from opeddev_tui.grading.graded_rows import feedback_of
from opeddev_tui.serving.loaded import LoadedModels

# an area gets at least so many tokens
_LEAST = 24


def write_feedback(
    models: LoadedModels,
    examples: Sequence[Example],
    places: Sequence[int],
    named: Sequence[Sequence[str]],
    raise_if_stopped: Callable[[], None] = lambda: None,
) -> list[str]:
    """Return a feedback for each of ``examples``, whose grades are ``places`` of the scale and failed areas ``named``.

    A place below 0 has no grade: the model writes freely.
    """
    plans = _plans(models, places, named)
    most = models.settings.generation.max_new_tokens
    prompts = [models.encoder.encode_question(example.prompt, most) for example in examples]
    shares = [max(_LEAST, most // max(1, sum(segment.writes for segment in plan))) for plan in plans]

    def write(rows: list[int], texts: list[str], segments: list[Segment]) -> list[str]:
        from opeddev_tui.models.forced_text import Beginning, continue_texts

        raise_if_stopped()
        beginnings = [
            Beginning(prompts[row], text, segment.stops, shares[row])
            for row, text, segment in zip(rows, texts, segments, strict=True)
        ]
        found = models.within_memory(
            lambda batch: continue_texts(
                models.writing,
                models.encoder,
                beginnings,
                pad_id=models.tokenizer.pad_token_id,
                batch_size=batch,
                sampling=models.settings.generation,
                on_tokens=lambda *_: raise_if_stopped(),
            )
        )
        return [sentences(item.text) if item.cut else item.text for item in found]

    grading, after = models.settings.grading, models.stem[1] if models.stem is not None else ""
    texts = follow(plans, write, grading.area_pattern)
    return [feedback_of(text, grading.pattern, after).strip() for text in texts]


def _plans(models: LoadedModels, places: Sequence[int], named: Sequence[Sequence[str]]) -> list[list[Segment]]:
    """Return what is forced and what is written for each grade."""
    stem, criteria = models.stem, models.head.criteria if models.head is not None else None
    names = criteria.areas.names if criteria is not None else ()
    style = criteria.areas.style if criteria is not None else Style()
    return [
        feedback_plan(models.scale.labels[place], areas, names, stem, style)
        if stem is not None and place >= 0
        else [Segment("", True)]
        for place, areas in zip(places, named, strict=True)
    ]
