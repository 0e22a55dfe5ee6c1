// Draws one line of the list: a comparison, or the heading of a group.
(() => {
  "use strict";

  const { element, thousands, counted } = imgdiff;

  /** @type {Record<Verdict, string>} */
  const verdicts = {
    broken: "Error",
    missing: "No expected image",
    unmatched: "No actual image",
    resized: "Sizes differ",
    different: "Images differ",
    match: "Images match",
  };

  /** @type {Record<string, string>} */
  const KINDS = { text: "text changed", content: "content changed", rendering: "rendering only" };
  /** @param {string} kind */
  const kindWords = (kind) => KINDS[kind] ?? kind;

  /** In few digits; 0 and 100 only if exact. @param {number} share */
  function percent(share) {
    const hundredths = share * 100;
    if (share > 0 && hundredths < 0.01) return "< 0.01\u00a0%";
    if (share < 1 && hundredths > 99.9) return "> 99.9\u00a0%";
    return `${Number(hundredths.toPrecision(hundredths < 10 ? 2 : 3))}\u00a0%`;
  }

  /** The width of a bar that shows both 0.01 % and 100 %. @param {number} share */
  const barWidth = (share) => (share > 0 ? Math.min(1, Math.max(0.04, 1 + Math.log10(share) / 4)) : 0);

  /** @param {Row} row */
  function thumbnail(row) {
    if (!row.thumb) return element("span", { class: "thumb is-empty", "aria-hidden": "true" });
    const picture = element("img", {
      loading: "lazy",
      decoding: "async",
      width: 104,
      height: 64,
      alt: "",
      src: row.thumb,
    });
    picture.addEventListener("load", () =>
      picture.classList.toggle("is-small", picture.naturalWidth * 2 <= picture.width),
    );
    return element("span", { class: "thumb" }, picture);
  }

  /** @param {Row} row @param {number} index */
  function nameOf(row, index) {
    // A link, so that it can be copied, or opened in another tab; the row itself has the focus.
    const link = element(
      "a",
      { class: "name", href: imgdiff.state.link({ open: row.anchor }), tabindex: -1, title: row.name },
      element("bdi", {}, row.name),
    );
    link.dataset.open = String(index);
    return link;
  }

  /** @param {Row} row */
  function measure(row) {
    if (row.share === null || (row.outcome === "passed" && row.share === 0))
      return element("span", { role: "gridcell", class: "measure" });
    const bar = element("span", { class: "bar", "aria-hidden": "true" }, element("span", {}));
    /** @type {HTMLElement} */ (bar.firstElementChild).style.width = `${barWidth(row.share) * 100}%`;
    const regions = row.regions ? element("span", { class: "regions" }, counted(row.regions, "region")) : null;
    return element(
      "span",
      { role: "gridcell", class: "measure" },
      element("span", { class: "share" }, percent(row.share)),
      bar,
      regions,
    );
  }

  /** @param {Row} row */
  function sameChange(row) {
    const change = imgdiff.run.changes.find(({ id }) => id === row.change);
    if (!change || imgdiff.groups.by() === "change" || imgdiff.filters.chosen("change").size) return null;
    const says = `Show all ${thousands(change.size)} comparisons with the same change`;
    const button = element(
      "button",
      { type: "button", class: "alike", tabindex: -1, title: says },
      `${thousands(change.size)} similar`,
    );
    button.dataset.change = change.id;
    return button;
  }

  /** @param {string} kind @param {string} sign @param {string} word @param {string} title */
  function mark(kind, sign, word, title) {
    return element(
      "span",
      { class: `mark is-${kind}`, title },
      element("span", { "aria-hidden": "true" }, sign),
      element("span", { class: "word" }, word),
    );
  }

  /** @param {number} index */
  function marks(index) {
    const { decision, comment } = imgdiff.decide?.of(index) ?? { decision: "none", comment: "" };
    const found = [];
    if (decision === "accept") found.push(mark("accept", "✓", "accepted", "accepted"));
    if (decision === "alternative") found.push(mark("accept", "✓", "alternative", "accepted as an alternative"));
    if (decision === "reject") found.push(mark("reject", "✗", "rejected", "rejected"));
    if (comment) found.push(mark("comment", "✎", "commented", comment));
    return found;
  }

  /** @param {Row} row */
  function badge(row) {
    return element("span", { class: "badge" }, row.outcome === "warned" && row.verdict === "match" ? "warning" : row.verdict);
  }

  /** @param {string} label @param {number} index @param {boolean} fits */
  function run(label, index, fits) {
    const row = imgdiff.run.rows[index];
    const link = element(
      "a",
      {
        class: `run is-${row.outcome}${fits ? "" : " is-filtered"}`,
        href: imgdiff.state.link({ open: row.anchor }),
        tabindex: -1,
        title: row.line,
      },
      element("span", { class: "label" }, label),
      element("span", { class: "verdicts" }, badge(row), ...marks(index)),
    );
    link.dataset.open = String(index);
    return link;
  }

  /** @param {string} label */
  function absentRun(label) {
    return element(
      "span",
      { class: "run is-absent" },
      element("span", { class: "label" }, label),
      element("span", { class: "small" }, "not compared"),
    );
  }

  /** One cell for each of the merged runs, also if it did not compare this name. @param {Entry} entry */
  function runs(entry) {
    const { rows, columns } = imgdiff.run;
    const places = columns.map((label, column) => {
      const index = entry.rows.find((candidate) => rows[candidate].column === column);
      return index === undefined ? absentRun(label) : run(label, index, entry.fitting.includes(index));
    });
    return element("span", { role: "gridcell", class: "runs" }, ...places);
  }

  /** @param {EntryItem} item */
  function entry(item) {
    const index = item.entry.fitting[0];
    const row = imgdiff.run.rows[index];
    const merged = imgdiff.run.columns.length > 0;
    const drawn = element("div", {
      role: "row",
      class: `row is-${row.outcome}${merged ? " is-merged" : ""}${item.standsForAll ? " is-stack" : ""}`,
      "aria-level": item.group === null ? 1 : 2,
      "aria-posinset": item.position,
      "aria-setsize": item.setSize,
    });
    drawn.append(
      element(
        "span",
        { role: "gridcell", class: "about" },
        thumbnail(row),
        element(
          "span",
          { class: "words" },
          nameOf(row, index),
          element("span", { class: "line", title: row.line }, row.line),
        ),
      ),
    );
    if (merged) drawn.append(runs(item.entry));
    else {
      drawn.append(
        measure(row),
        element("span", { role: "gridcell", class: "state" }, ...marks(index), badge(row), sameChange(row)),
      );
    }
    return drawn;
  }

  /** Only for groups of several. @param {number[]} indices */
  function outcomes(indices) {
    const tally = { failed: 0, warned: 0, passed: 0 };
    for (const index of indices) tally[imgdiff.run.rows[index].outcome] += 1;
    const found = Object.entries(tally).filter(([, count]) => count);
    if (found.length < 2) return [];
    return found.map(([outcome, count]) =>
      element("span", { class: `tally is-${outcome}` }, `${thousands(count)} ${outcome}`),
    );
  }

  /** @param {GroupItem} item */
  function sameChangeTitle(item) {
    const size = imgdiff.run.changes.find(({ id }) => id === item.key)?.size ?? 0;
    const shown = item.rows.length;
    const part = shown < size ? `${thousands(shown)} of ` : "";
    const all = Math.max(shown, size);
    return [
      `Same change in ${part}${thousands(all)}`,
      element("span", { class: "noun" }, all === 1 ? " comparison" : " comparisons"),
    ];
  }

  /** @type {Imgdiff["rows"]["group"]} */
  function group(item, fills) {
    const count = item.rows.length;
    const drawn = element("div", {
      role: "row",
      class: `group${item.sameChange ? " is-same-change" : ""}`,
      "aria-level": 1,
      "aria-expanded": item.open ? "true" : "false",
      "aria-posinset": item.position,
      "aria-setsize": item.setSize,
    });
    drawn.dataset.group = item.key;
    const title = item.sameChange ? sameChangeTitle(item) : [item.title];
    const rest = count - 1;
    const hint =
      item.sameChange && rest > 0
        ? element("span", { class: "hint" }, item.open ? "show one" : `show the other ${thousands(rest)}`)
        : null;
    const actions = element("span", { class: "actions" });
    for (const fill of fills) {
      const place = element("span", {});
      fill(item.rows, place);
      actions.append(place);
    }
    drawn.append(
      element(
        "span",
        { role: "gridcell", class: "about" },
        element("span", { class: "arrow", "aria-hidden": "true" }),
        element("span", { class: "title" }, element("bdi", {}, ...title)),
        item.sameChange ? null : element("span", { class: "count" }, thousands(count)),
        ...outcomes(item.rows),
        hint,
      ),
    );
    drawn.append(element("span", { role: "gridcell", class: "acts" }, actions));
    return drawn;
  }

  imgdiff.rows = { entry, group, verdicts, kindWords };
})();
