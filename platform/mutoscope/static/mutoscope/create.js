// The create page: the stage follows the choice of picture, the size follows the picture, the slider the length.

const form = document.querySelector("[data-create]");
const stage = document.querySelector("#stage");
let sizeIsChosen = false;

function showOnStage(choice) {
  const { src, renew, name, width, height } = choice.dataset;
  const picture = new Image();
  picture.className = "stage-picture";
  picture.alt = `The chosen picture, ${name}`;
  picture.width = Number(width);
  picture.height = Number(height);
  picture.dataset.renew = renew;
  picture.src = src;
  const caption = document.createElement("span");
  caption.className = "stage-caption";
  for (const [kind, words] of [["name", name], ["size", `${width} × ${height}`], ["change", "Change"]]) {
    const part = document.createElement("span");
    part.className = `stage-${kind}`;
    part.textContent = words;
    caption.append(part, " ");
  }
  stage.replaceChildren(picture, caption);
}

// Until the person chooses a size, take the one whose shape is the picture's, at about as many pixels.
function fitSize(width, height) {
  const sizes = [...form.querySelectorAll("input[name=size]:enabled")];
  const checked = sizes.find((size) => size.checked);
  if (sizeIsChosen || !checked) return;
  const short = (size) => Math.min(Number(size.dataset.width), Number(size.dataset.height));
  const distance = (size) => {
    const shape = Math.abs(Math.log((Number(size.dataset.width) / Number(size.dataset.height)) * (height / width)));
    return shape + Math.abs(Math.log(short(size) / short(checked))) / 1000;
  };
  sizes.reduce((best, size) => (distance(size) < distance(best) ? size : best), checked).checked = true;
}

function joinSlider(root) {
  for (const slider of root.querySelectorAll("[data-range-for]")) {
    const number = document.getElementById(slider.dataset.rangeFor);
    slider.hidden = false;
    slider.value = number.value;
    slider.addEventListener("input", () => (number.value = slider.value));
    number.addEventListener("input", () => (slider.value = number.value));
  }
}

form.addEventListener("change", (event) => {
  const { target } = event;
  if (target.name === "size") sizeIsChosen = true;
  if (target.name === "picture") {
    showOnStage(target);
    fitSize(Number(target.dataset.width), Number(target.dataset.height));
  }
});

document.addEventListener("htmx:load", (event) => {
  const { elt } = event.detail;
  if (elt.id === "options") {
    joinSlider(elt);
    sizeIsChosen = false;
  }
  if (stage.querySelector(".errors")) {
    // The stage is empty again, so nothing may stay chosen behind it.
    for (const choice of form.querySelectorAll("input[name=picture]")) choice.checked = false;
  }
  const fresh = stage.contains(elt) ? stage.querySelector("[data-width]") : null;
  if (fresh) fitSize(Number(fresh.dataset.width), Number(fresh.dataset.height));
  // Nobody typed what has changed here, so the estimate would not hear of it.
  if (fresh || elt === document.body) form.dispatchEvent(new Event("fit"));
});

// A page that the browser kept would send its old token, and get the old job in place of a new one.
addEventListener("pageshow", (event) => {
  if (event.persisted) {
    const random = crypto.getRandomValues(new Uint32Array(4));
    form.elements.token.value = [...random].map((part) => part.toString(16)).join("-");
  }
});

joinSlider(document);
const chosen = form.querySelector("input[name=picture]:checked");
if (chosen && !location.search.includes("from=") && !form.querySelector(".errors")) {
  fitSize(Number(chosen.dataset.width), Number(chosen.dataset.height));
}
