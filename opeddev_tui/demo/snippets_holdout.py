"""Owns the tasks reserved for the hold-out: no training row is made from these, so it measures unseen tasks."""

from opeddev_tui.demo.template import Template

_HTML: tuple[Template, ...] = (
    Template(
        "recipe",
        "html",
        "Write a recipe for ‹dish› with a photo, the ingredients as a list and a print button.",
        """
<main class="recipe">
  <h1 id="dish">‹dish› for ‹guests›</h1>
  <img class="photo" src="‹dish›.webp"«missing-alt: alt="A plate of ‹dish›"¦»>
  «br-list:<ul class="ingredients">¦<div class="ingredients">»
    «br-list:<li>¦»‹grams› g of flour«br-list:</li>¦<br>»
    «br-list:<li>¦»a pinch of salt«br-list:</li>¦<br>»
  «br-list:</ul>¦</div>»
  <p class="time"«duplicate-id:¦ id="dish"»>Ready in ‹grams› minutes«unclosed-tag:</p>¦»
  «dead-code:¦<!-- <p>Serves nobody yet</p> -->
  »<button class="print"«inline-handler:¦ onclick="print()"»>Print ‹dish›</button>
</main>
""",
        {
            "dish": ("dumplings", "pancakes", "flatbread", "gnocchi", "waffles"),
            "guests": ("two", "four", "six"),
            "grams": ("120", "150", "200", "240"),
        },
    ),
    Template(
        "contact box",
        "html",
        "Write a contact box where visitors of a ‹venue› leave a message and choose a subject.",
        """
<aside class="contact">
  «bold-heading:<h2>Write to the ‹venue›</h2>¦<b>Write to the ‹venue›</b>»
  <form action="mailto.php">
    «missing-label:<label for="subject">Subject</label>
    ¦»<select id="subject"><option>Tickets</option><option>‹option›</option></select>
    <label for="text">Message</label>
    <textarea id="«duplicate-id:text¦subject»" rows="‹rows›"«inline-style:¦ style="width: 400px"»></textarea>
    «div-button:<button>Send message</button>¦<div class="send">Send message</div>»
  </form>
</aside>
""",
        {
            "venue": ("museum", "zoo", "planetarium", "castle", "aquarium"),
            "option": ("Lost things", "School visits", "Rent a room", "Praise"),
            "rows": ("4", "6", "8"),
        },
    ),
    Template(
        "video page",
        "html",
        "Write a whole page that plays the film “‹film›” and links to a transcript.",
        """
<!DOCTYPE html>
<html«missing-lang: lang="‹lang›"¦»>
<head>
  <title>Watch ‹film›</title>
  «no-viewport:<meta name="viewport" content="width=device-width">
  ¦»<link rel="stylesheet" href="film.css">
</head>
<body>
  <h1>‹film›</h1>
  «heading-level:<h2>¦<h5>»Directed by ‹director›«heading-level:</h2>¦</h5>»
  <video src="film.mp4" controls«inline-style:¦ style="border: 3px"»></video>
  <p>«old-tag:¦<font size="2">»<a href="words.txt">Read the transcript«unclosed-tag:</a>¦»«old-tag:¦</font>»</p>
</body>
</html>
""",
        {
            "film": ("The Quiet Lake", "Nine Doors", "Harvest Moon", "Paper Boats"),
            "lang": ("en", "en-GB", "en-US"),
            "director": ("K. Lind", "O. Moreau", "S. Tanaka"),
        },
    ),
    Template(
        "team list",
        "html",
        "Show the two people who run the ‹club› club, each with a portrait and a way to call them.",
        """
<«div-landmark:section aria-label="Team"¦div class="team"»>
  <figure«duplicate-id:¦ id="lead"»>
    <img src="faces/‹first›.png"«missing-alt: alt="Portrait of ‹first›"¦»>
    <figcaption>‹first› leads the ‹club› club</figcaption>
  </figure>
  <figure«duplicate-id:¦ id="lead"»>
    <img src="faces/‹second›.png" alt="Portrait of ‹second›">
    <figcaption>«old-tag:¦<center>»‹second› keeps the books«old-tag:¦</center>»«unclosed-tag:</figcaption>¦»
  </figure>
  «div-button:<button class="call">Call us</button>¦<div class="call" tabindex="0">Call us</div>»«dead-code:¦
  <!-- <figure>Vacant</figure> -->»
</«div-landmark:section¦div»>
""",
        {
            "club": ("chess", "rowing", "choir", "juggling", "sailing"),
            "first": ("Noor", "Pavel", "Rosa", "Sven"),
            "second": ("Tariq", "Ulla", "Vera", "Wim"),
        },
    ),
)

_CSS: tuple[Template, ...] = (
    Template(
        "toast",
        "css",
        "Style a short message that slides in at the lower ‹side› corner of the window.",
        """
@keyframes slide { from { translate: 0 ‹shift›; } }

.toast {
  position: fixed;
  bottom: 1em; ‹side›: «missing-unit:1em¦10»;
  z-index: «magic-z:var(--layer-toast)¦2147483647»;
  animation: slide ‹speed› ease-out«important:¦ !important»;
  «fixed-width:max-width: 40ch¦width: 900px»;
  background: #2b2d42;
  color: «low-contrast:#edf2f4¦#4a4e69»;
}

.toast button:focus { «no-focus:outline: thick double¦outline: 0»; }
«empty-rule:¦
.toast b { }
»""",
        {"side": ("left", "right"), "shift": ("2em", "3em", "100%"), "speed": ("0.2s", "0.3s", "0.5s")},
    ),
    Template(
        "photo gallery",
        "css",
        "Style a gallery of photos with a caption under each of them, ‹count› beside each other if there is room.",
        """
.gallery {
  columns: ‹count› 14em;«fixed-width:¦
  width: 1400px;»
  column-gap: ‹gap›;«duplicate-property:¦
  column-gap: 0;»
}

«id-selector:.gallery img¦#gallery img» {
  display: block;
  «fixed-height:height: auto¦height: 90px»;
  width: 100%;
  filter: saturate(‹saturation›)«important:¦ !important»;
}

.gallery figcaption {
  «unknown-property:font-style¦font-stlye»: italic;
  font-size: «tiny-text:smaller¦6px»;
  color: «low-contrast:#333¦#ccc»;
}
""",
        {"count": ("2", "3", "4"), "gap": ("8px", "1vw", "2ch", "1em"), "saturation": ("0.8", "1.1", "1.3")},
    ),
    Template(
        "timeline",
        "css",
        "Style a timeline: a line on the ‹side› with a dot for each event.",
        """
.timeline { list-style: none; border-‹side›: ‹line› solid #6d597a; }

.timeline li {
  position: relative;
  «fixed-height:min-height: 4em¦height: 40px»;
  «unknown-property:padding-inline¦pading-inline»: «missing-unit:2em¦30»;
  «tiny-text:font: inherit¦font: 7px serif»;
}

.timeline li::before {
  content: "";
  position: absolute;
  width: ‹dot›; aspect-ratio: 1;
  background: «raw-colour:var(--dot)¦#6d597a»«important:¦ !important»;
}

.timeline a:focus { «no-focus:text-decoration: underline¦outline: none» }
""",
        {"side": ("left", "right"), "line": ("2px", "3px", "4px"), "dot": ("10px", "0.8em", "1em", "14px")},
    ),
    Template(
        "sidebar",
        "css",
        "Style a page with a sidebar of ‹width› that moves below the text on narrow screens.",
        """
.layout { display: flex; «no-wrap:flex-flow: row wrap¦flex-flow: row nowrap»; }

.sidebar {
  flex: 0 1 ‹width›;«duplicate-property:¦
  flex: none;»
  z-index: «magic-z:auto¦7777»;
  background: linear-gradient(#fff, ‹end›);
  «low-contrast:color: #212529¦color: #f1f3f5»;
}

«id-selector:.sidebar h3¦#sidebar h3» { letter-spacing: ‹spacing›; }

.sidebar summary:focus { «no-focus:box-shadow: 0 0 0 3px #0077b6¦outline: none» }
«empty-rule:¦
.sidebar hr {}
»""",
        {"width": ("14em", "16em", "25vw"), "end": ("#e9ecef", "#f8edeb"), "spacing": ("0.02em", "0.05em", "1px")},
    ),
)

_JS: tuple[Template, ...] = (
    Template(
        "endless scroll",
        "js",
        "Load the next page of ‹posts› when the end of the list comes into view.",
        """
«var:let¦var» page = 1;

const watcher = new IntersectionObserver(async ([entry]) => {
  if (!entry.isIntersecting) return;
  page += 1;«console-log:¦
  console.log("page", page);»
  const tag = «unencoded:encodeURIComponent(location.hash)¦location.hash»;
  const answer = «missing-await:await ¦»fetch(`/‹posts›/page/${page}?tag=${tag}`)«no-catch:.catch(() => ({}))¦»;
  «no-status-check:if (answer.status !== 200) return;
  ¦»feed.insertAdjacentText("beforeend", await answer.text());
});
watcher.observe(‹end›);
""",
        {"posts": ("posts", "stories", "reviews", "events"), "end": ("sentinel", "bottom", "lastRow", "marker")},
    ),
    Template(
        "carousel",
        "js",
        "Write the “next” control of a carousel of ‹slides› that starts again after the last one.",
        """
class Carousel {
  #index = 0;
  next(slides, caption) {
    «no-null-check:if (!caption) return null;
    ¦»this.#index += 1;
    if (this.#index «off-by-one:>=¦>» slides.length) this.#index = 0;
    «var:const¦var» slide = slides[this.#index];«unused-variable:¦
    const direction = "‹direction›";»
    slide.scrollIntoView({ inline: "‹align›" });
    caption.«inner-html:innerText¦innerHTML» = slide.dataset.author;
    «missing-return:return slide;¦slide;»
  }
}
""",
        {
            "slides": ("posters", "portraits", "maps", "screenshots", "quotes"),
            "direction": ("forward", "right", "next"),
            "align": ("start", "center", "nearest"),
        },
    ),
    Template(
        "csv export",
        "js",
        "Turn an array of ‹records› into CSV text with ‹columns› columns and offer it as a download.",
        """
const COLUMNS = ‹columns›;

export function toCsv(‹records›, link) {
  «no-null-check:if (link === null) throw new TypeError("No link given");
  ¦»«var:let¦var» text = "";
  for (let n = 0; n «off-by-one:<¦<=» ‹records›.length; n++) {
    const cells = «eval:Object.values¦eval»(‹records›[n]).slice(0, «magic-number:COLUMNS¦‹columns›»);
    text += cells.join("‹mark›") + "\\n";
  }«console-log:¦
  console.log(text);»
  link.href = "data:text/csv," + «unencoded:encodeURIComponent(text)¦text»;
  «missing-return:return text;¦text;»
}
""",
        {"records": ("members", "sales", "visits", "scores"), "columns": ("3", "5", "7", "9"), "mark": (",", ";")},
    ),
    Template(
        "drop area",
        "js",
        "Let people drop ‹files› on an area, show the name of the file and stop listening after one drop.",
        """
export function acceptOne(area, done) {
  const «unused-variable:handler¦limit = ‹limit›, handler» = async (dropped) => {
    dropped.preventDefault();
    «var:const¦var» file = dropped.dataTransfer.files[0];
    if (file.type «loose-equality:!==¦!=» "‹mime›") return;
    area.«inner-html:innerText¦innerHTML» = `Got ${file.name}`;
    done(«missing-await:await ¦»file.text());«leaked-listener:
    area.removeEventListener("drop", handler);¦»
  };
  «no-null-check:area?.¦area.»addEventListener("drop", handler);
}
""",
        {
            "files": ("tables", "letters", "drawings", "playlists"),
            "mime": ("text/csv", "text/plain", "image/svg+xml"),
            "limit": ("10", "100", "500"),
        },
    ),
)

HOLDOUT: dict[str, tuple[Template, ...]] = {"html": _HTML, "css": _CSS, "js": _JS}
