// A job, live: progress from the stream; where its state changes, htmx fetches the panel anew, and where its place
// in the line or its end does, that line.

const POLL = 3000; // milliseconds, where there is no stream
const PATIENCE = 8000; // milliseconds until a stream that says nothing is taken for none (proxies may hold it back)
const announcement = document.querySelector("#announcement");
let announced = 0;
let lined = 0; // percent at which the line was last fetched

const panel = () => document.querySelector("#panel");
const refresh = () => window.htmx.trigger(document.body, "refresh");
const refreshLine = () => window.htmx.trigger(document.body, "line");

function showProgress(share) {
  const bar = panel().querySelector("[data-progress]");
  if (!bar) return;
  const percent = Math.round(share * 100);
  bar.value = share;
  panel().querySelector("[data-percent]").textContent = `${percent}%`;
  if (Math.abs(percent - lined) >= 5 && percent < 100) {
    lined = percent;
    refreshLine();
  }
  // A voice that counts every percent is no help: quarters do.
  if (percent - announced >= 25) {
    announced = percent - (percent % 25);
    announcement.textContent = `${panel().dataset.words}, ${announced} percent`;
  }
}

function poll() {
  const timer = setInterval(() => {
    if (panel().dataset.stream) refresh();
    else clearInterval(timer);
  }, POLL);
}

function follow(address) {
  if (!window.EventSource) return poll();
  const stream = new EventSource(address);
  const silence = setTimeout(poll, PATIENCE);
  stream.addEventListener("job", (event) => {
    clearTimeout(silence);
    const job = JSON.parse(event.data);
    const isOver = ["succeeded", "failed", "cancelled"].includes(job.state);
    if (isOver) stream.close();
    if (job.state !== panel().dataset.state) refresh();
    else if (!isOver && job.progress) showProgress(job.progress);
  });
  stream.addEventListener("queue", refreshLine);
  stream.addEventListener("progress", (event) => showProgress(JSON.parse(event.data).progress));
  stream.addEventListener("error", () => {
    // The browser connects again by itself, unless it says that it has given up.
    if (stream.readyState === EventSource.CLOSED) {
      clearTimeout(silence);
      poll();
    }
  });
  addEventListener("pagehide", () => stream.close());
}

document.addEventListener("htmx:load", (event) => {
  if (event.detail.elt.id !== "panel") return;
  const words = panel().dataset.words;
  if (!announcement.textContent.startsWith(words)) announcement.textContent = words;
  // The button that had the focus may be gone with the old panel: stay at the same place in the page.
  if (document.activeElement === document.body) document.querySelector("#main").focus({ preventScroll: true });
});

if (panel().dataset.stream) {
  addEventListener("load", () => follow(panel().dataset.stream));
}
