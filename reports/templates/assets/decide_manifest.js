// The manifest: decisions as a file for `pytest-imgdiff accept` and for this page.
(() => {
  "use strict";

  const FILE_NAME = "imgdiff-decisions.json";
  const VERSION = 1;
  const AT_ONCE = 6;
  const MOST_BYTES = 64 * 1024 * 1024;
  const DECISIONS = new Set(["accept", "alternative", "reject", "none"]);

  /** @param {Row} row */
  const columnOf = (row) => (row.column < 0 ? null : imgdiff.run.columns[row.column]);

  /**
   * The details of these rows; only a few files are loaded at a time.
   *
   * @param {number[]} indices
   */
  async function detailsOf(indices) {
    /** @type {Map<number, number[]>} */
    const shards = new Map();
    for (const index of indices) {
      const shard = Math.floor(index / imgdiff.run.shard);
      const rows = shards.get(shard);
      if (rows) rows.push(index);
      else shards.set(shard, [index]);
    }
    /** @type {Map<number, Detail>} */
    const found = new Map();
    const waiting = [...shards.values()];
    const loadNext = async () => {
      for (let rows = waiting.pop(); rows; rows = waiting.pop()) {
        for (const index of rows) found.set(index, await imgdiff.loader.details(index));
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, loadNext));
    return found;
  }

  /** @param {number[]} indices @returns {Promise<ManifestDecision[]>} */
  async function decisionsOn(indices) {
    const { of, writes } = imgdiff.decisions;
    const details = await detailsOf(indices.filter((index) => writes(of(index).decision)));
    return indices.map((index) => {
      const row = imgdiff.run.rows[index];
      return { name: row.name, column: columnOf(row), ...of(index), accepts: details.get(index)?.accepts ?? null };
    });
  }

  /** @returns {Promise<Manifest>} */
  async function build() {
    const decided = [...imgdiff.decisions.all().keys()].sort((one, other) => one - other);
    return { imgdiff: "decisions", version: VERSION, run: imgdiff.run.run, decisions: await decisionsOn(decided) };
  }

  /** @param {Manifest} manifest */
  function download(manifest) {
    const text = `${JSON.stringify(manifest, null, 1)}\n`;
    const address = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    imgdiff.element("a", { href: address, download: FILE_NAME }).click();
    setTimeout(() => URL.revokeObjectURL(address), 60_000);
  }

  /** @param {string} text @returns {Manifest} */
  function parsed(text) {
    if (text.length > MOST_BYTES) throw new Error("This file is too large for exported decisions.");
    let data;
    try {
      data = JSON.parse(text);
    } catch {
      throw new Error("This file is not JSON: choose decisions that a report exported.");
    }
    if (data?.imgdiff !== "decisions" || !Array.isArray(data.decisions)) throw new Error("This file does not contain decisions of a report.");
    if (data.version !== VERSION) throw new Error("These decisions were exported by another version of the report.");
    if (!data.decisions.every(isDecision)) throw new Error("This file contains invalid decisions.");
    return data;
  }

  /** @param {any} entry */
  function isDecision(entry) {
    return typeof entry?.name === "string" && typeof entry.comment === "string" && DECISIONS.has(entry.decision);
  }

  /** Whether both are equal. @param {Detail["accepts"]} one @param {Detail["accepts"]} other */
  function same(one, other) {
    if (!one || !other) return one === other;
    return one.baseline === other.baseline && one.source === other.source && one.digest === other.digest && one.replaces === other.replaces;
  }

  /** @param {string} text @returns {Promise<Imported>} */
  async function read(text) {
    const manifest = parsed(text);
    const listed = new Set(imgdiff.run.rows.map(({ name }) => name));
    const absent = new Set(manifest.decisions.map(({ name }) => name).filter((name) => !listed.has(name)));
    if (absent.size) await imgdiff.pieces.find((name) => absent.has(name), absent.size);
    const indices = new Map(imgdiff.run.rows.map((row, index) => [JSON.stringify([row.name, columnOf(row)]), index]));
    const found = manifest.decisions.map((entry) => ({ entry, index: indices.get(JSON.stringify([entry.name, entry.column ?? null])) ?? -1 }));
    const known = found.filter(({ index }) => index >= 0);
    const { allows, writes } = imgdiff.decisions;
    const accepted = known.filter(({ entry }) => writes(entry.decision));
    const details = await detailsOf(accepted.map(({ index }) => index));
    /** @type {Map<number, Decision>} */
    const decisions = new Map();
    let other = 0;
    for (const { entry, index } of known) {
      const looked = !writes(entry.decision) || (allows(index, entry.decision) && same(entry.accepts, details.get(index)?.accepts ?? null));
      if (!looked) other += 1;
      decisions.set(index, { decision: looked ? entry.decision : "none", comment: entry.comment });
    }
    return { decisions, unknown: found.length - known.length, other };
  }

  imgdiff.manifests = { build, decisionsOn, read, download };
})();
