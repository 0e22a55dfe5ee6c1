// Which comparisons fit: eight facets and a search, all kept in the address.
(() => {
  "use strict";

  /** @type {Facet[]} */
  const FACETS = ["outcome", "verdict", "metric", "kind", "size", "column", "folder", "change"];
  /** Where nothing is chosen and something asks for attention, what passed is out of the way; "all" brings it back. */
  const EVERYTHING = "all";

  /** The upper end of each size of change, as a share of the picture. @type {[string, number][]} */
  const SIZES = [
    ["none", 0],
    ["tiny", 0.001],
    ["small", 0.01],
    ["medium", 0.1],
    ["large", Infinity],
  ];

  /** What the search looks in, made once: a row's name, test and elements. @type {string[]} */
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

  const attention = () => imgdiff.run.rows.some((row) => row.outcome !== "passed");

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

  /** A row counts for a value of a facet where everything but this facet lets it through. */
  function apply() {
    const wanted = FACETS.map(chosen);
    const values = FACETS.map((facet) => /** @type {string[][]} */ (valuesOf.get(facet)));
    const tallies = FACETS.map(() => /** @type {Map<string, number>} */ (new Map()));
    const words = searched();
    /** @param {number} facet @param {number} row */
    const count = (facet, row) => {
      for (const value of values[facet][row]) tallies[facet].set(value, (tallies[facet].get(value) ?? 0) + 1);
    };
    const fits = texts.map((text, row) => {
      if (!words.every((word) => text.includes(word))) return false;
      let against = -1;
      for (let facet = 0; facet < FACETS.length; facet++) {
        if (!wanted[facet].size || values[facet][row].some((value) => wanted[facet].has(value))) continue;
        if (against >= 0) return false;
        against = facet;
      }
      if (against >= 0) count(against, row);
      else FACETS.forEach((_, facet) => count(facet, row));
      return against < 0;
    });
    return { fits, counts: new Map(FACETS.map((facet, at) => [facet, tallies[at]])) };
  }

  document.addEventListener("imgdiff:start", () => {
    const { rows } = imgdiff.run;
    texts = rows.map((row) => [row.name, row.test, ...row.elements].join(" ").toLowerCase());
    valuesOf = new Map(FACETS.map((facet) => [facet, rows.map(READS[facet])]));
  });

  imgdiff.filters = {
    valuesOf: (row) => FACETS.map((facet) => [facet, READS[facet](row)]),
    chosen,
    toggle,
    clear,
    active,
    apply,
  };
})();
