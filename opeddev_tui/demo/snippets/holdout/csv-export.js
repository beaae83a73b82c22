const COLUMNS = ‹columns›;

export function toCsv(‹records›, link) {
  «no-null-check:if (link === null) throw new TypeError("No link given");
  ¦»«var:let¦var» text = "";
  for (let n = 0; n «off-by-one:<¦<=» ‹records›.length; n++) {
    const cells = «eval:Object.values¦eval»(‹records›[n]).slice(0, «magic-number:COLUMNS¦‹columns›»);
    text += cells.join("‹mark›") + "\n";
  }«console-log:¦
  console.log(text);»
  link.href = "data:text/csv," + «unencoded:encodeURIComponent(text)¦text»;
  «missing-return:return text;¦text;»
}
