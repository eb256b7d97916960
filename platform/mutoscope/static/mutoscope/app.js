// What every page has: the choice of colours, menus, toasts, local times, clips that play under the pointer.

const still = matchMedia("(prefers-reduced-motion: reduce)");

function toast(words) {
  const line = document.createElement("p");
  line.className = "toast toast-error";
  line.textContent = words;
  document.querySelector("#toasts")?.append(line);
  setTimeout(() => line.remove(), 12000);
}

function chooseTheme(name) {
  if (name) {
    document.documentElement.dataset.theme = name;
  } else {
    delete document.documentElement.dataset.theme;
  }
  try {
    localStorage.setItem("theme", name);
  } catch {
    // Then it holds for this page alone.
  }
}

for (const choice of document.querySelectorAll("[data-theme-choice]")) {
  choice.hidden = false;
  for (const input of choice.querySelectorAll("input")) {
    input.checked = input.value === (document.documentElement.dataset.theme ?? "");
    input.addEventListener("change", () => chooseTheme(input.value));
  }
}

// Menus are <details>, so they work without this; here they also close as menus do.
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    const within = menu.contains(document.activeElement);
    menu.open = false;
    if (within) menu.querySelector("summary").focus();
  }
});
document.addEventListener("focusout", (event) => {
  const menu = event.target.closest?.("details.menu[open]");
  if (menu && event.relatedTarget && !menu.contains(event.relatedTarget)) menu.open = false;
});
// What was chosen from a menu may have brought something that lies beneath it.
document.addEventListener("htmx:beforeSwap", (event) => {
  const menu = event.detail.requestConfig.elt.closest("details.menu[open]");
  if (!menu || menu.contains(event.detail.target)) return;
  menu.open = false;
  menu.querySelector("summary").focus();
});

document.addEventListener("submit", (event) => {
  const question = event.target.dataset.confirm;
  if (question && !window.confirm(question)) {
    event.preventDefault();
    return;
  }
  const button = event.submitter;
  if (button?.dataset.busy && !event.defaultPrevented) {
    // After this event: a disabled button would not be sent.
    setTimeout(() => {
      button.disabled = true;
      button.dataset.words = button.lastChild.textContent;
      button.lastChild.textContent = button.dataset.busy;
    });
  }
});
// Back in a page that the browser kept: its buttons must work again.
addEventListener("pageshow", () => {
  for (const button of document.querySelectorAll("button[data-words]")) {
    button.disabled = false;
    button.lastChild.textContent = button.dataset.words;
  }
});

document.addEventListener("htmx:responseError", (event) => {
  const { xhr } = event.detail;
  const isSentence = xhr.getResponseHeader("Content-Type")?.startsWith("text/plain");
  toast(isSentence ? xhr.responseText : "That did not work. Load the page again and try once more.");
});
document.addEventListener("toast", (event) => toast(event.detail));
document.addEventListener("htmx:sendError", () => toast("The server cannot be reached just now."));

// Links to pictures and clips die while a page stays open; the server leads on to fresh ones.
const RENEW_AGAIN = 60_000;
function renewLink(target) {
  const { renew, renewed } = target.dataset ?? {};
  if (!renew || Date.now() - Number(renewed ?? 0) < RENEW_AGAIN) return;
  target.dataset.renewed = Date.now();
  target.src = renew;
  if (target.matches("video[data-hover-play]")) target.play().catch(() => {});
}
document.addEventListener("error", ({ target }) => renewLink(target), true); // such events do not bubble
for (const media of document.querySelectorAll("[data-renew]")) {
  // What died before this script came was told to nobody.
  if (media.error || (media.complete && !media.naturalWidth)) renewLink(media);
}

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

// A card of a clip: the frame under the pointer, or the one the arrow keys have come to; the clip moves while it has
// the focus, unless people want rest.
function joinScrub(scrub) {
  const link = scrub.closest("a");
  const tiles = Number(scrub.dataset.tiles);
  const [width, height] = scrub.dataset.shape.split("/").map(Number);
  let tile = 0;

  function show(index) {
    tile = Math.max(0, Math.min(tiles - 1, index));
    const { clientWidth, clientHeight } = link;
    const tileHeight = Math.max(clientHeight, (clientWidth * height) / width);
    const tileWidth = (tileHeight * width) / height;
    scrub.replaceChildren();
    scrub.classList.remove("is-moving");
    scrub.style.backgroundImage = `url("${scrub.dataset.scrub}")`;
    scrub.style.backgroundSize = `${tiles * tileWidth}px ${tileHeight}px`;
    const left = -tile * tileWidth - (tileWidth - clientWidth) / 2;
    scrub.style.backgroundPosition = `${left}px ${-(tileHeight - clientHeight) / 2}px`;
    scrub.style.setProperty("--at", (tile + 1) / tiles);
    scrub.hidden = false;
  }

  function move() {
    if (still.matches || !scrub.dataset.moving) return;
    const picture = new Image();
    picture.alt = "";
    picture.src = scrub.dataset.moving;
    scrub.replaceChildren(picture);
    scrub.classList.add("is-moving");
    scrub.hidden = false;
  }

  link.addEventListener("pointermove", (event) => {
    if (event.pointerType === "touch") return;
    const box = link.getBoundingClientRect();
    show(Math.floor((tiles * (event.clientX - box.left)) / box.width));
  });
  link.addEventListener("pointerleave", () => (scrub.hidden = true));
  link.addEventListener("focus", () => link.matches(":focus-visible") && move());
  link.addEventListener("blur", () => (scrub.hidden = true));
  link.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    show(tile + step);
  });
}

// Under the player lies the whole clip as a strip of film, to go to any moment of it.
function joinFilm(film) {
  const video = film.parentElement.querySelector("video");
  const slider = film.querySelector("input");
  film.hidden = false;
  slider.addEventListener("input", () => {
    video.pause();
    video.currentTime = Number(slider.value);
  });
  slider.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowDown: -1, ArrowUp: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    slider.value = Number(slider.value) + step * Number(slider.dataset.seconds);
    slider.dispatchEvent(new Event("input"));
  });
  video.addEventListener("timeupdate", () => (slider.value = video.currentTime));
}

// Not every browser plays every codec; a small moving picture of the clip is shown by all of them.
function showInstead(video) {
  if (!video.dataset.instead) return;
  const picture = new Image(video.width, video.height);
  picture.className = video.className;
  picture.alt = video.getAttribute("aria-label");
  picture.src = still.matches && video.poster ? video.poster : video.dataset.instead;
  const film = video.closest(".job-stage")?.querySelector("[data-film]");
  if (film) film.hidden = true;
  const words = document.createElement("p");
  words.className = "hint";
  words.textContent = "This browser cannot play the clip; here is a small moving picture of it.";
  video.parentElement.after(words);
  video.replaceWith(picture);
}

function dress(root) {
  for (const time of root.querySelectorAll("time[data-time]")) {
    const at = new Date(time.dateTime);
    time.title = at.toString();
    time.textContent = (time.dataset.time === "clock" ? clock : day).format(at);
  }
  for (const video of root.querySelectorAll("video[data-hover-play]")) {
    const link = video.closest("a");
    const play = () => still.matches || video.play().catch(() => {});
    const rest = () => video.pause();
    link.addEventListener("mouseenter", play);
    link.addEventListener("focus", play);
    link.addEventListener("mouseleave", rest);
    link.addEventListener("blur", rest);
  }
  for (const scrub of root.querySelectorAll("[data-scrub]")) joinScrub(scrub);
  for (const film of root.querySelectorAll("[data-film]")) joinFilm(film);
  for (const video of root.querySelectorAll("video[data-autoplay]")) {
    video.muted = true;
    video.addEventListener("error", () => showInstead(video));
    if (video.error) showInstead(video);
    if (!still.matches) video.play().catch(() => {});
  }
  for (const button of root.querySelectorAll("button[data-copy]")) {
    const source = document.getElementById(button.dataset.copy);
    button.hidden = false;
    button.addEventListener("click", async () => {
      source.select();
      try {
        await navigator.clipboard.writeText(source.value);
        button.textContent = "Copied";
      } catch {
        button.textContent = "Press Ctrl+C"; // no clipboard outside secure contexts; the text is selected
      }
    });
  }
}

dress(document);
document.documentElement.classList.add("has-script");
document.addEventListener("htmx:load", (event) => {
  if (event.detail.elt !== document.body) dress(event.detail.elt.parentElement ?? document);
});
