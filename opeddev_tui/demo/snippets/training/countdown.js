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
