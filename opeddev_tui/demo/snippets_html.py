"""Owns the HTML tasks of the starter training rows."""

from opeddev_tui.demo.template import Template

HTML: tuple[Template, ...] = (
    Template(
        "sign-up form",
        "html",
        "Write a sign-up form for ‹shop› that asks for an email address and a password.",
        """
<form class="signup" action="/‹path›" method="post">
  <«heading-level:h2¦h5»>Join ‹shop›</«heading-level:h2¦h5»>
  «missing-label:<label for="email">Email</label>
  ¦»<input id="email" name="email" type="email" required>
  <label for="password">Password</label>
  <input id="«duplicate-id:password¦email»" name="password" type="password" minlength="‹length›" required>
  <p«inline-style:¦ style="color: gray"»>At least ‹length› characters.«unclosed-tag:</p>¦»
  «div-button:<button type="submit">Sign up</button>¦<div class="button">Sign up</div>»
</form>
""",
        {"path": ("signup", "join", "register", "members/new"), "length": ("8", "10", "12", "14")},
    ),
    Template(
        "site navigation",
        "html",
        "Mark up the main navigation of ‹shop› with a logo and three links.",
        """
<header class="top">
  <img src="/img/logo-‹number›.svg"«missing-alt: alt="‹shop›"¦» height="40">
  <«div-landmark:nav aria-label="Main"¦div class="nav"»>
    <ul«inline-style:¦ style="margin: 0"»>
      <li«duplicate-id:¦ id="first"»><a href="/">Home</a></li>
      <li«duplicate-id:¦ id="first"»><a href="/‹things›">All ‹things›</a>«unclosed-tag:</li>¦»
      «dead-code:¦<!-- <li><a href="/old-‹things›">Old ‹things›</a></li> -->
      »<li><a href="/about">About</a></li>
    </ul>
  </«div-landmark:nav¦div»>
</header>
""",
    ),
    Template(
        "product card",
        "html",
        "Write a product card for a ‹product› at ‹price› euros with a picture and a button to buy it.",
        """
<article class="card">
  <img src="/img/‹number›.jpg"«missing-alt: alt="A ‹product›"¦» width="320" height="240">
  «bold-heading:<h3>¦<b>»‹product›«bold-heading:</h3>¦</b>»
  <p class="note">Made in ‹city› since ‹year›.«unclosed-tag:</p>¦»
  <p class="price">«old-tag:¦<font color="red">»‹price› EUR«old-tag:¦</font>»</p>
  «div-button:<button type="button" data-sku="‹number›"¦<div class="buy" data-sku="‹number›"»"""
        """«inline-handler:¦ onclick="buy(‹number›)"»>Add to basket</«div-button:button¦div»>
</article>
""",
    ),
    Template(
        "page skeleton",
        "html",
        "Write the complete start page of a ‹trade› in ‹city›, with a heading and opening hours.",
        """
<!DOCTYPE html>
<html«missing-lang: lang="en"¦»>
<head>
  <meta charset="utf-8">
  «no-viewport:<meta name="viewport" content="width=device-width, initial-scale=1">
  ¦»<title>‹shop›, ‹trade› in ‹city›</title>
</head>
<body>
  <«div-landmark:main¦div»>
    «old-tag:¦<center>»<h1>‹shop›</h1>«old-tag:¦</center>»
    <p«inline-style:¦ style="font-size: 20px"»>Open from ‹from› to ‹until›.</p>
  </«div-landmark:main¦div»>
</body>
</html>
""",
        {
            "trade": ("bakery", "bookshop", "flower shop", "bicycle repair", "dance school", "print studio"),
            "from": ("7 am", "8 am", "9 am", "10 am"),
            "until": ("4 pm", "5 pm", "6 pm", "8 pm"),
        },
    ),
    Template(
        "price table",
        "html",
        "Show the prices of two ‹things› for ‹city› in a table with a caption.",
        """
<section class="prices">
  <«heading-level:h2¦h5» id="prices">Prices in ‹city›</«heading-level:h2¦h5»>
  <table«inline-style:¦ style="width: 600px"»«duplicate-id:¦ id="prices"»>
    <caption>«old-tag:¦<big>»Prices of ‹year›«old-tag:¦</big>»</caption>
    <tr><th«no-scope: scope="col"¦»>Name</th><th«no-scope: scope="col"¦»>Price</th></tr>
    <tr><td>‹person›</td><td>‹price› EUR</td></tr>
    <tr><td>‹person2›</td><td>‹price2› EUR</td>«unclosed-tag:</tr>¦»
  </table>
</section>
""",
    ),
    Template(
        "search bar",
        "html",
        "Add a search bar to a catalogue of ‹things›, with a field and a button that shows an icon.",
        """
<«div-landmark:search¦div»>
  <form action="/‹things›/find" method="get">
    «missing-label:<label for="query">Find ‹things›</label>
    ¦»<input id="query" name="q" type="search" placeholder="‹city›, ‹year›">
    <«div-button:button type="submit"¦div class="go"»«nameless-button: aria-label="Find"¦»"""
        """«inline-handler:¦ onclick="find()"»>
      <svg width="16" height="16" aria-hidden="true"><use href="#glass"></use></svg>
    </«div-button:button¦div»>
    <p id="«duplicate-id:count¦query»"«inline-style:¦ style="color: #777"»>‹number› ‹things› in stock</p>
  </form>
</«div-landmark:search¦div»>
""",
    ),
    Template(
        "news article",
        "html",
        "Write a short news article about ‹person› from ‹city› with a photo and a caption.",
        """
<«div-landmark:article¦div» class="news">
  «bold-heading:<h2>¦<p><b>»‹person› opens a ‹place› in ‹city›«bold-heading:</h2>¦</b></p>»
  <figure>
    <img src="/photos/‹person›-‹year›.jpg"«missing-alt: alt="‹person› at the door of the ‹place›"¦»>
    <figcaption>«old-tag:¦<tt>»‹city›, ‹year›«old-tag:¦</tt>»«unclosed-tag:</figcaption>¦»
  </figure>
  <p>«wrong-nesting:¦<div>»The ‹place› has ‹number› seats.«wrong-nesting:¦</div>»</p>
  «dead-code:¦<!-- <p>‹person› could not be reached.</p> -->
  »<a href="/news/‹year›">More from ‹year›</a>
</«div-landmark:article¦div»>
""",
        {"place": ("library", "cinema", "theatre", "tea room", "swimming hall", "workshop")},
    ),
    Template(
        "question list",
        "html",
        "Write two questions and answers about ‹topic› that open and close.",
        """
<section class="faq">
  <«heading-level:h2¦h4» id="faq">Questions about ‹topic›</«heading-level:h2¦h4»>
  <details«duplicate-id:¦ id="faq"»>
    <summary>How long does it take?</summary>
    <p>Usually ‹number› hours.«unclosed-tag:</p>¦»
  </details>
  <details«inline-style:¦ style="margin-top: 8px"»>
    <summary>Who can help me?</summary>
    <p>Ask ‹person› in ‹city›.</p>
  </details>
  <button type="button"«nameless-button: aria-label="Close all answers"¦»"""
        """«inline-handler:¦ onclick="closeAll()"»>&times;</button>
</section>
""",
        {"topic": ("returns", "parcels", "gift cards", "repairs", "bookings", "refunds", "passwords")},
    ),
    Template(
        "shopping list",
        "html",
        "Show a shopping basket at ‹shop› with two items, each with a field for the amount.",
        """
<section class="basket">
  <h2>Your basket</h2>
  «br-list:<ul>¦<div>»
    «br-list:<li>¦»«missing-label:<label for="n1">‹product›</label>¦‹product›»
      <input id="n1" type="number">«br-list:</li>¦<br>»
    «br-list:<li>¦»<label for="n2">‹product2›</label>
      <input id="«duplicate-id:n2¦n1»" type="number">«br-list:</li>¦<br>»
  «br-list:</ul>¦</div>»
  <p«inline-style:¦ style="float: right"»>Sum: «unclosed-tag:<strong>‹price› EUR</strong>¦<strong>‹price› EUR»</p>
  <button type="button"«inline-handler:¦ onclick="pay(‹number›)"»>Pay at ‹shop›</button>
</section>
""",
    ),
)
