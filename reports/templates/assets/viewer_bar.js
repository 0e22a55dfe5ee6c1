// The viewer's head: name, links to other comparisons, views, zoom and regions.
(() => {
  "use strict";

  const { counted, element } = imgdiff;

  /** @param {string} text @param {string} name what it does, with its key @param {string} keys @param {() => void} does */
  function button(text, name, keys, does) {
    const title = `${name} (${keys})`;
    const made = element("button", { type: "button", "aria-label": name, title, "aria-keyshortcuts": keys }, text);
    made.addEventListener("click", does);
    return made;
  }

  /** @param {string} name @param {Node[]} children */
  const group = (name, ...children) => element("div", { class: "tools", role: "group", "aria-label": name }, ...children);

  const heading = element("h2", { id: "viewer-name", tabindex: -1 });
  const badge = element("span", { class: "badge" });
  const position = element("span", { class: "position" });
  const percent = element("output", { class: "zoom-percent", "aria-label": "Zoom" });
  const regionCount = element("span", { class: "position" });
  const fallback = element("p", { class: "fallback", hidden: true });

  const frames = element("div", { class: "tools frames", role: "group", "aria-label": "Frame" });
  const runs = element("div", { class: "tools runs", role: "group", "aria-label": "Run" });
  /** @type {Map<ViewName, HTMLElement>} */
  const viewButtons = new Map();

  function viewTools() {
    imgdiff.viewing.views.all.forEach(({ name, title }, index) => {
      const key = String(index + 1);
      const made = element("button", { type: "button", "aria-keyshortcuts": key, "data-view": name }, title, element("kbd", { "aria-hidden": "true" }, key));
      made.addEventListener("click", () => imgdiff.viewing.choose(name));
      viewButtons.set(name, made);
    });
    return element("div", { class: "views", role: "group", "aria-label": "View" }, ...viewButtons.values());
  }

  function zoomTools() {
    const { camera } = imgdiff.viewing;
    return group(
      "Zoom",
      button("−", "Zoom out", "-", () => camera.step(false)),
      percent,
      button("+", "Zoom in", "+", () => camera.step(true)),
      button("Fit", "Fit", "0", () => camera.fit()),
      button("Width", "Fit the width", "w", () => camera.fitWidth()),
      button("1:1", "1:1, actual size", "z", () => camera.trueSize()),
    );
  }

  function regionTools() {
    const { regions } = imgdiff.viewing;
    const toggle = button("Outlines", "Outlines of the regions", "o", () => regions.toggle());
    toggle.id = "viewer-outlines";
    toggle.setAttribute("aria-pressed", String(regions.shown));
    return group(
      "Regions",
      button("‹", "Previous region", "p", () => regions.step(-1)),
      regionCount,
      button("›", "Next region", "n", () => regions.step(1)),
      toggle,
    );
  }

  /** Whether both images are padded; redrawn with each comparison and view. */
  const aligned = button("Aligned", "Aligned: matching parts at one place, both images padded", "l", () => imgdiff.viewing.align());
  const alignment = group("Alignment", aligned);

  /** @param {Subject} subject */
  function drawAlignment(subject) {
    const { view, views } = imgdiff.viewing;
    alignment.hidden = !views.canPad(view, subject);
    aligned.setAttribute("aria-pressed", String(imgdiff.state.get("aligned") !== "off"));
  }

  function head() {
    const { panel } = imgdiff.viewing;
    const details = button("Details", "Details", "i", () => panel.toggle());
    details.id = "viewer-details";
    details.setAttribute("aria-expanded", "true");
    const help = button("?", "Keys", "?", () => {
      const binding = imgdiff.keys.all().find(({ keys }) => keys.includes("?"));
      binding?.does(new KeyboardEvent("keydown", { key: "?" }));
    });
    help.id = "viewer-help";
    return element(
      "div",
      { class: "viewer-head" },
      button("← List", "Back to the list", "Escape", () => imgdiff.viewer.close()),
      heading,
      badge,
      runs,
      group(
        "Comparisons",
        button("‹", "Previous comparison", "k", () => imgdiff.viewing.step(-1)),
        position,
        button("›", "Next comparison", "j", () => imgdiff.viewing.step(1)),
      ),
      details,
      help,
    );
  }

  /** The same name in the other runs of a merged report. @param {Subject} subject */
  function drawRuns({ row }) {
    const { columns, rows } = imgdiff.run;
    const alike = columns.length > 1 ? [...rows.keys()].filter((index) => rows[index].name === row.name) : [];
    runs.hidden = alike.length < 2;
    runs.replaceChildren(...alike.map((index) => {
      const other = rows[index];
      const attributes = { class: `is-${other.outcome}`, "aria-pressed": String(other === row), title: other.line };
      const made = element("button", { type: "button", ...attributes }, columns[other.column] ?? "");
      made.addEventListener("click", () => imgdiff.viewing.openAt(index));
      return made;
    }));
  }

  /** The frames or pages that fail or warn; a list if there are many. @param {Subject} subject */
  function drawFrames({ detail, frame }) {
    frames.hidden = !frame;
    if (!frame) return;
    const { viewing } = imgdiff;
    const at = detail.frames.indexOf(frame);
    const options = detail.frames.map(({ frame: number, line }) => element("option", { value: number, title: line }, `Frame ${number}`));
    const select = /** @type {HTMLSelectElement} */ (element("select", { "aria-label": "Frame that differs, counted from 0" }, ...options));
    select.value = String(frame.frame);
    select.addEventListener("change", () => viewing.chooseFrame(Number(select.value)));
    const step = (/** @type {string} */ text, /** @type {string} */ name, /** @type {string} */ key, /** @type {number} */ by) => {
      const made = button(text, name, key, () => viewing.stepFrame(by));
      if (!detail.frames[at + by]) made.setAttribute("aria-disabled", "true");
      return made;
    };
    const focused = frames.contains(document.activeElement) ? [...frames.children].indexOf(/** @type {Element} */ (document.activeElement)) : -1;
    frames.replaceChildren(
      step("‹", "Previous frame that differs", "{", -1),
      select,
      step("›", "Next frame that differs", "}", 1),
      element("span", { class: "position" }, `${at + 1} of ${detail.frames.length}`),
    );
    /** @type {HTMLElement | undefined} */ (frames.children[focused])?.focus();
  }

  function drawZoom() {
    const { enlargement } = imgdiff.viewing.camera;
    const value = enlargement * 100;
    percent.textContent = `${value < 10 ? value.toFixed(1) : Math.round(value)} %`;
  }

  function drawRegions() {
    const { regions, subject } = imgdiff.viewing;
    const count = subject?.detail.regions.length ?? 0;
    regionCount.textContent = regions.selected < 0 ? counted(count, "region") : `${regions.selected + 1} of ${count}`;
  }

  /** @param {Subject} subject */
  function drawViews(subject) {
    const { view } = imgdiff.viewing;
    const chosen = /** @type {ViewName} */ (imgdiff.state.get("view") || "side");
    fallback.hidden = true;
    for (const { name, title, hint, lacks } of imgdiff.viewing.views.all) {
      const why = lacks(subject);
      const made = viewButtons.get(name);
      made?.setAttribute("aria-pressed", String(name === view));
      made?.setAttribute("aria-disabled", String(why !== ""));
      made?.setAttribute("title", why || hint);
      if (made && name === "glance") made.hidden = why !== ""; // most comparisons have no glance
      if (name === chosen) {
        fallback.hidden = !why;
        fallback.textContent = why && `${why}. Shown instead: ${imgdiff.viewing.views.shown(name, subject).title}.`;
      }
      if (why) made?.setAttribute("aria-label", `${title}, not available: ${why}`);
      else made?.removeAttribute("aria-label");
    }
    viewButtons.get(view)?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  imgdiff.viewing.bar = {
    element: element("header", { class: "viewer-bar" }),
    heading,
    show(subject) {
      const { row, index } = subject;
      heading.textContent = row.name;
      heading.title = row.name;
      badge.textContent = row.verdict;
      badge.className = `badge is-${row.outcome}`;
      const shown = imgdiff.list.shown();
      const at = shown.indexOf(index);
      position.textContent = at < 0 ? "–" : `${at + 1} of ${shown.length}`;
      drawRuns(subject);
      drawFrames(subject);
      drawViews(subject);
      drawAlignment(subject);
      drawRegions();
    },
  };

  document.addEventListener("imgdiff:start", () => {
    const { bar, camera, tuning } = imgdiff.viewing;
    const tools = element("div", { class: "viewer-tools" }, viewTools(), zoomTools());
    // This row always exists, so that the images do not move when the view changes.
    const settings = element("div", { class: "viewer-settings" }, frames, tuning.element, alignment, regionTools());
    bar.element.append(head(), tools, settings, fallback);
    camera.onChange(drawZoom);
    imgdiff.state.onChange((changed) => {
      if (changed.has("region")) drawRegions();
    });
  });
})();
