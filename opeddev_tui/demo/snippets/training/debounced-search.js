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
