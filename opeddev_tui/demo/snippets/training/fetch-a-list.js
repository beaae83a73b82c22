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
