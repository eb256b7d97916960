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
document.addEventListener("htmx:afterRequest", (event) => {
  const menu = event.detail.elt.closest("details.menu[open]");
  if (!menu) return;
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
document.addEventListener("htmx:sendError", () => toast("The server cannot be reached just now."));

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

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
  for (const video of root.querySelectorAll("video[data-autoplay]")) {
    video.muted = true;
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
