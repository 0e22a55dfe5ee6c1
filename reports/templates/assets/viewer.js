// The viewer: shows a comparison over the list, moves to others, and connects its parts. The URL contains the open
// comparison, view and region, and the viewer follows the URL.
(() => {
  "use strict";

  const { element, place } = imgdiff;

  /** Other parts of the page stay usable while the viewer is open. */
  const BESIDE = new Set(["viewer", "decide-bar", "status"]);

  /** Number of the latest request to open a comparison: late answers to earlier ones are dropped. */
  let asked = 0;
  /** The open row, known before its details. */
  let current = -1;

  const indexOpen = () => {
    const anchor = imgdiff.state.get("open");
    return anchor ? imgdiff.list.indexOf(anchor) : -1;
  };

  /** Whether to show the glance: of a single comparison, unless the URL has another view. */
  const isGlanced = () => imgdiff.run.rows.length === 1 && imgdiff.run.rows[0].glance && location.hash.length < 2;

  /** The frame of the URL, or else the representative one. @param {Detail} detail */
  function frameOf({ frames, frame }) {
    const named = imgdiff.state.get("frame");
    return frames.find((one) => String(one.frame) === named) ?? frames.find((one) => one.frame === frame) ?? null;
  }

  /** @param {number} index @param {Detail} whole @returns {Subject} */
  function subjectOf(index, whole) {
    const frame = frameOf(whole);
    const detail = frame ? { ...whole, ...frame, frame: frame.frame } : whole;
    const figure = (/** @type {string} */ key) => detail.figures.find((one) => one.key === key) ?? null;
    const expected = figure("expected");
    const actual = figure("actual");
    const most = (/** @type {"width" | "height"} */ side) => Math.max(expected?.[side] ?? 0, actual?.[side] ?? 0) || 300;
    const [width, height] = detail.size ?? [most("width"), most("height")];
    return {
      index,
      row: imgdiff.run.rows[index],
      detail,
      expected,
      actual,
      mask: figure("mask"),
      heats: detail.figures.filter(({ key }) => key.endsWith("_heat")),
      matches: figure("orb_matches"),
      frame,
      width,
      height,
    };
  }

  /** Let the browser find image sizes that the report does not contain. @param {Detail} whole */
  async function measure(whole) {
    const { figures } = frameOf(whole) ?? whole;
    const unknown = figures.filter(({ key, width, height }) => key !== "thumb" && (width === null || height === null));
    await Promise.all(unknown.map(async (figure) => {
      const image = new Image();
      image.src = figure.href;
      await image.decode().catch(() => {}); // its pane reports an image that cannot be shown
      figure.width = image.naturalWidth || null;
      figure.height = image.naturalHeight || null;
    }));
  }

  /** @param {boolean} anew */
  function draw(anew) {
    const { subject, bar, glance, stage, tuning, views } = imgdiff.viewing;
    if (!subject) return;
    const view = views.shown(/** @type {ViewName} */ (imgdiff.state.get("view")), subject);
    imgdiff.viewing.view = view.name;
    bar.show(subject);
    glance.show(view.name === "glance" ? subject : null);
    stage.show(view.plan(subject), anew);
    tuning.show(view.name);
  }

  /** @param {Subject} subject */
  function announce({ row, index, frame }) {
    const shown = imgdiff.list.shown();
    const where = frame ? ` Showing ${frame.words}.` : "";
    imgdiff.keys.say(`${row.name}, ${row.verdict}, ${shown.indexOf(index) + 1} of ${shown.length}. ${row.line}.${where}`);
  }

  /** @param {number} index */
  async function show(index) {
    const turn = ++asked;
    const wasClosed = current < 0;
    current = index;
    if (wasClosed) uncover(imgdiff.run.rows[index].name);
    /** @type {Detail} */
    let detail;
    try {
      detail = await imgdiff.loader.details(index);
      await measure(detail);
    } catch (error) {
      if (turn === asked) fail(index, /** @type {Error} */ (error));
      return;
    }
    if (turn !== asked) return;
    const subject = subjectOf(index, detail);
    const { panel, regions } = imgdiff.viewing;
    imgdiff.viewing.subject = subject;
    panel.show(subject);
    draw(true);
    if (regions.selected >= 0) regions.jump(regions.selected);
    else announce(subject);
    if (wasClosed) imgdiff.viewing.bar.heading.focus({ preventScroll: true });
    preload(index);
  }

  /** @param {number} index @param {Error} error */
  function fail(index, error) {
    const { bar, panel, stage } = imgdiff.viewing;
    imgdiff.viewing.subject = null;
    imgdiff.viewing.glance.show(null);
    bar.heading.textContent = imgdiff.run.rows[index].name;
    panel.element.replaceChildren(element("p", { class: "verdict is-failed" }, error.message));
    stage.show({ width: 1, height: 1, compared: false, panes: [{ caption: "", layers: [], absent: error.message }] }, true);
    bar.heading.focus({ preventScroll: true });
    imgdiff.keys.say(error.message);
  }

  /** The comparison at a distance of `by` in the filtered and sorted list. @param {number} index @param {number} by */
  function neighbour(index, by) {
    const steps = imgdiff.list.steps();
    const at = steps.indexOf(index);
    if (at >= 0) return steps[at + by];
    // Steps skip members of a closed group: continue from the group.
    const shown = imgdiff.list.shown();
    const here = shown.indexOf(index);
    const beyond = steps.filter((step) => (by > 0 ? shown.indexOf(step) > here : shown.indexOf(step) < here));
    return by > 0 ? beyond[0] : beyond[beyond.length - 1];
  }

  /** Load the next comparison in advance. @param {number} index */
  async function preload(index) {
    const next = neighbour(index, 1);
    if (next === undefined) return;
    const detail = await imgdiff.loader.details(next).catch(() => null);
    for (const { key, href } of detail?.figures ?? []) {
      if (key === "expected" || key === "actual") new Image().src = href;
    }
  }

  /** Hide the previous comparison while the details are loaded. @param {string} name */
  function uncover(name) {
    const { bar, panel, stage } = imgdiff.viewing;
    bar.heading.textContent = name;
    panel.element.replaceChildren();
    stage.show({ width: 1, height: 1, compared: false, panes: [] }, true);
    place("viewer").hidden = false;
    document.documentElement.classList.add("is-viewing");
    for (const other of document.body.children) {
      if (other instanceof HTMLElement && !BESIDE.has(other.id) && !(other instanceof HTMLDialogElement)) other.inert = true;
    }
  }

  function cover() {
    const left = current;
    asked++;
    current = -1;
    imgdiff.viewing.subject = null;
    imgdiff.viewing.blink.stop();
    place("viewer").hidden = true;
    document.documentElement.classList.remove("is-viewing");
    for (const other of document.body.children) {
      if (other instanceof HTMLElement) other.inert = false;
    }
    imgdiff.list.reveal(left);
    /** @type {HTMLElement | null} */ (place("list").querySelector('[data-line][tabindex="0"]'))?.focus({ preventScroll: true });
  }

  function follow(/** @type {Set<string>} */ changed) {
    if (changed.has("open")) {
      const index = indexOpen();
      if (index >= 0 && index !== current) show(index);
      else if (index < 0 && current >= 0) cover();
    } else if (changed.has("frame") && current >= 0) {
      show(current);
    } else if (changed.has("view") || changed.has("aligned")) {
      draw(false);
    }
  }

  /** @type {Partial<Viewing>} */
  const parts = {
    subject: null,
    view: "side",
    openAt(index) {
      imgdiff.state.set({ open: imgdiff.run.rows[index].anchor, frame: "", region: "" }, current < 0);
    },
    step(by) {
      const next = neighbour(current, by);
      if (next !== undefined) {
        imgdiff.viewing.openAt(next);
        return;
      }
      const text = by > 0 ? "This is the last comparison" : "This is the first comparison";
      imgdiff.keys.say(text);
      imgdiff.viewing.stage.hint(text);
    },
    otherRun() {
      const { columns, rows } = imgdiff.run;
      const alike = columns.length > 1 && current >= 0 ? [...rows.keys()].filter((index) => rows[index].name === rows[current].name) : [];
      if (alike.length > 1) imgdiff.viewing.openAt(alike[(alike.indexOf(current) + 1) % alike.length]);
    },
    chooseFrame(frame) {
      imgdiff.state.set({ frame: String(frame), region: "" });
    },
    stepFrame(by) {
      const { subject, stage } = imgdiff.viewing;
      const frames = subject?.detail.frames ?? [];
      const next = subject?.frame ? frames[frames.indexOf(subject.frame) + by] : undefined;
      if (next) {
        imgdiff.viewing.chooseFrame(next.frame);
        return;
      }
      const text = !frames.length ? "This comparison has one frame" : by > 0 ? "This is the last frame that differs" : "This is the first frame that differs";
      imgdiff.keys.say(text);
      stage.hint(text);
    },
    align() {
      const { stage, subject, view, views } = imgdiff.viewing;
      if (!subject || !views.canPad(view, subject)) {
        stage.hint("Nothing to align in this view");
        imgdiff.keys.say("Nothing to align in this view");
        return;
      }
      const isOff = imgdiff.state.get("aligned") === "off";
      imgdiff.state.set({ aligned: isOff ? "" : "off" });
      imgdiff.keys.say(isOff ? "Aligned: both images are padded" : "Not aligned: both images start at the top left");
    },
    choose(name) {
      const { subject, views } = imgdiff.viewing;
      if (!subject) return;
      const before = imgdiff.state.get("view");
      imgdiff.state.set({ view: name === "side" ? "" : name });
      if (before === imgdiff.state.get("view")) draw(false); // a change within the view
      const view = views.shown(name, subject);
      const why = (views.all.find((one) => one.name === name) ?? view).lacks(subject);
      imgdiff.keys.say(why ? `${why}. Shown instead: ${view.title}` : view.title);
    },
  };
  imgdiff.viewing = /** @type {Viewing} */ (parts);

  imgdiff.viewer = {
    open: (index) => imgdiff.viewing.openAt(index),
    close: () => imgdiff.state.set({ open: "", frame: "", region: "" }),
    current: () => current,
    onOpen: () => {}, // viewer_panel.js
  };

  document.addEventListener("imgdiff:start", () => {
    const { bar, glance, minimap, panel, pixels, stage } = imgdiff.viewing;
    const viewer = place("viewer");
    viewer.setAttribute("role", "dialog");
    viewer.setAttribute("aria-labelledby", "viewer-name");
    viewer.setAttribute("aria-describedby", "viewer-verdict");
    stage.element.append(minimap.element);
    viewer.replaceChildren(bar.element, glance.element, stage.element, pixels.element, panel.element);
    imgdiff.state.onChange(follow);
    document.addEventListener("imgdiff:rows", () => {
      if (current < 0 && indexOpen() >= 0) show(indexOpen());
    });
    // After all scripts: the list knows its rows only then.
    queueMicrotask(() => {
      if (indexOpen() >= 0) show(indexOpen());
      else if (isGlanced()) imgdiff.state.set({ open: imgdiff.run.rows[0].anchor, view: "glance" });
    });
  });
})();
