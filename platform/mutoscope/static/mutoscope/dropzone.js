// Dropping, pasting, previewing and sending files. They go straight to the storage, in parts, which may be another
// host: what fails is sent again, and what still fails waits for the person to try again.

const FILES_AT_ONCE = 2;
const PARTS_AT_ONCE = 3;
const TRIES = 4;
const headers = { ...JSON.parse(document.body.getAttribute("hx-headers") ?? "{}"), "HX-Request": "true" };

const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));
const percent = new Intl.NumberFormat(undefined, { style: "percent" });

// Work for at most so many at once; the others wait for their turn.
class Lanes {
  #free;
  #waiting = [];

  constructor(count) {
    this.#free = count;
  }

  async take(work) {
    if (this.#free) this.#free -= 1;
    else await new Promise((turn) => this.#waiting.push(turn));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free += 1;
    }
  }
}

const fileLanes = new Lanes(FILES_AT_ONCE);

// Asks the server; what it refuses is an error with its sentence.
async function ask(method, path, { signal, fields, keepalive } = {}) {
  let answer;
  try {
    answer = await fetch(path, { method, headers, signal, keepalive, body: fields && new URLSearchParams(fields) });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Error("The server cannot be reached just now.");
  }
  const elsewhere = answer.headers.get("HX-Redirect");
  if (elsewhere) location.assign(elsewhere);
  if (answer.ok || answer.status === 422) return answer;
  const isSentence = answer.headers.get("Content-Type")?.startsWith("text/plain");
  throw new Error(isSentence ? await answer.text() : "That did not work. Try again.");
}

class PutFailed extends Error {
  constructor(url, status) {
    const { origin } = new URL(url, location.href);
    const mayBeBlocked = !status && origin !== location.origin; // the browser does not tell a page which it was
    super(
      mayBeBlocked
        ? `The storage at ${origin} cannot be reached. If that stays so, its CORS rules may not allow PUT from ` +
          `${location.origin}: an operator can mend that.`
        : "The file could not be sent. Try again.",
    );
    this.status = status;
  }
}

function put(part, piece, tell, signal) {
  return new Promise((done, fail) => {
    const request = new XMLHttpRequest(); // fetch tells nothing of how far it has come
    const stop = () => request.abort();
    request.open("PUT", part.url);
    for (const [name, value] of Object.entries(part.headers)) request.setRequestHeader(name, value);
    request.upload.addEventListener("progress", (event) => tell(event.loaded));
    request.addEventListener("load", () =>
      request.status < 300 ? done() : fail(new PutFailed(part.url, request.status)),
    );
    request.addEventListener("error", () => fail(new PutFailed(part.url, 0)));
    request.addEventListener("abort", () => fail(signal.reason));
    request.addEventListener("loadend", () => signal.removeEventListener("abort", stop));
    signal.addEventListener("abort", stop);
    request.send(piece);
  });
}

// One file on its way: announced, sent, completed, looked into. `send` may be called again after it failed, and goes
// on where it was.
class Transfer {
  #upload = null;
  #arrived = new Map(); // bytes by the part's number
  #isComplete = false;
  #abort = new AbortController();

  constructor(file, announceAt, into, tell) {
    Object.assign(this, { file, announceAt, into, tell });
  }

  get #path() {
    return `${this.announceAt}/${this.#upload.id}`;
  }

  // Resolves to the answer that holds what became of it.
  async send() {
    const { signal } = this.#abort;
    await this.#sendParts(await this.#missing());
    await ask("POST", `${this.#path}/complete`, { signal });
    this.#isComplete = true;
    this.tell("Being looked into …", 1);
    for (let wait = 200; ; wait = Math.min(wait * 1.5, 2000)) {
      await pause(wait);
      const answer = await ask("GET", `${this.#path}?into=${this.into}`, { signal });
      if (answer.status !== 204) return answer;
    }
  }

  stop() {
    this.#abort.abort();
    if (this.#upload) ask("POST", `${this.#path}/abandon`, { keepalive: true }).catch(() => {}); // then it expires
  }

  // The page goes. What has been sent whole is kept all the same.
  leave() {
    if (!this.#isComplete) this.stop();
  }

  get isStopped() {
    return this.#abort.signal.aborted;
  }

  async #missing() {
    const { signal } = this.#abort;
    if (this.#upload) return (await (await ask("POST", `${this.#path}/parts`, { signal })).json()).parts;
    const fields = { name: this.file.name, size_bytes: this.file.size };
    this.#upload = await (await ask("POST", this.announceAt, { signal, fields })).json();
    if (this.isStopped) this.stop();
    return this.#upload.parts;
  }

  async #sendParts(parts) {
    const missing = new Set(parts.map(({ number }) => number));
    for (const { number, size_bytes: size } of this.#upload.parts) this.#note(number, missing.has(number) ? 0 : size);
    const lanes = new Lanes(PARTS_AT_ONCE);
    const sent = await Promise.allSettled(parts.map((part) => lanes.take(() => this.#sendPart(part))));
    const failed = sent.find(({ status }) => status === "rejected");
    if (failed) throw failed.reason;
  }

  async #sendPart(part) {
    const { signal } = this.#abort;
    const start = (part.number - 1) * this.#upload.part_size_bytes;
    const piece = this.file.slice(start, start + part.size_bytes);
    for (let attempt = 1; ; attempt += 1) {
      try {
        await put(part, piece, (bytes) => this.#note(part.number, bytes), signal);
        this.#note(part.number, part.size_bytes);
        return;
      } catch (error) {
        this.#note(part.number, 0);
        if (signal.aborted || attempt === TRIES) throw error;
        await pause(250 * 2 ** attempt);
        if (error.status) part = await this.#freshLink(part); // it may have expired
      }
    }
  }

  async #freshLink(part) {
    const { parts } = await (await ask("POST", `${this.#path}/parts`, { signal: this.#abort.signal })).json();
    return parts.find(({ number }) => number === part.number) ?? part;
  }

  #note(number, bytes) {
    this.#arrived.set(number, bytes);
    const share = [...this.#arrived.values()].reduce((sum, more) => sum + more, 0) / this.file.size;
    this.tell(percent.format(share), share);
  }
}

for (const zone of document.querySelectorAll("[data-dropzone]")) {
  const into = zone.dataset.dropzone;
  const input = zone.querySelector("input[data-upload]");
  const list = zone.querySelector("[data-upload-list]");
  const rowTemplate = zone.querySelector("[data-upload-row]");
  const stage = zone.querySelector("#stage");
  const active = new Map(); // transfers under way, with what removes them from the page
  let preview = "";
  let stageBefore = null;

  function take(files) {
    const chosen = [...files].slice(0, input.multiple ? undefined : 1);
    if (!chosen.length) return;
    if (!input.multiple) {
      for (const remove of [...active.values()]) remove();
      list.replaceChildren();
    }
    chosen.forEach(start);
  }

  function showPreview(file) {
    if (!stage) return;
    stageBefore ??= [...stage.childNodes];
    const picture = new Image();
    picture.className = "stage-picture";
    picture.alt = `The chosen picture, ${file.name}`;
    URL.revokeObjectURL(preview);
    preview = URL.createObjectURL(file);
    // Formats that this browser cannot show wait for the server's own picture.
    picture.addEventListener("load", () => stageBefore && stage.replaceChildren(picture));
    picture.src = preview;
  }

  function endPreview({ back = false } = {}) {
    if (back && stageBefore) stage.replaceChildren(...stageBefore);
    stageBefore = null;
  }

  function setActive(transfer, remove) {
    if (remove) active.set(transfer, remove);
    else active.delete(transfer);
    zone.classList.toggle("is-busy", active.size > 0);
  }

  function start(file) {
    const row = rowTemplate.content.firstElementChild.cloneNode(true);
    const [name, state, bar, trouble, again, stop] = row.querySelectorAll(
      ".upload-name, .upload-state, progress, .upload-trouble, .upload-again, .upload-stop",
    );
    const transfer = new Transfer(file, zone.dataset.uploads, into, (words, share) => {
      state.textContent = words;
      bar.value = share;
    });

    function remove() {
      transfer.stop();
      setActive(transfer, null);
      row.remove();
      endPreview({ back: true });
    }

    async function run() {
      setActive(transfer, remove);
      trouble.replaceChildren();
      again.hidden = true;
      state.textContent = "Waiting";
      try {
        const answer = await fileLanes.take(() => transfer.send());
        show(await answer.text(), answer.ok);
      } catch (error) {
        if (transfer.isStopped) return;
        state.textContent = "";
        trouble.textContent = error.message;
        again.hidden = false;
      }
      setActive(transfer, null);
    }

    // A card or a choice finds its own place on the page; the reason of a refusal stays with the file.
    function show(fragment, isKept) {
      endPreview();
      htmx.swap(stage ?? trouble, fragment, { swapStyle: "innerHTML" });
      if (isKept || stage) {
        row.remove();
        return;
      }
      bar.remove();
      state.textContent = "";
      stop.textContent = "Dismiss";
      stop.addEventListener("click", () => row.remove());
      stop.removeEventListener("click", remove);
    }

    name.textContent = file.name;
    bar.setAttribute("aria-label", `Upload of ${file.name}`);
    again.addEventListener("click", run);
    stop.addEventListener("click", remove);
    list.append(row);
    showPreview(file);
    run();
  }

  input.addEventListener("change", () => {
    const files = [...input.files];
    input.value = ""; // the form must not send them a second time
    take(files);
  });
  zone.closest("form")?.addEventListener("submit", (event) => {
    if (!active.size) return;
    event.preventDefault();
    document.dispatchEvent(new CustomEvent("toast", { detail: "The picture is still on its way. Wait a moment." }));
  });
  addEventListener("pagehide", () => {
    for (const transfer of active.keys()) transfer.leave();
  });

  let depth = 0; // of nested elements that the drag has entered
  zone.addEventListener("dragenter", (event) => {
    event.preventDefault();
    depth += 1;
    zone.classList.add("is-over");
  });
  zone.addEventListener("dragover", (event) => event.preventDefault());
  zone.addEventListener("dragleave", () => {
    depth -= 1;
    if (!depth) zone.classList.remove("is-over");
  });
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    depth = 0;
    zone.classList.remove("is-over");
    take(event.dataTransfer.files);
  });
  document.addEventListener("paste", (event) => take(event.clipboardData.files));
}

// A picture that misses the zone must not replace the page.
document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", (event) => event.preventDefault());
