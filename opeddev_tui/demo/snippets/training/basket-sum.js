const DISCOUNT = 0.‹percent›;

function ‹total›(basket, shopper, output) {
  «no-null-check:if (!output) return 0;
  ¦»«var:let¦var» sum = 0;«unused-variable:¦
  const tax = 0.2;»
  for (let i = 0; i «off-by-one:<¦<=» basket.length; i += 1) {
    sum += «eval:Number¦eval»(basket[i].price);
  }
  if (basket.length > ‹number›) sum *= 1 - «magic-number:DISCOUNT¦0.‹percent›»;
  output.«inner-html:textContent¦innerHTML» = shopper + ": " + sum;
  «missing-return:return sum;¦sum;»
}
