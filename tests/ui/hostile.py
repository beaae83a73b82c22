"""Owns text that harms a terminal or a widget when it is shown as it is, and events that carry it everywhere."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from rich.style import Style
from scenes import epoch_events, opening, run_id
from textual.strip import Strip

from opeddev_tui.runs import events as ev

PAYLOADS: dict[str, str] = {
    "brackets": "grade [4/5] of list[dict] in [/etc/hosts]",
    "closing tag": "[/INST] ok [/b]",
    "closing all": "[/]",
    "half a tag": "[/",
    "never closed": "with [bold and (1 [x",
    "tag with equals": "[a=] [on =red] [x: /y?z=1-]",
    "action": "[@click=app.leave]press me[/]",
    "action with arguments": "[@click=app.exit('pwned')]again[/]",
    "screen action": "[@click=screen.decide('stop')]stop[/]",
    "link": "[link='http://evil.example']bank[/link]",
    "style": "[black on red blink]alarm[/]",
    "variable": "$error [$primary]$x$[/]",
    "colours": "\x1b[41mred\x1b[0m",
    "clear and leave": "\x1b[2J\x1b[H\x1b[?1049l",
    "who are you": "\x1b[c\x1b[>c\x1b[0c",
    "where are you": "\x1b[5n\x1b[6n\x1b[?2026$p",
    "answer back": "\x05\x1bZ",
    "set clipboard": "\x1b]52;c;cm0gLXJmIH4=\x07",
    "hyperlink": "\x1b]8;;http://evil.example\x1b\\here\x1b]8;;\x1b\\",
    "title": "\x1b]0;root@bank\x07\x1b]2;x\x1b\\",
    "title report": "\x1b[21t",
    "colour report": "\x1b]11;?\x07\x1b]4;1;?\x07",
    "device control": '\x1bP$q"p\x1b\\\x1bP+q544e\x1b\\',
    "keys defined": "\x1bP1;1|17/73\x1b\\",
    "eight bit": "\x9b2J\x9d52;c;eA==\x9c\x90q\x9c",
    "overwriting": "honest\rEVIL\x08\x08\x08\x7f",
    "bells": "\x07\x07\x07",
    "right to left": "file\u202egpj.exe\u202c \u2067x\u2069 \u200fz",
    "invisible": "a\u200b\u200cb\ufeff\u00ad\u2060c",
    "tag characters": "x\U000e0041\U000e0042\U000e007f",
    "stacked marks": "o" + "\u0300" * 400,
    "wide": "漢字" * 30 + "👨‍👩‍👧‍👦🏴‍☠️",
    "zero byte": "a\x00b\x00",
    "half a pair": "broken \ud83d half",
    "line ends": "one\u2028two\u2029three\x0bfour\x0cfive\x85six\r\nseven",
    "tabs": "a\tb\t\tc",
    "long": "y" * 60_000,
    "many lines": "z\n" * 5_000,
    "web page": "<script>alert(1)</script> ![x](http://evil/x.png) [y](javascript:1)",
    "shell": "$(reboot) `reboot` ; rm -rf ~ #",
}
# joins the parts of one picture of a family; a terminal does nothing for it
_HARMLESS = {"\u200d"}
_HARMFUL = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def hostile_events(payload: str, at: float) -> list[ev.AnyEvent]:
    """Return a run whose every text is ``payload``."""
    first = ev.RunStarted(at=at, run=run_id(1), step=1, batch=payload, rows=3, holdout_rows=2, model=payload,
                          holdout_fingerprint=payload, planned_epochs=3, max_epochs=5, seed=1, pid=1)  # fmt: skip
    sample = ev.Sample(
        prompt=payload, reference=payload, text=payload, id=payload, kind=payload, grade=1, reference_grade=2
    )
    return [
        first,
        *list(opening(1, at))[1:],
        ev.ModelLoaded(at=at, device=payload, precision=payload, reason=payload, parameters=1, trainable=1),
        ev.TokensCounted(at=at, batches=(ev.TokenStats(name=payload, rows=1, tokens=1, loss_tokens=1, median=1,
                                                       percentile_95=1, longest=1),)),
        ev.SamplesGenerated(at=at, epoch=0, global_step=0, fingerprint=payload, samples=(sample,)),
        *epoch_events(1, at),
        ev.SamplesGenerated(at=at, epoch=1, global_step=50, fingerprint=payload + "!", samples=(sample, sample)),
        ev.CheckpointSaved(at=at, path=payload, global_step=50, epoch=1.0, size=1, digest=payload),
        ev.CheckpointRejected(at=at, path=payload, problem=payload),
        ev.Annotated(at=at, epoch=1, note=payload),
        ev.Warned(at=at, message=payload),
        ev.PhaseChanged(at=at, phase=payload, detail=payload),
    ]  # fmt: skip


def asked(payload: str, at: float) -> ev.DecisionAwaited:
    """Return a question whose reasons are ``payload``."""
    verdict = ev.Verdict(epoch=1, choice="continue", limit_reached=False, reasons=(payload, payload))
    return ev.DecisionAwaited(at=at, epoch=1, max_epochs=5, verdict=verdict)


def harm_in(strips: Iterable[Strip]) -> set[str]:
    """Return what must not reach a terminal, and actions or links hidden in the styles."""
    found: set[str] = set()
    for strip in strips:
        for text, style, control in strip:
            if control:
                found.add(f"control {control!r}")
            found |= {repr(char) for char in text if unicodedata.category(char) in _HARMFUL and char not in _HARMLESS}
            if isinstance(style, Style) and (style.link or "@click" in style.meta):
                found.add(f"style {style!r} of {text[:20]!r}")
    return found
