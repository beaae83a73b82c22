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
