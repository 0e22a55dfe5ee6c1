// Decisions that the browser stores for later visits, separately for each run.
(() => {
  "use strict";

  const PREFIX = "imgdiff:decisions:";
  const VERSION = 1;
  const DAYS = 90;
  /** @type {Decision["decision"][]} */
  const CODES = ["none", "accept", "reject", "alternative"];

  let works = true;
  /** By anchor: decisions on comparisons that are not loaded yet. @type {Map<string, Decision>} */
  let absent = new Map();

  const key = () => `${PREFIX}${imgdiff.run.run}`;

  /**
   * A comment of many rows is stored once.
   *
   * @param {Map<number, Decision>} decisions
   */
  function encoded(decisions) {
    /** @type {Map<string, number>} */
    const comments = new Map();
    const all = [
      ...[...decisions].map(([index, decision]) => /** @type {const} */ ([imgdiff.run.rows[index].anchor, decision])),
      ...absent,
    ];
    const rows = all.map(([anchor, { decision, comment }]) => {
      if (!comments.has(comment)) comments.set(comment, comments.size);
      return [anchor, CODES.indexOf(decision), comments.get(comment)];
    });
    return JSON.stringify({ version: VERSION, saved: Date.now(), comments: [...comments.keys()], rows });
  }

  /**
   * Under file:// all reports share one store: its content may belong to another report, or be damaged.
   *
   * @param {string | null} text
   */
  function decoded(text) {
    /** @type {Map<number, Decision>} */
    const decisions = new Map();
    absent = new Map();
    const stored = parsed(text);
    if (stored?.version !== VERSION || !Array.isArray(stored.rows) || !Array.isArray(stored.comments)) return decisions;
    const indices = new Map(imgdiff.run.rows.map((row, index) => [row.anchor, index]));
    for (const row of stored.rows) {
      const [anchor, code, comment] = Array.isArray(row) ? row : [];
      const index = indices.get(anchor);
      const decision = CODES[code];
      const words = stored.comments[comment];
      if (!decision || typeof words !== "string") continue;
      if (index !== undefined) decisions.set(index, { decision, comment: words });
      else if (typeof anchor === "string" && imgdiff.pieces.left()) absent.set(anchor, { decision, comment: words });
    }
    return decisions;
  }

  /** @param {string | null} text */
  function parsed(text) {
    try {
      return JSON.parse(text ?? "null");
    } catch {
      return null;
    }
  }

  function read() {
    try {
      forgetOld();
      return decoded(localStorage.getItem(key()));
    } catch { // a browser may deny access to the store
      works = false;
      return new Map();
    }
  }

  /** @param {Map<number, Decision>} decisions */
  function write(decisions) {
    try {
      if (decisions.size || absent.size) localStorage.setItem(key(), encoded(decisions));
      else localStorage.removeItem(key());
      works = true;
    } catch { // denied, or full
      works = false;
    }
  }

  function forgetOld() {
    const oldest = Date.now() - DAYS * 24 * 60 * 60 * 1000;
    for (const name of Object.keys(localStorage)) {
      if (name.startsWith(PREFIX) && !(parsed(localStorage.getItem(name))?.saved > oldest)) localStorage.removeItem(name);
    }
  }

  imgdiff.kept = {
    get works() {
      return works;
    },
    read,
    write,
    /** Return the decisions on comparisons that were loaded meanwhile. @returns {Map<number, Decision>} */
    arrived() {
      /** @type {Map<number, Decision>} */
      const found = new Map();
      if (!absent.size) return found;
      imgdiff.run.rows.forEach(({ anchor }, index) => {
        const decision = absent.get(anchor);
        if (decision) found.set(index, decision);
        absent.delete(anchor);
      });
      return found;
    },
    onElsewhere(listener) {
      window.addEventListener("storage", (event) => {
        if (imgdiff.run && event.key === key()) listener(decoded(event.newValue));
      });
    },
  };
})();
