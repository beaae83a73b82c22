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
