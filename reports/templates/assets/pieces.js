// Passed comparisons of a large run: counted from the start, searched and listed once their files are loaded.
(() => {
  "use strict";

  const ANCHOR = "c-";
  const ANCHOR_DIGITS = 12;
  /** A search stops after this many results until the user continues it. */
  const MOST_FOUND = 10_000;

  /** Files that were loaded. @type {Map<number, Piece>} */
  const loaded = new Map();
  /** Pieces whose comparisons are all among the rows. @type {Set<number>} */
  const whole = new Set();
  /** The numbers of comparisons that are among the rows although their piece is incomplete. @type {Set<number>} */
  const single = new Set();
  /** Where each piece begins in the order of the run. @type {number[]} */
  let starts = [];

  /** The words of the latest search, and the number of pieces that it has searched. */
  let words = "";
  let looked = 0;
  /** Number of the latest search. */
  let asked = 0;

  /** @param {string} lines */
  const split = (lines) => lines.split("\n");

  /** @param {number} number */
  async function load(number) {
    let piece = loaded.get(number);
    if (!piece) {
      await imgdiff.loader.load(`data/piece-${number}.js`);
      piece = loaded.get(number);
    }
    if (!piece) throw new Error(`data/piece-${number}.js is from another report.`);
    return piece;
  }

  /**
   * Add comparisons of a piece to the rows.
   *
   * @param {Piece} piece
   * @param {(name: string, test: string, anchor: string) => boolean} fits
   * @param {number} most
   */
  function add(piece, fits, most) {
    const names = split(piece.names);
    const tests = piece.tests ? split(piece.tests) : [];
    const seconds = split(piece.seconds);
    let added = 0;
    for (let at = 0; at < names.length && added < most; at++) {
      const number = starts[piece.piece] + at;
      const anchor = ANCHOR + piece.anchors.slice(at * ANCHOR_DIGITS, (at + 1) * ANCHOR_DIGITS);
      const test = tests[at] ?? "";
      if (single.has(number) || !fits(names[at], test, anchor)) continue;
      const { row, detail } = piece.kinds[piece.of_kind[at]];
      imgdiff.run.rows.push({ ...row, anchor, name: names[at], test, number, piece: piece.piece });
      imgdiff.loader.keep(imgdiff.run.rows.length - 1, { ...detail, seconds: seconds[at] });
      single.add(number);
      added += 1;
    }
    return added;
  }

  function changed() {
    document.dispatchEvent(new Event("imgdiff:rows"));
  }

  /** Incomplete pieces, in their order. */
  const open = () => starts.map((_, number) => number).filter((number) => !whole.has(number));

  /** List all comparisons of the next piece. */
  async function more() {
    const [number] = open();
    if (number === undefined) return;
    const piece = await load(number);
    add(piece, () => true, Infinity);
    whole.add(number);
    for (let at = 0; at < piece.of_kind.length; at++) single.delete(starts[number] + at);
    changed();
  }

  /**
   * List the matching comparisons of all pieces.
   *
   * @param {(name: string, test: string, anchor: string) => boolean} fits
   * @param {number} [most] stop after so many
   */
  async function find(fits, most = Infinity) {
    let found = 0;
    for (const number of open()) {
      if (found >= most) break;
      found += add(await load(number), fits, most - found);
    }
    if (found) changed();
    return found;
  }

  /** @param {string[]} wanted */
  async function search(wanted) {
    const mine = ++asked;
    const text = wanted.join(" ");
    if (text !== words) looked = 0;
    words = text;
    let found = 0;
    while (words && looked < starts.length && found < MOST_FOUND) {
      const number = looked;
      if (!whole.has(number)) {
        const piece = await load(number);
        if (mine !== asked) return;
        const fits = (/** @type {string} */ name, /** @type {string} */ test) => {
          const content = `${name} ${test}`.toLowerCase();
          return wanted.every((word) => content.includes(word));
        };
        found += add(piece, fits, Infinity);
      }
      looked = number + 1;
    }
    changed();
  }

  document.addEventListener("imgdiff:start", () => {
    const { pieces, rows, total } = imgdiff.run;
    const sizes = pieces.map((waiting) => waiting.reduce((sum, { count }) => sum + count, 0));
    let start = total - sizes.reduce((sum, size) => sum + size, 0);
    starts = sizes.map((size) => {
      start += size;
      return start - size;
    });
    if (total - rows.length !== sizes.reduce((sum, size) => sum + size, 0))
      throw new Error("data/run.js is damaged: its pieces do not contain all comparisons.");
  });

  imgdiff.pieces = {
    receive: (piece) => loaded.set(piece.piece, piece),
    /** The comparisons that are counted but are not rows. */
    waiting: () => open().flatMap((number) => imgdiff.run.pieces[number]),
    isCounted: (row) => row.piece !== undefined && !whole.has(row.piece),
    /** The number of files that the search has not loaded yet. */
    unsearched: (wanted) => (wanted.join(" ") === words ? open().filter((number) => number >= looked).length : open().length),
    left: () => open().length,
    more,
    find,
    search,
  };
})();
