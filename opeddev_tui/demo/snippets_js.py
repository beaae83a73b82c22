"""Owns the JavaScript tasks of the starter training rows."""

from opeddev_tui.demo.template import Template

JS: tuple[Template, ...] = (
    Template(
        "debounced search",
        "js",
        "Write a search box for ‹things› that asks the server ‹ms› ms after the last key.",
        """
const WAIT_MS = ‹ms›;
«var:let¦var» timer;

async function search(term) {
  const reply = «missing-await:await ¦»fetch("/api/‹things›?q=" + «unencoded:encodeURIComponent(term)¦term»);
  «no-status-check:if (!reply.ok) throw new Error("The search failed.");
  ¦»show(await reply.json());
}

‹box›.addEventListener("input", (event) => {
  «console-log:¦console.log(event);
  »clearTimeout(timer);
  timer = setTimeout(() => search(event.target.value)«no-catch:.catch(tell)¦», «magic-number:WAIT_MS¦‹ms›»);
});
""",
        {"box": ("box", "field", "queryInput", "searchBox", "input")},
    ),
    Template(
        "fetch a list",
        "js",
        "Load ‹things› from the server and show them in a list; tell the person if that fails.",
        """
async function ‹verb›(list, user) {
  const url = `/api/‹things›/${«unencoded:encodeURIComponent(user)¦user»}`;
  const reply = «missing-await:await ¦»fetch(url)«no-catch:.catch(() => null)¦»;«console-log:¦
  console.log(reply);»
  «no-status-check:if (!reply?.ok) {
    list.textContent = "The ‹things› could not be loaded.";
    return;
  }
  ¦»for («var:const¦var» row of await reply.json()) {
    const item = document.createElement("li");
    item.«inner-html:textContent¦innerHTML» = row.‹key›;
    list.append(item);
  }
}
""",
        {
            "verb": ("loadRows", "showAll", "refresh", "fillList", "fetchItems"),
            "key": ("name", "title", "label", "note"),
        },
    ),
    Template(
        "dialog",
        "js",
        "Open a dialog with a message about ‹things› and close it with the Escape key.",
        """
function ‹open›(message) {
  const box = document.querySelector("#‹id›");
  «no-null-check:if (!box) return;
  ¦»«unused-variable:¦const title = "‹things›";
  »box.«inner-html:textContent¦innerHTML» = message;
  box.hidden = false;

  «var:const¦var» onKey = (event) => {
    if (event.key «loose-equality:===¦==» "Escape") {
      box.hidden = true;«leaked-listener:
      document.removeEventListener("keydown", onKey);¦»
    }
  };
  document.addEventListener("keydown", onKey);
}
""",
        {
            "open": ("openDialog", "showMessage", "popUp", "ask"),
            "id": ("dialog", "message", "notice", "box", "popup"),
        },
    ),
    Template(
        "table sort",
        "js",
        "Sort a table of ‹things› by the column ‹key› and draw its rows again.",
        """
function ‹sort›(rows, body) {
  «no-null-check:if (!body) return [];
  ¦»«var:const¦var» sorted = [...rows].sort((a, b) => a.‹key› - b.‹key›);«console-log:¦
  console.log("sorted", sorted);»
  body.replaceChildren();
  for (let i = 0; i «off-by-one:<¦<=» sorted.length; i += 1) {
    const cell = document.createElement("td");
    cell.«inner-html:textContent¦innerHTML» = sorted[i].name;
    const line = document.createElement("tr");
    line.append(cell);
    body.append(line);
  }
  «missing-return:return sorted;¦sorted;»
}
""",
        {
            "sort": ("sortRows", "orderBy", "redraw", "sortTable"),
            "key": ("price", "year", "rank", "size", "weight", "age"),
        },
    ),
    Template(
        "stored theme",
        "js",
        "Remember the colour theme of ‹shop› in local storage and apply it, ‹theme› if none is stored.",
        """
const KEY = "‹key›-theme";

function readTheme() {
  const text = localStorage.getItem(KEY);
  «no-catch:try {
    ¦»«missing-return:return ¦»«eval:JSON.parse¦eval»(text) ?? "‹theme›";«no-catch:
  } catch {
    return "‹theme›";
  }¦»
}

function toggleTheme() {
  «var:const¦var» next = readTheme() «loose-equality:===¦==» "‹theme›" ? "‹other›" : "‹theme›";«unused-variable:¦
  const before = Date.now();»
  localStorage.setItem(KEY, JSON.stringify(next));
  document.body.dataset.theme = next;
}
""",
        {
            "key": ("shop", "site", "app", "page", "ui"),
            "theme": ("light", "paper", "day", "plain"),
            "other": ("dark", "night", "slate", "ink"),
        },
    ),
    Template(
        "form check",
        "js",
        "Check that the field for the ‹field› has at most ‹number› characters and show a message if not.",
        """
const MAX_LENGTH = ‹number›;

function check‹suffix›(form) {
  const input = form.querySelector("[name='‹field›']");
  const note = form.querySelector(".note");
  «no-null-check:if (!input || !note) return false;
  ¦»«var:const¦var» tooLong = input.value.length > «magic-number:MAX_LENGTH¦‹number›»;
  if (tooLong «loose-equality:===¦==» true) {
    note.«inner-html:textContent¦innerHTML» = input.value + " is too long.";
  }«console-log:¦
  console.log(input.value);»
  «missing-return:return !tooLong;¦!tooLong;»
}
""",
        {
            "field": ("name", "street", "comment", "nickname", "title", "city"),
            "suffix": ("Form", "Input", "Length", "Field"),
        },
    ),
    Template(
        "countdown",
        "js",
        "Count down from ‹number› seconds to the ‹event› in ‹city› and show a greeting at zero.",
        """
const SECOND_MS = 1000;

function ‹start›(output, name) {
  «no-null-check:if (!output) return;
  ¦»let left = ‹number›;«unused-variable:¦
  let started = Date.now();»
  «var:const¦var» timer = setInterval(() => {
    left -= 1;
    output.textContent = `${left} s to the ‹event›`;
    if (left «loose-equality:===¦==» 0) {
      «leaked-timer:clearInterval(timer);
      ¦»output.«inner-html:textContent¦innerHTML» = "Welcome, " + name;
    }
  }, «magic-number:SECOND_MS¦1000»);
}
""",
        {
            "event": ("concert", "race", "sale", "match", "opening", "lecture"),
            "start": ("countDown", "startClock", "begin", "runTimer"),
        },
    ),
    Template(
        "basket sum",
        "js",
        "Add up the prices in the basket of ‹shop›, with a discount of ‹percent› percent on more than ‹number› pieces.",
        """
const DISCOUNT = 0.‹percent›;

function ‹total›(basket, shopper, output) {
  «no-null-check:if (!output) return 0;
  ¦»«var:let¦var» sum = 0;«unused-variable:¦
  const tax = 0.2;»
  for (let i = 0; i «off-by-one:<¦<=» basket.length; i += 1) {
    sum += «eval:Number¦eval»(basket[i].price);
  }
  if (basket.length > ‹number›) sum *= 1 - «magic-number:DISCOUNT¦0.‹percent›»;
  output.«inner-html:textContent¦innerHTML» = shopper + ": " + sum;
  «missing-return:return sum;¦sum;»
}
""",
        {"percent": ("15", "20", "25", "30"), "total": ("total", "addUp", "sumBasket", "price")},
    ),
    Template(
        "save a note",
        "js",
        "Send a note about ‹things› to the server when the form is submitted and confirm it by name.",
        """
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  «var:const¦var» data = new FormData(form);«unused-variable:¦
  const count = ‹number›;»
  const ‹who› = data.get("‹who›");
  const url = "/‹path›?by=" + «unencoded:encodeURIComponent(‹who›)¦‹who›»;
  const options = { method: "POST", body: data };
  const reply = «missing-await:await ¦»fetch(url, options)«no-catch:.catch(() => null)¦»;
  «no-status-check:if (!reply?.ok) return tell("The note was not saved.");
  ¦»output.«inner-html:textContent¦innerHTML» = "Saved for " + ‹who›;
});
""",
        {"path": ("notes", "api/notes", "save", "memo"), "who": ("author", "user", "owner", "writer")},
    ),
)
