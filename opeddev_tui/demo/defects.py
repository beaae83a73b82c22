"""Owns the defects that starter rows contain: the rubric area each belongs to and how feedback names it."""

from collections.abc import Sequence

RUBRICS: dict[str, str] = {
    "html": (
        "One point off for each area with a defect. Structure: tags closed, ids unique. Accessibility: labels, "
        "names and alt texts. Semantics: the fitting element. Cleanliness: no inline code, no leftovers."
    ),
    "css": (
        "One point off for each area with a defect. Maintainability: no overrides, no magic values. Accessibility: "
        "focus, contrast, size. Responsiveness: fits every screen. Correctness: every line works."
    ),
    "js": (
        "One point off for each area with a defect. Correctness: does the task. Safety: input is never run or "
        "trusted. Clarity: named, modern, tidy. Robustness: failures and missing things are handled."
    ),
}

# the order of the areas is the order of the feedback
AREAS: dict[str, tuple[str, ...]] = {
    "html": ("structure", "accessibility", "semantics", "cleanliness"),
    "css": ("maintainability", "accessibility", "responsiveness", "correctness"),
    "js": ("correctness", "safety", "clarity", "robustness"),
}

# kind -> code of the defect -> (area, sentence)
DEFECTS: dict[str, dict[str, tuple[str, str]]] = {
    "html": {
        "duplicate-id": ("structure", "an id is used twice"),
        "unclosed-tag": ("structure", "a tag is never closed"),
        "no-viewport": ("structure", "the viewport meta tag is missing"),
        "wrong-nesting": ("structure", "a block element sits inside a paragraph"),
        "missing-alt": ("accessibility", "an image has no alt text"),
        "missing-label": ("accessibility", "a field has no label"),
        "missing-lang": ("accessibility", "the page names no language"),
        "nameless-button": ("accessibility", "a button has no name"),
        "no-scope": ("accessibility", "header cells have no scope"),
        "div-button": ("semantics", "a div acts as a button"),
        "div-landmark": ("semantics", "a div stands where a landmark belongs"),
        "heading-level": ("semantics", "a heading level is skipped"),
        "bold-heading": ("semantics", "bold text imitates a heading"),
        "br-list": ("semantics", "line breaks imitate a list"),
        "inline-handler": ("cleanliness", "an inline event handler is used"),
        "inline-style": ("cleanliness", "a style attribute sets the look"),
        "old-tag": ("cleanliness", "an outdated tag is used"),
        "dead-code": ("cleanliness", "commented-out code is left in"),
    },
    "css": {
        "important": ("maintainability", "!important overrides the cascade"),
        "magic-z": ("maintainability", "the z-index is a magic number"),
        "raw-colour": ("maintainability", "a colour is repeated instead of the variable"),
        "id-selector": ("maintainability", "an id selector is used for styling"),
        "no-focus": ("accessibility", "the focus style is removed"),
        "low-contrast": ("accessibility", "the text has too little contrast"),
        "tiny-text": ("accessibility", "the text is too small to read"),
        "fixed-width": ("responsiveness", "a fixed width breaks small screens"),
        "fixed-height": ("responsiveness", "a fixed height cuts off content"),
        "no-wrap": ("responsiveness", "the items cannot wrap"),
        "no-query": ("responsiveness", "the layout has no rule for wide screens"),
        "duplicate-property": ("correctness", "a property is set twice"),
        "empty-rule": ("correctness", "a rule is empty"),
        "missing-unit": ("correctness", "a length has no unit"),
        "unknown-property": ("correctness", "a property name is misspelt"),
    },
    "js": {
        "off-by-one": ("correctness", "a loop runs one step too far"),
        "missing-await": ("correctness", "an await is missing"),
        "loose-equality": ("correctness", "== is used instead of ==="),
        "missing-return": ("correctness", "the result is not returned"),
        "inner-html": ("safety", "user data goes into innerHTML"),
        "eval": ("safety", "eval runs text from outside"),
        "unencoded": ("safety", "user data goes into a URL without encoding"),
        "var": ("clarity", "var is used instead of const or let"),
        "console-log": ("clarity", "a console.log is left in"),
        "magic-number": ("clarity", "a magic number hides its meaning"),
        "unused-variable": ("clarity", "a variable is never used"),
        "no-catch": ("robustness", "errors are not caught"),
        "no-status-check": ("robustness", "a failed response is not checked"),
        "no-null-check": ("robustness", "a missing element is not handled"),
        "leaked-listener": ("robustness", "a listener is never removed"),
        "leaked-timer": ("robustness", "a timer is never cleared"),
    },
}

NO_DEFECT = "No defect found."


def area_of(kind: str, code: str) -> str:
    """Return the rubric area that the defect ``code`` belongs to."""
    return DEFECTS[kind][code][0]


def grade_of(kind: str, codes: Sequence[str]) -> int:
    """Return 5 minus one for each rubric area with a defect."""
    return 5 - len({area_of(kind, code) for code in codes})


def feedback_of(kind: str, codes: Sequence[str]) -> str:
    """Return each defect in a short sentence after the name of its rubric area."""
    parts: list[str] = []
    for area in AREAS[kind]:
        found = [sentence for code, (where, sentence) in DEFECTS[kind].items() if where == area and code in codes]
        if found:
            parts.append(f"{area.capitalize()}: {'; '.join(found)}.")
    return " ".join(parts) or NO_DEFECT
