// The list: its lines, the keyboard's cursor, and the actions of clicks and keys.
(() => {
  "use strict";

  /** Parts of the URL; "open" belongs to the viewer, and the cursor follows it. */
  const ARRANGING = ["outcome", "verdict", "metric", "kind", "size", "column", "folder", "change", "search", "sort", "group"];

  /** @type {Item[]} */
  let items = [];
  /** Milliseconds without a key before a search loads files. */
  const TYPING = 250;
  /** Below the list: loads more. @type {HTMLButtonElement} */
  let rest;
  /** The line of the cursor; -1 in an empty list. */
  let cursor = -1;
  /** @type {HTMLElement} */
  let grid;
  /** @type {VirtualList} */
  let virtual;
  /** In pixels. */
  const heights = { group: 48, entry: 84 };
  /** @type {((indices: number[], place: HTMLElement) => void)[]} */
  const fills = [];

  /** @param {Item} item */
  const keyOf = (item) => (item.kind === "group" ? `group ${item.key}` : `entry ${item.entry.rows[0]}`);
  /** @param {Item} item */
  const rowsOf = (item) => (item.kind === "group" ? item.rows : item.entry.fitting);

  /** Read the heights of lines from the style: they depend on the width of the page and the font size. */
  function measureHeights() {
    const style = getComputedStyle(grid);
    const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
    const before = { ...heights };
    heights.group = parseFloat(style.getPropertyValue("--group-height")) * rem;
    heights.entry = parseFloat(style.getPropertyValue("--row-height")) * rem;
    return heights.group !== before.group || heights.entry !== before.entry;
  }

  /** @param {number} line */
  function draw(line) {
    const item = items[line];
    const drawn = item.kind === "group" ? imgdiff.rows.group(item, fills) : imgdiff.rows.entry(item);
    drawn.setAttribute("aria-rowindex", String(line + 1));
    drawn.tabIndex = line === cursor ? 0 : -1;
    drawn.dataset.line = String(line);
    return drawn;
  }

  /** The cursor stays on its item if lines change. */
  function arrange() {
    const kept = cursor >= 0 ? keyOf(items[cursor]) : "";
    const focused = grid.contains(document.activeElement);
    const { fits, counts, waiting } = imgdiff.filters.apply();
    items = imgdiff.groups.arrange(fits);
    const found = items.findIndex((item) => keyOf(item) === kept);
    cursor = items.length ? Math.max(0, found) : -1;
    imgdiff.facets.draw(counts);
    grid.setAttribute("aria-rowcount", String(items.length));
    grid.hidden = !items.length;
    const searching = drawRest(waiting);
    if (imgdiff.run.rows.length) imgdiff.place("nothing-found").hidden = items.length > 0 || waiting > 0 || searching;
    virtual.layout(items.length);
    if (focused) focusCursor();
    document.dispatchEvent(new Event("imgdiff:arranged"));
  }

  /**
   * The comparisons that are not in the list, and the button that loads them.
   *
   * @param {number} waiting how many comparisons fit that are not loaded
   * @returns {boolean} whether there are files that the search has not looked through
   */
  function drawRest(waiting) {
    const words = imgdiff.filters.searched();
    const unsearched = words.length ? imgdiff.pieces.unsearched(words) : 0;
    rest.hidden = !waiting && !unsearched;
    rest.textContent = unsearched
      ? `Search ${imgdiff.counted(unsearched, "more file")} of passed comparisons`
      : `Load more of the ${imgdiff.thousands(waiting)} passed comparisons that are not listed yet`;
    return unsearched > 0;
  }

  /** @param {() => Promise<unknown>} loads */
  function loading(loads) {
    loads().catch((/** @type {Error} */ error) => {
      rest.hidden = false;
      rest.textContent = error.message;
    });
  }

  function loadRest() {
    const words = imgdiff.filters.searched();
    loading(() => (words.length ? imgdiff.pieces.search(words) : imgdiff.pieces.more()));
  }

  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let typing;
  function searchPieces() {
    const words = imgdiff.filters.searched();
    clearTimeout(typing);
    if (imgdiff.pieces.left()) typing = setTimeout(() => loading(() => imgdiff.pieces.search(words)), TYPING);
  }

  /** A link may lead to a comparison that is not loaded yet. */
  function findOpen() {
    const anchor = imgdiff.state.get("open");
    if (!anchor || indexOf(anchor) >= 0 || !imgdiff.pieces.left()) return;
    loading(() => imgdiff.pieces.find((_, __, its) => its === anchor, 1));
  }

  function refresh() {
    const focused = grid.contains(document.activeElement);
    virtual.layout(items.length);
    if (focused) focusCursor();
  }

  function focusCursor() {
    virtual.elementOf(cursor)?.focus({ preventScroll: true });
  }

  /** @param {number} line */
  function setCursor(line) {
    const before = virtual.elementOf(cursor);
    if (before) before.tabIndex = -1;
    cursor = line;
    const now = virtual.elementOf(cursor);
    if (now) now.tabIndex = 0;
  }

  /** @param {number} line */
  function moveTo(line) {
    if (!items.length) return;
    setCursor(Math.min(items.length - 1, Math.max(0, line)));
    virtual.reveal(cursor);
    focusCursor();
  }

  /** The first key only shows the cursor. @param {number} step */
  function move(step) {
    moveTo(grid.contains(document.activeElement) ? cursor + step : cursor);
  }

  /** The line of a row, or of its closed group. @param {number} index */
  function lineOf(index) {
    const line = items.findIndex((item) => item.kind === "entry" && item.entry.rows.includes(index));
    return line >= 0 ? line : items.findIndex((item) => rowsOf(item).includes(index));
  }

  /** @param {number} index */
  function reveal(index) {
    let line = lineOf(index);
    const item = items[line];
    if (item?.kind === "group" && !item.open) {
      imgdiff.groups.fold(item.key, true);
      line = lineOf(index);
    }
    if (line < 0) return;
    setCursor(line);
    virtual.reveal(line);
  }

  /** @param {GroupItem} group */
  function toggleGroup(group) {
    imgdiff.groups.fold(group.key, !group.open);
    imgdiff.keys.say(`${group.title}: ${group.open ? "folded" : "unfolded"}`);
  }

  function activate() {
    const item = items[cursor];
    if (item?.kind === "group") toggleGroup(item);
    else if (item) imgdiff.viewer?.open(item.entry.fitting[0]);
  }

  /**
   * A line can have several targets: the merged runs, or other comparisons with the same change.
   *
   * @param {1 | -1} step
   * @returns {boolean} whether there was
   */
  function stepWithin(step) {
    const line = virtual.elementOf(cursor);
    if (!line || items[cursor].kind === "group") return false;
    const stops = [line, ...line.querySelectorAll("a.run, button.alike")];
    const at = stops.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    const next = stops[at + step];
    if (at < 0 || !(next instanceof HTMLElement)) return false;
    next.focus({ preventScroll: true });
    return true;
  }

  function stepLeft() {
    if (stepWithin(-1)) return;
    const item = items[cursor];
    if (item?.kind === "group" && item.open) toggleGroup(item);
    else if (item?.kind === "entry" && item.group !== null)
      moveTo(items.findIndex((other) => other.kind === "group" && other.key === item.group));
  }

  function stepRight() {
    if (stepWithin(1)) return;
    const item = items[cursor];
    if (item?.kind !== "group") return;
    if (item.open) move(1);
    else toggleGroup(item);
  }

  /** @param {MouseEvent} event */
  function onClick(event) {
    const target = /** @type {HTMLElement} */ (event.target);
    const line = target.closest("[data-line]");
    if (!(line instanceof HTMLElement)) return;
    const item = items[Number(line.dataset.line)];
    const change = target.closest("[data-change]");
    const link = target.closest("[data-open]");
    if (link && (event.ctrlKey || event.metaKey || event.shiftKey)) return; // the browser opens a tab or a window
    if (!link && target.closest("button, a, input")) {
      if (change instanceof HTMLElement) imgdiff.filters.toggle("change", change.dataset.change ?? "");
      return;
    }
    event.preventDefault();
    if (getSelection()?.toString()) return; // text was selected, not a row clicked
    setCursor(Number(line.dataset.line));
    if (item.kind === "group") toggleGroup(item);
    else imgdiff.viewer?.open(link instanceof HTMLElement ? Number(link.dataset.open) : item.entry.fitting[0]);
  }

  /** @param {Set<string>} changed */
  function onStateChange(changed) {
    if (ARRANGING.some((key) => changed.has(key))) {
      arrange();
      toTop();
    } else if (changed.has("fold") || changed.has("folded")) arrange();
    if (changed.has("search")) searchPieces();
    if (changed.has("open")) {
      followViewer();
      findOpen();
    }
  }

  /** With other lines, scroll to the first one unless it is visible. */
  function toTop() {
    const over = imgdiff.place("list").getBoundingClientRect().top - imgdiff.place("toolbar").offsetHeight;
    if (over < 0) window.scrollBy({ top: over, behavior: "instant" });
  }

  let open = "";
  function followViewer() {
    const before = open;
    open = imgdiff.state.get("open");
    const index = indexOf(open || before);
    if (index < 0) return;
    const line = lineOf(index);
    if (line >= 0) setCursor(line);
    if (open) return;
    virtual.reveal(cursor);
    focusCursor();
  }

  /** @param {string} anchor */
  const indexOf = (anchor) => imgdiff.run.rows.findIndex((row) => row.anchor === anchor);

  function shown() {
    return items.flatMap((item) => (item.kind === "group" ? item.rows : item.group === null ? item.entry.fitting : []));
  }

  function steps() {
    return items.flatMap((item) => {
      if (item.kind === "entry") return item.entry.fitting;
      return item.open || item.sameChange ? [] : item.rows;
    });
  }

  /** Empty while the focus is elsewhere: a decision needs a visible selection. */
  function current() {
    const focused = document.activeElement;
    if (cursor < 0 || !grid.contains(focused)) return [];
    const run = focused?.closest("a.run");
    return run instanceof HTMLElement ? [Number(run.dataset.open)] : rowsOf(items[cursor]);
  }

  function bindKeys() {
    /** @type {[string[], string, () => void][]} */
    const bindings = [
      [["j", "n", "ArrowDown"], "Next line", () => move(1)],
      [["k", "p", "ArrowUp"], "Previous line", () => move(-1)],
      [["Enter", "o"], "Open the comparison; fold or unfold a group", activate],
      [["ArrowRight"], "Unfold the group; go to the next item in the line", stepRight],
      [["ArrowLeft"], "Fold the group; go back in the line, then to the heading", stepLeft],
      [["e"], "Unfold or fold all groups", () => imgdiff.groups.foldAll(items)],
      [["PageDown"], "One screen down", () => move(virtual.page())],
      [["PageUp"], "One screen up", () => move(-virtual.page())],
      [["Home"], "First line", () => moveTo(0)],
      [["End"], "Last line", () => moveTo(items.length - 1)],
    ];
    imgdiff.keys.bind(bindings.map(([keys, says, does]) => ({ keys, says, scope: "list", does })));
  }

  function start() {
    const { element, place } = imgdiff;
    grid = element("div", { id: "comparisons", role: "treegrid", "aria-label": "Comparisons" });
    grid.classList.toggle("has-runs", imgdiff.run.columns.length > 0);
    rest = element("button", { type: "button", id: "load-more", hidden: true });
    rest.addEventListener("click", loadRest);
    place("list").append(grid, rest);
    virtual = imgdiff.virtual(grid, {
      heightOf: (line) => heights[items[line].kind],
      draw,
      pinned: () => (grid.contains(document.activeElement) ? cursor : -1),
    });
    measureHeights();
    window.addEventListener("resize", () => {
      if (measureHeights()) refresh();
    });
    grid.addEventListener("click", onClick);
    grid.addEventListener("focusin", (event) => {
      const line = /** @type {HTMLElement} */ (event.target).closest("[data-line]");
      if (line instanceof HTMLElement) setCursor(Number(line.dataset.line));
    });
    bindKeys();
    imgdiff.state.onChange(onStateChange);
    imgdiff.decide?.onChange(refresh);
    open = imgdiff.state.get("open");
    document.addEventListener("imgdiff:rows", arrange);
    arrange();
    if (imgdiff.filters.searched().length) searchPieces();
    findOpen();
  }

  document.addEventListener("imgdiff:start", start);

  imgdiff.list = {
    shown,
    steps,
    refresh,
    reveal,
    indexOf,
    current,
    onGroup(fill) {
      fills.push(fill);
      if (grid) refresh();
    },
  };
})();
