"""Owns the CSS tasks of the starter training rows."""

from opeddev_tui.demo.template import Template

CSS: tuple[Template, ...] = (
    Template(
        "card grid",
        "css",
        "Lay out a grid of cards for ‹things› with a gap of ‹rem›.",
        """
«id-selector:.¦#»‹block›-grid {
  display: grid;
  grid-template-columns: «fixed-width:repeat(auto-fill, minmax(16rem, 1fr))¦320px 320px 320px»;
  gap: ‹rem›;«duplicate-property:¦
  gap: 10px;»
}

.‹block› {
  padding: ‹rem2›«important:¦ !important»;
  background: ‹pale›;
  color: «low-contrast:‹dark›¦‹faint›»;«fixed-height:¦
  height: ‹tall›;»
  border-radius: ‹radius›;
}
«empty-rule:¦
.‹block› p {
}
»
.‹block› a:focus-visible {
  outline: «no-focus:2px solid ‹dark›¦none»;
}
""",
        {"block": ("card", "tile", "item", "teaser", "panel")},
    ),
    Template(
        "theme variables",
        "css",
        "Define the colours of ‹shop› as variables, with a dark scheme, and use them on the page.",
        """
:root {
  --paper: ‹pale›;
  --ink: «low-contrast:‹dark›¦‹faint›»;
}

@media (prefers-color-scheme: dark) {
  :root { --paper: ‹dark2›; --ink: ‹pale2›; }
}

body {
  background: «raw-colour:var(--paper)¦‹pale›»;
  color: var(--ink)«important:¦ !important»;
  font-size: «tiny-text:1rem¦9px»;
  «unknown-property:line-height¦line-heigth»: ‹line›;
  margin: «missing-unit:‹rem›¦16»;
  «fixed-width:max-width: 70ch¦width: ‹wide›»;
}
""",
        {"line": ("1.4", "1.5", "1.55", "1.6")},
    ),
    Template(
        "button",
        "css",
        "Style the main button of ‹shop› with states for hover and keyboard focus.",
        """
«id-selector:.button¦#button» {
  padding: ‹rem› ‹rem2›;
  border: 0;
  border-radius: «missing-unit:‹radius›¦6»;
  background: ‹dark›;
  color: «low-contrast:white¦‹dark2›»;
  «fixed-width:min-width: 8rem¦width: 480px»;
}

.button:hover {
  background: ‹dark3›«important:¦ !important»;
}
«empty-rule:¦
.button:active {
}
»
.button:focus-visible {
  outline: «no-focus:3px solid ‹dark3›¦0»;
}
""",
    ),
    Template(
        "navigation bar",
        "css",
        "Style a navigation bar that stays at the top of a page about ‹things›.",
        """
.bar {
  position: sticky;
  top: 0;
  z-index: «magic-z:var(--layer-bar)¦99999»;
  display: flex;
  «no-wrap:flex-wrap: wrap¦flex-wrap: nowrap»;
  gap: ‹rem›;
  «unknown-property:background¦backgroud»: ‹dark›;
}

.bar a {
  padding: «missing-unit:‹rem2›¦12»;
  color: «low-contrast:‹pale›¦‹dark2›»«important:¦ !important»;
}

.bar a:focus {
  outline: «no-focus:2px dashed ‹pale›¦none»;
}
""",
    ),
    Template(
        "dialog",
        "css",
        "Style a dialog in the middle of the window with a dimmed page behind it, corners of ‹radius›.",
        """
.dialog {
  position: fixed;
  inset: 0;
  margin: auto;
  «fixed-width:width: min(90vw, 30rem)¦width: ‹wide›»;
  «fixed-height:max-height: 80vh¦height: ‹tall›»;
  z-index: «magic-z:var(--layer-dialog)¦10000»;
  padding: ‹rem›;
  border-radius: ‹radius›;«duplicate-property:¦
  border-radius: 0;»
  background: ‹pale›;
  font-size: «tiny-text:1rem¦8px»;
}

.dialog::backdrop {«empty-rule:
  background: rgb(0 0 0 / 0.‹dim›);
¦
»}
""",
        {"dim": ("4", "45", "5", "55", "6", "7")},
    ),
    Template(
        "form fields",
        "css",
        "Style the text fields and labels of a form for ‹things›.",
        """
.field {
  display: grid;
  gap: ‹rem›;
}

«id-selector:.field input¦#field input» {
  «fixed-width:width: 100%¦width: 640px»;
  padding: ‹rem2›;
  border: 1px solid ‹dark›;
  «unknown-property:font-size¦font-sise»: «tiny-text:1rem¦9px»;
}

.field input:focus {
  outline: «no-focus:2px solid ‹dark›¦none»;
}

«empty-rule:¦
.field small {
}
»
.field label {
  color: ‹dark2›«important:¦ !important»;
}
""",
    ),
    Template(
        "hero",
        "css",
        "Style the opening section of ‹shop›: a large title over a plain ground, centred.",
        """
.hero {
  «fixed-height:min-height: 60vh¦height: ‹tall›»;
  display: grid;
  place-items: center;
  padding: «missing-unit:‹rem›¦24»;
  background: ‹pale›«important:¦ !important»;
}

.hero h1 {
  color: «low-contrast:‹dark›¦‹faint›»;
  font-size: clamp(2rem, 6vw, 4rem);«fixed-width:¦
  width: ‹wide›;»
  «unknown-property:text-align¦text-aling»: center;
}

.hero small {
  font-size: «tiny-text:0.9rem¦7px»;
  color: «raw-colour:var(--muted)¦‹dark›»;
}
""",
    ),
    Template(
        "data table",
        "css",
        "Style a table of ‹things› with striped rows and clear lines.",
        """
.table-wrap {
  «fixed-width:overflow-x: auto;
  max-width: 100%;¦width: ‹wide›;»
}

«id-selector:.table¦#table» {
  border-collapse: collapse;
  font-size: «tiny-text:0.95rem¦8px»;
}

.table td {
  padding: ‹rem›;«duplicate-property:¦
  padding: 4px;»
  border-bottom: 1px solid ‹dark›;
  color: «low-contrast:‹dark2›¦‹faint›»;
}

.table tr:nth-child(even) {
  background: ‹pale›«important:¦ !important»;
}
«empty-rule:¦
.table th {
}
»""",
    ),
    Template(
        "footer columns",
        "css",
        "Style a page footer for ‹shop› with link columns beside each other on wide screens.",
        """
.footer {
  display: grid;
  gap: ‹rem›;
  padding: «missing-unit:‹rem2›¦20»;
  background: ‹dark›;
  color: «low-contrast:‹pale›¦‹dark2›»;
}

.footer a {
  color: «raw-colour:var(--link)¦‹pale›»«important:¦ !important»;
}

.footer a:focus-visible { outline: «no-focus:2px solid currentColor¦none»; }
«no-query:
@media (min-width: ‹wide›) {
  .footer { grid-template-columns: repeat(‹count›, 1fr); }
}
¦»«empty-rule:¦
.footer ul { }
»""",
        {"count": ("2", "3", "4", "5")},
    ),
)
