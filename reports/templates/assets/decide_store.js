// The decision on each comparison, with undo. A step can be one decision or ten thousand.
(() => {
  "use strict";

  /** @type {Decision} */
  const NOTHING = Object.freeze({ decision: "none", comment: "" });
  const MOST_STEPS = 200;

  /** @type {Map<number, Decision> | null} */
  let decided = null;
  /** @type {DecisionStep[]} */
  let past = [];
  /** @type {DecisionStep[]} */
  let future = [];
  /** @type {(() => void)[]} */
  const listeners = [];

  /** Read on first use: the viewer may open before the list is drawn. */
  function table() {
    decided ??= imgdiff.kept.read();
    return decided;
  }

  /** @param {number} index */
  const of = (index) => table().get(index) ?? NOTHING;

  /** @param {Decision["decision"]} decision */
  const writes = (decision) => decision === "accept" || decision === "alternative";

  /** @param {number} index @param {Decision["decision"]} decision */
  function allows(index, decision) {
    const { acceptable, alternative } = imgdiff.run.rows[index];
    return decision === "accept" ? acceptable : decision !== "alternative" || alternative;
  }

  /** @param {Decision} one @param {Decision} other */
  const alike = (one, other) => one.decision === other.decision && one.comment === other.comment;

  /** @param {Map<number, Decision>} values */
  function apply(values) {
    const all = table();
    for (const [index, value] of values) {
      if (alike(value, NOTHING)) all.delete(index);
      else all.set(index, value);
    }
    imgdiff.kept.write(all);
    listeners.forEach((listener) => listener());
  }

  /** @param {Map<number, Decision>} values @param {number} [writing] */
  function step(values, writing = -1) {
    /** @type {DecisionStep} */
    const made = { before: new Map(), after: new Map(), writing };
    for (const [index, value] of values) {
      const before = of(index);
      if (alike(before, value)) continue;
      made.before.set(index, before);
      made.after.set(index, value);
    }
    if (!made.after.size) return 0;
    remember(made);
    apply(made.after);
    return made.after.size;
  }

  /** @param {DecisionStep} made */
  function remember(made) {
    const last = past.at(-1);
    if (made.writing >= 0 && last?.writing === made.writing && !future.length) last.after = made.after;
    else past.push(made);
    if (past.length > MOST_STEPS) past.shift();
    future = [];
  }

  /** @param {Iterable<number>} indices @param {Partial<Decision>} change */
  function set(indices, change) {
    /** @type {Map<number, Decision>} */
    const values = new Map();
    for (const index of indices) {
      if (change.decision && !allows(index, change.decision)) continue;
      values.set(index, { ...of(index), ...change });
    }
    const [first] = values.keys();
    const writing = change.decision === undefined && values.size === 1 ? first : -1;
    return step(values, writing);
  }

  function undo() {
    const last = past.pop();
    if (!last) return false;
    future.push(last);
    apply(last.before);
    return true;
  }

  function redo() {
    const next = future.pop();
    if (!next) return false;
    past.push(next);
    apply(next.after);
    return true;
  }

  /** Written baselines cannot be restored from here, so undo does not include them. */
  function settle() {
    past = [];
    future = [];
    listeners.forEach((listener) => listener());
  }

  function counts() {
    const { rows } = imgdiff.run;
    const found = { accepted: 0, rejected: 0, commented: 0, open: 0 };
    for (const row of rows) if (row.outcome === "failed") found.open += 1;
    for (const [index, { decision, comment }] of table()) {
      if (writes(decision)) found.accepted += 1;
      if (decision === "reject") found.rejected += 1;
      if (comment) found.commented += 1;
      if (decision !== "none" && rows[index].outcome === "failed") found.open -= 1;
    }
    return found;
  }

  document.addEventListener("imgdiff:rows", () => {
    const arrived = imgdiff.kept.arrived();
    for (const [index, decision] of arrived) table().set(index, decision);
    if (arrived.size) listeners.forEach((listener) => listener());
  });

  // This tab cannot undo steps of another tab.
  imgdiff.kept.onElsewhere((elsewhere) => {
    decided = elsewhere;
    past = [];
    future = [];
    listeners.forEach((listener) => listener());
  });

  imgdiff.decisions = {
    of,
    allows,
    writes,
    all: table,
    set,
    put: (decisions) => step(decisions),
    undo,
    redo,
    settle,
    canUndo: () => past.length > 0,
    canRedo: () => future.length > 0,
    counts,
    onChange: (listener) => listeners.push(listener),
  };
})();
