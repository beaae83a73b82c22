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
