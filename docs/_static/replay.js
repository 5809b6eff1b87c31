// Replays: shows the pictures that were recorded for what the controls are turned to.

function figure(source, picture) {
  const image = new Image(picture.width, picture.height);
  image.alt = picture.alt;
  image.src = `${source}/${picture.src}`;
  const words = document.createElement("p");
  words.textContent = picture.alt;
  return [image, words];
}

function start(replay) {
  const { source, pictures } = JSON.parse(replay.querySelector("script").textContent);
  const knobs = replay.querySelector(".replay-knobs");
  const controls = [...knobs.querySelectorAll("input, select")];
  const place = (control) => control.selectedIndex ?? control.value;

  function turned() {
    for (const slider of knobs.querySelectorAll("input")) {
      const words = JSON.parse(slider.dataset.labels)[slider.value];
      slider.setAttribute("aria-valuetext", words);
      slider.nextElementSibling.textContent = words;
    }
    const found = pictures[controls.map(place).join(",")];
    const shown = found
      ? found.flatMap((picture) => figure(source, picture))
      : ["Nothing was recorded for this: it can’t be measured so, or takes too long."];
    replay.querySelector(".replay-pictures").replaceChildren(...shown);
  }

  knobs.addEventListener("input", turned);
  knobs.hidden = false;
  // A browser may have kept what was turned before the page was loaded again.
  if (controls.some((control) => !isFirst(control))) turned();
}

function isFirst(control) {
  return control.selectedIndex === undefined
    ? control.value === control.defaultValue
    : control.options[control.selectedIndex].defaultSelected;
}

document.querySelectorAll(".replay").forEach(start);
