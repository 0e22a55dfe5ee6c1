// The filters: eight facets and a search, all stored in the URL.
(() => {
  "use strict";

  /** @type {Facet[]} */
  const FACETS = ["outcome", "verdict", "metric", "kind", "size", "column", "folder", "change"];
  /** Without a selection, if something needs attention, passed comparisons are hidden; "all" shows them. */
  const EVERYTHING = "all";

  /** The upper end of each size of change, as a share of the image. @type {[string, number][]} */
  const SIZES = [
    ["none", 0],
    ["tiny", 0.001],
    ["small", 0.01],
    ["medium", 0.1],
    ["large", Infinity],
  ];

  /** The text that the search uses, created once: a row's name, test and elements. @type {string[]} */
  let texts = [];
  /** The values that each row has in each facet. @type {Map<Facet, string[][]>} */
  let valuesOf = new Map();

  /** @param {Row} row */
  function sizeOf(row) {
    const { share } = row;
    if (share === null) return "unknown";
    return SIZES.find(([, most]) => share <= most)?.[0] ?? "large";
  }

  /** "shop/basket/full.png" is in "shop" and in "shop/basket". @param {Row} row */
  function foldersOf(row) {
    const parts = row.name.split("::")[0].split("/").slice(0, -1);
    return parts.map((_, depth) => parts.slice(0, depth + 1).join("/"));
  }

  /** @type {Record<Facet, (row: Row) => string[]>} */
  const READS = {
    outcome: (row) => [row.outcome],
    verdict: (row) => [row.verdict],
    metric: (row) => row.fails,
    kind: (row) => row.kinds,
    size: (row) => [sizeOf(row)],
    column: (row) => (row.column < 0 ? [] : [imgdiff.run.columns[row.column]]),
    folder: foldersOf,
    change: (row) => (row.change === null ? [] : [row.change]),
  };

  /** The worst comparison comes first. */
  const attention = () => imgdiff.run.rows.length > 0 && imgdiff.run.rows[0].outcome !== "passed";

  /** @param {Facet} facet */
  function chosen(facet) {
    const text = imgdiff.state.get(facet);
    if (facet === "outcome" && text === EVERYTHING) return new Set();
    if (facet === "outcome" && !text && attention()) return new Set(["failed", "warned"]);
    return new Set(imgdiff.state.getAll(facet));
  }

  /** @param {Facet} facet @param {string} value */
  function toggle(facet, value) {
    const values = chosen(facet);
    const single = facet === "folder" || facet === "change";
    if (!values.delete(value)) {
      if (single) values.clear();
      if (value) values.add(value);
    }
    const none = facet === "outcome" ? EVERYTHING : "";
    imgdiff.state.set({ [facet]: imgdiff.state.joined(values) || none });
  }

  function clear() {
    imgdiff.state.set({ ...Object.fromEntries(FACETS.map((facet) => [facet, ""])), search: "" });
  }

  const active = () => [...FACETS, "search"].some((key) => imgdiff.state.get(key) !== "");

  function searched() {
    return imgdiff.state.get("search").toLowerCase().split(/\s+/).filter(Boolean);
  }

  /** Add the rows that were loaded since. */
  function extend() {
    const { rows } = imgdiff.run;
    for (let index = texts.length; index < rows.length; index++) {
      const row = rows[index];
      texts.push([row.name, row.test, ...row.elements].join(" ").toLowerCase());
      for (const facet of FACETS) valuesOf.get(facet)?.push(READS[facet](row));
    }
  }

  /**
   * A row counts for a value of a facet if it passes all other facets. So do comparisons in pieces, unless there is a
   * search: then those that it has found count.
   */
  function apply() {
    extend();
    const wanted = FACETS.map(chosen);
    const values = FACETS.map((facet) => /** @type {string[][]} */ (valuesOf.get(facet)));
    const tallies = FACETS.map(() => /** @type {Map<string, number>} */ (new Map()));
    const words = searched();
    /** @param {number} facet @param {string[]} found @param {number} times */
    const count = (facet, found, times) => {
      for (const value of found) tallies[facet].set(value, (tallies[facet].get(value) ?? 0) + times);
    };
    /** @param {(facet: number) => string[]} valuesIn @param {number} times */
    const fitsFacets = (valuesIn, times) => {
      let against = -1;
      for (let facet = 0; facet < FACETS.length; facet++) {
        if (!wanted[facet].size || valuesIn(facet).some((value) => wanted[facet].has(value))) continue;
        if (against >= 0) return false;
        against = facet;
      }
      if (!times) return against < 0;
      if (against >= 0) count(against, valuesIn(against), times);
      else FACETS.forEach((_, facet) => count(facet, valuesIn(facet), times));
      return against < 0;
    };
    const { rows } = imgdiff.run;
    const fits = texts.map((text, row) => {
      if (!words.every((word) => text.includes(word))) return false;
      return fitsFacets((facet) => values[facet][row], words.length || !imgdiff.pieces.isCounted(rows[row]) ? 1 : 0);
    });
    let waiting = 0;
    if (!words.length) {
      for (const { row, count: times } of imgdiff.pieces.waiting()) {
        if (fitsFacets((facet) => READS[FACETS[facet]](row), times)) waiting += times;
      }
      fits.forEach((fit, row) => {
        if (fit && imgdiff.pieces.isCounted(rows[row])) waiting -= 1;
      });
    }
    return { fits, waiting, counts: new Map(FACETS.map((facet, at) => [facet, tallies[at]])) };
  }

  document.addEventListener("imgdiff:start", () => {
    texts = [];
    valuesOf = new Map(FACETS.map((facet) => [facet, []]));
  });

  imgdiff.filters = {
    valuesOf: (row) => FACETS.map((facet) => [facet, READS[facet](row)]),
    chosen,
    toggle,
    clear,
    active,
    searched,
    apply,
  };
})();
