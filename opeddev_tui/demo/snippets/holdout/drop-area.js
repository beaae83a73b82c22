export function acceptOne(area, done) {
  const «unused-variable:handler¦limit = ‹limit›, handler» = async (dropped) => {
    dropped.preventDefault();
    «var:const¦var» file = dropped.dataTransfer.files[0];
    if (file.type «loose-equality:!==¦!=» "‹mime›") return;
    area.«inner-html:innerText¦innerHTML» = `Got ${file.name}`;
    done(«missing-await:await ¦»file.text());«leaked-listener:
    area.removeEventListener("drop", handler);¦»
  };
  «no-null-check:area?.¦area.»addEventListener("drop", handler);
}
