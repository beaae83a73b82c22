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
