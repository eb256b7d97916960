// Dropping, pasting and previewing pictures. The file input itself uploads, through htmx, when its files change.

for (const zone of document.querySelectorAll("[data-dropzone]")) {
  const input = zone.querySelector("input[data-upload]");
  const progress = zone.querySelector("progress");
  const stage = zone.querySelector("#stage");
  let preview = "";

  function take(files) {
    if (!files.length) return;
    const chosen = new DataTransfer();
    for (const file of input.multiple ? files : [files[0]]) chosen.items.add(file);
    input.files = chosen.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  }

  function showPreview() {
    if (!stage || !input.files.length) return;
    const picture = new Image();
    picture.className = "stage-picture";
    picture.alt = `The chosen picture, ${input.files[0].name}`;
    URL.revokeObjectURL(preview);
    preview = URL.createObjectURL(input.files[0]);
    // Formats that this browser cannot show wait for the server's own picture.
    picture.addEventListener("load", () => stage.replaceChildren(picture));
    picture.src = preview;
  }

  function done() {
    progress.hidden = true;
    zone.classList.remove("is-busy");
    // Kept by now, or refused: either way the form must not send the file a second time.
    input.value = "";
  }

  input.addEventListener("change", showPreview);
  input.addEventListener("htmx:xhr:progress", (event) => {
    if (event.detail.lengthComputable) progress.value = event.detail.loaded / event.detail.total;
  });
  input.addEventListener("htmx:beforeRequest", () => {
    progress.value = 0;
    progress.hidden = false;
    zone.classList.add("is-busy");
  });
  input.addEventListener("htmx:afterRequest", done);

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
