// The filters' controls: a button for each value, with the number of comparisons that it would show.
(() => {
  "use strict";

  const { element, thousands, place } = imgdiff;

  /** @type {[Facet, string][]} */
  const TITLES = [
    ["outcome", "Outcome"],
    ["verdict", "Verdict"],
    ["metric", "Failing metric"],
    ["kind", "Kind of change"],
    ["size", "Size of change"],
    ["column", "Run"],
  ];
  const LARGEST_FIRST = ["large", "medium", "small", "tiny", "none", "unknown"];
  /** @type {Record<string, string>} */
  const WORDS = {
    large: "over 10 %",
    medium: "1 to 10 %",
    small: "0.1 to 1 %",
    tiny: "up to 0.1 %",
    none: "no pixel",
    unknown: "not measured",
  };

  /** @type {{ facet: Facet, value: string, button: HTMLButtonElement, count: HTMLElement }[]} */
  const buttons = [];
  /** @type {HTMLSelectElement} */
  let folders;
  /** Shown only while one change is selected. @type {HTMLElement} */
  let change;

  /** @param {Facet} facet @param {Map<string, number>} counts */
  function valuesOf(facet, counts) {
    if (facet === "column") return imgdiff.run.columns;
    if (facet === "size") return LARGEST_FIRST.filter((value) => counts.has(value));
    // Outcomes and verdicts in the order of the run: the worst first.
    return facet === "metric" || facet === "kind" ? [...counts.keys()].sort() : [...counts.keys()];
  }

  /** @param {Facet} facet @param {string} value */
  function wordsOf(facet, value) {
    if (facet === "kind") return imgdiff.rows.kindWords(value);
    return facet === "size" ? WORDS[value] : value;
  }

  /** @param {Facet} facet @param {string} value @param {string} text */
  function button(facet, value, text) {
    const count = element("span", { class: "count" });
    const made = element("button", { type: "button", class: "facet" }, element("bdi", {}, text), count);
    if (facet === "outcome" && value) made.classList.add(`is-${value}`);
    made.addEventListener("click", () => {
      if (value) imgdiff.filters.toggle(facet, value);
      else imgdiff.state.set({ outcome: "all" });
    });
    buttons.push({ facet, value, button: made, count });
    return made;
  }

  /** @param {Facet} facet @param {string} title @param {Map<string, number>} counts */
  function group(facet, title, counts) {
    const values = valuesOf(facet, counts);
    if (values.length < 2) return null; // nothing to choose between
    const heading = element("h2", { id: `facet-${facet}` }, title);
    const all = facet === "outcome" ? [button(facet, "", "all")] : [];
    const choices = values.map((value) => button(facet, value, wordsOf(facet, value)));
    return element(
      "div",
      { class: "facet-group", role: "group", "aria-labelledby": `facet-${facet}` },
      heading,
      element("div", { class: "values" }, ...choices, ...all),
    );
  }

  /** @param {Map<string, number>} counts */
  function folderChoice(counts) {
    folders = element("select", { id: "folder" }, element("option", { value: "" }, "all folders"));
    for (const folder of [...counts.keys()].sort()) folders.append(element("option", { value: folder }));
    folders.addEventListener("change", () => {
      const before = [...imgdiff.filters.chosen("folder")][0] ?? "";
      imgdiff.filters.toggle("folder", folders.value || before);
    });
    if (!counts.size) return null;
    return element(
      "div",
      { class: "facet-group" },
      element("label", { class: "heading", for: "folder" }, "Folder"),
      folders,
    );
  }

  function changeChoice() {
    const stop = element(
      "button",
      { type: "button", class: "facet", "aria-pressed": "true" },
      element("bdi", {}, "one change only"),
      element("span", { class: "count", "aria-hidden": "true" }, "✕"),
    );
    stop.addEventListener("click", () => imgdiff.state.set({ change: "" }));
    change = element(
      "div",
      { class: "facet-group", role: "group", "aria-labelledby": "facet-change" },
      element("h2", { id: "facet-change" }, "Same change"),
      stop,
    );
    return change;
  }

  /** @param {Map<Facet, Map<string, number>>} counts of the whole run: all values */
  function build(counts) {
    const none = new Map();
    place("filters").replaceChildren(changeChoice());
    for (const [facet, title] of TITLES) {
      const made = group(facet, title, counts.get(facet) ?? none);
      if (made) place("filters").append(made);
    }
    const made = folderChoice(counts.get("folder") ?? none);
    if (made) place("filters").append(made);
  }

  /** Every value of the run, independent of the URL. */
  function everyValue() {
    const { rows, columns } = imgdiff.run;
    /** @type {Map<Facet, Map<string, number>>} */
    const found = new Map(
      [...TITLES.map(([facet]) => facet), /** @type {Facet} */ ("folder")].map((facet) => [facet, new Map()]),
    );
    for (const row of rows) {
      for (const [facet, values] of imgdiff.filters.valuesOf(row)) {
        for (const value of values) found.get(facet)?.set(value, 1);
      }
    }
    for (const { row } of imgdiff.pieces.waiting()) {
      for (const [facet, values] of imgdiff.filters.valuesOf(row)) {
        for (const value of values) found.get(facet)?.set(value, 1);
      }
    }
    for (const column of columns) found.get("column")?.set(column, 1);
    return found;
  }

  /** @param {Map<Facet, Map<string, number>>} counts */
  function draw(counts) {
    if (!folders) build(everyValue());
    for (const { facet, value, button: made, count } of buttons) {
      const chosen = imgdiff.filters.chosen(facet);
      const tally = counts.get(facet) ?? new Map();
      const number = value ? (tally.get(value) ?? 0) : [...tally.values()].reduce((sum, each) => sum + each, 0);
      made.setAttribute("aria-pressed", String(value ? chosen.has(value) : chosen.size === 0));
      made.classList.toggle("is-idle", number === 0);
      count.textContent = thousands(number);
    }
    change.hidden = !imgdiff.filters.chosen("change").size;
    const filters = place("filters");
    filters.hidden = [...filters.children].every((child) => child instanceof HTMLElement && child.hidden);
    place("show-filters").hidden = filters.hidden;
    const tally = counts.get("folder") ?? new Map();
    folders.value = [...imgdiff.filters.chosen("folder")][0] ?? "";
    for (const option of folders.options) {
      if (option.value) option.textContent = `${option.value} (${thousands(tally.get(option.value) ?? 0)})`;
    }
  }

  imgdiff.facets = { draw };
})();
