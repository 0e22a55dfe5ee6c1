// The order of the list and its groups.
(() => {
  "use strict";

  /** The most comparisons of a same change that are all shown at first. */
  const MOST_UNFOLDED = 3;
  /** The number of comparisons of each change that occurs more than once. @type {Map<string, number>} */
  const sizes = new Map();
  const collator = new Intl.Collator("en", { numeric: true });

  /** @type {Entry[]} */
  let entries = [];

  /** Merged runs have one entry for a name. */
  function gather() {
    const { rows, columns } = imgdiff.run;
    if (!columns.length) {
      for (let index = entries.length; index < rows.length; index++) entries.push({ rows: [index], fitting: [index] });
      return;
    }
    if (entries.length) return; // merged runs have no pieces
    /** @type {Map<string, Entry>} */
    const named = new Map();
    rows.forEach((row, index) => {
      const entry = named.get(row.name);
      if (entry) entry.rows.push(index);
      else named.set(row.name, { rows: [index], fitting: [] });
    });
    entries = [...named.values()];
    for (const entry of entries) entry.rows.sort((one, other) => rows[one].column - rows[other].column);
  }

  /** Group by change by default if changes are known to be the same. */
  function by() {
    const chosen = imgdiff.state.get("group");
    if (GROUPINGS.has(chosen) || chosen === "none") return chosen;
    return sizes.size ? "change" : "verdict";
  }

  function sortedBy() {
    const chosen = imgdiff.state.get("sort");
    return chosen === "name" || chosen === "size" ? chosen : "worst";
  }

  /** In the order of the run, independent of the order of loading. @param {number} index */
  const place = (index) => imgdiff.run.rows[index].number ?? index;

  /** @param {Entry} entry */
  const first = (entry) => imgdiff.run.rows[entry.fitting[0]];

  /** The run starts with the worst; so do comparisons with equal `size` or `name`. @param {Entry[]} found */
  function sort(found) {
    const rule = sortedBy();
    found.sort((one, other) => place(one.fitting[0]) - place(other.fitting[0]));
    if (rule === "name") found.sort((one, other) => collator.compare(first(one).name, first(other).name));
    if (rule === "size") found.sort((one, other) => largest(other) - largest(one));
    return found;
  }

  /** @param {Entry} entry unmeasured comparisons follow measured ones */
  const largest = (entry) => Math.max(...entry.fitting.map((index) => imgdiff.run.rows[index].share ?? -1));

  /** @typedef {[key: string, title: string]} Group */
  /** @param {Row} row @returns {Group} */
  const ofVerdict = (row) => [row.verdict, imgdiff.rows.verdicts[row.verdict]];
  /** @param {Row} row @returns {Group} */
  const ofChange = (row) =>
    row.change !== null && sizes.has(row.change) ? [row.change, "The same change"] : ofVerdict(row);

  /** @param {Row} row @returns {Group} */
  function ofFolder(row) {
    const folder = row.name.split("::")[0].split("/").slice(0, -1).join("/");
    return [folder || "/", folder || "No folder"];
  }

  /** @param {Row} row @returns {Group} */
  function ofTest(row) {
    const file = row.test.split("::")[0];
    return [file || "/", file || "No test"];
  }

  /** By the kind of the largest changed area. @param {Row} row @returns {Group} */
  function ofKind(row) {
    const [kind] = row.kinds;
    if (kind === undefined) return ofVerdict(row);
    const words = imgdiff.rows.kindWords(kind);
    return [`kind ${kind}`, words[0].toUpperCase() + words.slice(1)];
  }

  /** @type {Map<string, (row: Row) => Group>} */
  const GROUPINGS = new Map([
    ["verdict", ofVerdict],
    ["folder", ofFolder],
    ["test", ofTest],
    ["change", ofChange],
    ["kind", ofKind],
  ]);

  /**
   * In the order of the run's rows, independent of the order within a group.
   *
   * @param {Entry[]} one
   * @param {Entry[]} other
   */
  const byWorst = (one, other) => worst(one) - worst(other);
  /** @param {Entry[]} members */
  const worst = (members) => members.reduce((least, entry) => Math.min(least, entry.fitting[0]), Infinity);

  /**
   * Same changes first, the largest group of them at the top.
   *
   * @param {[string, Entry[]]} one
   * @param {[string, Entry[]]} other
   */
  function bySameness([one, mine], [other, others]) {
    const difference = Number(sizes.has(other)) - Number(sizes.has(one));
    if (difference) return difference;
    return (sizes.has(one) && others.length - mine.length) || byWorst(mine, others);
  }

  /**
   * Every group is open initially, except large groups of the same change; in the URL, "folded" changes this for all groups
   * and "fold" lists exceptions.
   *
   * @param {string} key
   */
  function isOpen(key) {
    const all = imgdiff.state.get("folded");
    const atFirst = all ? all === "none" : !(by() === "change" && (sizes.get(key) ?? 0) > MOST_UNFOLDED);
    return imgdiff.state.getAll("fold").includes(key) ? !atFirst : atFirst;
  }

  /** @param {string} key @param {boolean} open */
  function fold(key, open) {
    if (isOpen(key) === open) return;
    const keys = new Set(imgdiff.state.getAll("fold"));
    if (!keys.delete(key)) keys.add(key);
    imgdiff.state.set({ fold: imgdiff.state.joined(keys) });
  }

  /** @param {Item[]} items */
  function foldAll(items) {
    const folded = items.some((item) => item.kind === "group" && !item.open);
    imgdiff.state.set({ fold: "", folded: folded ? "none" : "all" });
  }

  /** @param {boolean[]} fits @returns {Item[]} */
  function arrange(fits) {
    gather();
    for (const entry of entries)
      entry.fitting = entry.rows.filter((index) => fits[index]).sort((one, other) => one - other);
    const found = sort(entries.filter((entry) => entry.fitting.length));
    const grouping = GROUPINGS.get(by());
    if (!grouping) {
      return found.map((entry, at) => ({
        kind: "entry",
        entry,
        group: null,
        standsForAll: false,
        position: at + 1,
        setSize: found.length,
      }));
    }
    /** @type {Map<string, Entry[]>} */
    const groups = new Map();
    /** @type {Map<string, string>} */
    const titles = new Map();
    for (const entry of found) {
      const [key, title] = grouping(first(entry));
      titles.set(key, title);
      const members = groups.get(key);
      if (members) members.push(entry);
      else groups.set(key, [entry]);
    }
    const ordered = [...groups];
    if (by() === "verdict") ordered.sort(([, one], [, other]) => byWorst(one, other));
    if (by() === "change") ordered.sort(bySameness);
    return ordered.flatMap(([key, members], at) =>
      linesOf(key, titles.get(key) ?? key, members, at + 1, ordered.length),
    );
  }

  /**
   * A group's heading and its entries.
   *
   * @param {string} key
   * @param {string} title
   * @param {Entry[]} members
   * @param {number} position
   * @param {number} setSize
   * @returns {Item[]}
   */
  function linesOf(key, title, members, position, setSize) {
    const open = isOpen(key);
    const sameChange = by() === "change" && sizes.has(key);
    const shown = open ? members : sameChange ? members.slice(0, 1) : [];
    const rows = members.flatMap((entry) => entry.fitting);
    return [
      { kind: "group", key, title, rows, open, sameChange, position, setSize },
      ...shown.map((entry, member) => ({
        kind: /** @type {const} */ ("entry"),
        entry,
        group: key,
        standsForAll: sameChange && !open && members.length > 1,
        position: member + 1,
        setSize: members.length,
      })),
    ];
  }

  document.addEventListener("imgdiff:start", () => {
    for (const change of imgdiff.run.changes) sizes.set(change.id, change.size);
  });

  imgdiff.groups = { arrange, by, sortedBy, fold, foldAll };
})();
