const MAX_LENGTH = ‹number›;

function check‹suffix›(form) {
  const input = form.querySelector("[name='‹field›']");
  const note = form.querySelector(".note");
  «no-null-check:if (!input || !note) return false;
  ¦»«var:const¦var» tooLong = input.value.length > «magic-number:MAX_LENGTH¦‹number›»;
  if (tooLong «loose-equality:===¦==» true) {
    note.«inner-html:textContent¦innerHTML» = input.value + " is too long.";
  }«console-log:¦
  console.log(input.value);»
  «missing-return:return !tooLong;¦!tooLong;»
}
