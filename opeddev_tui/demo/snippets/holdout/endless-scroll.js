«var:let¦var» page = 1;

const watcher = new IntersectionObserver(async ([entry]) => {
  if (!entry.isIntersecting) return;
  page += 1;«console-log:¦
  console.log("page", page);»
  const tag = «unencoded:encodeURIComponent(location.hash)¦location.hash»;
  const answer = «missing-await:await ¦»fetch(`/‹posts›/page/${page}?tag=${tag}`)«no-catch:.catch(() => ({}))¦»;
  «no-status-check:if (answer.status !== 200) return;
  ¦»feed.insertAdjacentText("beforeend", await answer.text());
});
watcher.observe(‹end›);
