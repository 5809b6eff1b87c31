// What the page of jupyterlab-rise lacks. Its slides stand on a page of their own, made
// of JupyterLab 4.3. JupyterLab itself loads this file too, and stays as it is.
"use strict";

// The widgets of a newer JupyterLab ask for its consoles, which that page doesn't have,
// and fail to load without. They can do without a console: this is none.
function lendConsoles(shared) {
  shared["@jupyterlab/console"] ??= {
    "4.0.0": {
      from: "many-cores-one-gil",
      get: async () => () => ({ IConsoleTracker: { name: "no console" } }),
    },
  };
}

// From the first slide on, the keys work without a click.
function focusWhenReady() {
  const slides = document.querySelector(".reveal.ready .slides");
  if (slides) slides.focus();
  else requestAnimationFrame(focusWhenReady);
}

// A cell that reveal.js hides, some slides back, has the focus no more, and nobody has.
function focusAgain(frames) {
  if (document.activeElement === document.body)
    document.querySelector(".slides .jp-mod-active")?.focus({ preventScroll: true });
  if (frames) requestAnimationFrame(() => focusAgain(frames - 1));
}

// rise.css puts the words beside a picture that is tall, and under one that is wide.
function markTall({ target }) {
  const tall = target.naturalHeight > 0.75 * target.naturalWidth;
  if (target.matches?.(".jp-RenderedImage img")) target.classList.toggle("tall", tall);
}

const CONTROL = ".noUi-handle, .jupyter-button, input, select, textarea";

// Keys pressed on a control are not the notebook's shortcuts,
function keepFromNotebook(event) {
  const control = event.target.closest(CONTROL);
  control?.setAttribute("data-lm-suppress-shortcuts", "true");
}

// nor do those that move it turn the page as well. Escape leaves it.
function keepFromSlides(event) {
  const control = event.target.closest(CONTROL);
  if (!control) return;
  if (event.key === "Escape") control.closest(".jp-Cell").focus();
  const presses = [" ", "Enter"].includes(event.key) && control.matches(".jupyter-button");
  if (presses || event.key.startsWith("Arrow")) event.stopPropagation();
}

const plugin = {
  id: "many-cores-one-gil:slides",
  autoStart: true,
  activate: (app) => {
    if (app.name !== "Rise") return;
    document.body.addEventListener("load", markTall, true);
    document.body.addEventListener("focusin", keepFromNotebook);
    document.body.addEventListener("keydown", keepFromSlides);
    for (const event of ["slidechanged", "fragmentshown", "fragmenthidden"])
      document.body.addEventListener(event, () => focusAgain(30));
    focusWhenReady();
  },
};

(window._JUPYTERLAB ??= {})["many-cores-one-gil"] = {
  init: lendConsoles,
  get: async () => () => ({ __esModule: true, default: plugin }),
};
