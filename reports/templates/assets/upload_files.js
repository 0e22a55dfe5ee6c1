// The two sides of the upload page: images and folders chosen, dropped or pasted, and shown before they are sent.
(() => {
  "use strict";

  const { element, place, counted } = imgdiff;
  const PREVIEWS = 12;
  const PICTURE = /\.(png|apng|jpe?g|jpe|jfif|jif|pjp|pjpeg|mpo|webp|gif|bmp|dib|tiff?|avifs?)$/i;

  /** @type {UploadSide[]} */
  const SIDES = ["expected", "actual"];
  /** @type {UploadPart["chosen"]} */
  const chosen = { expected: new Map(), actual: new Map() };
  /** @type {(() => void)[]} */
  const listeners = [];

  /**
   * Replace the images of a side.
   *
   * @param {UploadSide} side
   * @param {Map<string, File>} files by name
   */
  function take(side, files) {
    const several = files.size > 1;
    // From a folder only images, as it may contain other files; a single file is always used.
    chosen[side] = new Map([...files].filter(([name]) => !several || PICTURE.test(name)));
    draw(side);
    listeners.forEach((listener) => listener());
  }

  /** @param {UploadSide} side */
  function words(side) {
    const files = chosen[side];
    if (!files.size) return "nothing selected";
    return counted(files.size, "image");
  }

  /** @param {UploadSide} side */
  function draw(side) {
    const box = place(`${side}-preview`);
    for (const image of box.querySelectorAll("img")) URL.revokeObjectURL(image.src);
    const files = [...chosen[side]];
    box.classList.toggle("is-single", files.length === 1);
    box.replaceChildren(...files.slice(0, PREVIEWS).map(([name, file]) => preview(name, file)));
    if (files.length > PREVIEWS) box.append(element("p", { class: "small" }, `and ${files.length - PREVIEWS} more`));
    place(`${side}-words`).textContent = words(side);
    place(`${side}-clear`).hidden = !files.length;
    place(`${side}-hint`).hidden = files.length > 0;
  }

  /** @param {string} name @param {File} file */
  function preview(name, file) {
    const image = element("img", { alt: "", src: URL.createObjectURL(file) });
    image.addEventListener("error", () => image.remove()); // for example TIFF, which browsers do not show
    return element("figure", {}, image, element("figcaption", {}, element("bdi", {}, name)));
  }

  /**
   * The names of files selected together, relative to their common folder if there is one.
   *
   * @param {Iterable<File>} files
   */
  function named(files) {
    const all = [...files].map((file) => /** @type {const} */ ([file.webkitRelativePath || file.name, file]));
    return new Map(withoutCommonFolder(all));
  }

  /**
   * @template T
   * @param {(readonly [string, T])[]} entries
   * @returns {(readonly [string, T])[]}
   */
  function withoutCommonFolder(entries) {
    const first = entries[0]?.[0].split("/")[0];
    if (!entries.every(([name]) => name.startsWith(`${first}/`))) return entries;
    return entries.map(([name, value]) => [name.slice(first.length + 1), value]);
  }

  /**
   * The dropped files, including those in folders.
   *
   * @param {DataTransfer} data
   */
  async function dropped(data) {
    // All entries before the first await: the browser drops them afterwards.
    const entries = [...data.items].map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
    const found = (await Promise.all(entries.map((entry) => below(entry)))).flat();
    return found.length ? new Map(withoutCommonFolder(found)) : named(data.files);
  }

  /**
   * @param {FileSystemEntry} entry
   * @returns {Promise<(readonly [string, File])[]>}
   */
  async function below(entry) {
    if (entry.isFile) {
      const file = await new Promise((resolve, reject) => /** @type {FileSystemFileEntry} */ (entry).file(resolve, reject));
      return [[entry.fullPath.slice(1), file]];
    }
    const reader = /** @type {FileSystemDirectoryEntry} */ (entry).createReader();
    const found = [];
    for (;;) {
      /** @type {FileSystemEntry[]} */
      const batch = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
      if (!batch.length) return found;
      for (const inner of batch) found.push(...(await below(inner)));
    }
  }

  /** @param {UploadSide} side */
  function listen(side) {
    const box = place(`${side}-drop`);
    for (const kind of ["files", "folder"]) {
      const input = /** @type {HTMLInputElement} */ (place(`${side}-${kind}`));
      place(`${side}-choose-${kind}`).addEventListener("click", () => input.click());
      input.addEventListener("change", () => {
        if (input.files?.length) take(side, named(input.files));
        input.value = ""; // so that the same file can be selected again
      });
    }
    place(`${side}-clear`).addEventListener("click", () => take(side, new Map()));
    box.addEventListener("dragover", (event) => {
      event.preventDefault();
      box.classList.add("is-over");
    });
    box.addEventListener("dragleave", (event) => {
      const to = /** @type {Node | null} */ (event.relatedTarget);
      if (!box.contains(to)) box.classList.remove("is-over");
    });
    box.addEventListener("drop", async (event) => {
      event.preventDefault();
      box.classList.remove("is-over");
      if (event.dataTransfer) take(side, await dropped(event.dataTransfer));
    });
  }

  SIDES.forEach(listen);
  // An image that is dropped elsewhere would replace the page.
  for (const name of ["dragover", "drop"]) document.addEventListener(name, (event) => event.preventDefault());
  document.addEventListener("paste", (event) => {
    const files = event.clipboardData?.files;
    if (files?.length) take(chosen.expected.size ? "actual" : "expected", named(files));
  });
  imgdiff.upload = { chosen, onChange: (listener) => listeners.push(listener) };
})();
