class Carousel {
  #index = 0;
  next(slides, caption) {
    «no-null-check:if (!caption) return null;
    ¦»this.#index += 1;
    if (this.#index «off-by-one:>=¦>» slides.length) this.#index = 0;
    «var:const¦var» slide = slides[this.#index];«unused-variable:¦
    const direction = "‹direction›";»
    slide.scrollIntoView({ inline: "‹align›" });
    caption.«inner-html:innerText¦innerHTML» = slide.dataset.author;
    «missing-return:return slide;¦slide;»
  }
}
