// The public interface of decisions, and their keys.
(() => {
  "use strict";

  imgdiff.decide = {
    of: (index) => imgdiff.decisions.of(index),
    set: (indices, change) => void imgdiff.decisions.set(indices, change),
    undo: () => void imgdiff.decisions.undo(),
    redo: () => void imgdiff.decisions.redo(),
    manifest: () => imgdiff.manifests.build(),
    onChange: (listener) => imgdiff.decisions.onChange(listener),
  };

  function bindKeys() {
    const { actions } = imgdiff;
    // With Caps Lock, the letter alone is ambiguous.
    const step = (/** @type {KeyboardEvent} */ event) => (event.shiftKey ? actions.redo() : actions.undo());
    /** @type {[string[], string, (event: KeyboardEvent) => void][]} */
    const bindings = [
      [["a"], "Accept", () => actions.decide(actions.current(), "accept")],
      [["t"], "Accept as an alternative", () => actions.decide(actions.current(), "alternative")],
      [["x"], "Reject", () => actions.decide(actions.current(), "reject")],
      [["u"], "Clear the decision", () => actions.decide(actions.current(), "none")],
      [["c"], "Comment", () => actions.comment(actions.current())],
      [["A"], "Accept all shown", () => actions.decideShown("accept")],
      [["X"], "Reject all shown", () => actions.decideShown("reject")],
      [["U"], "Clear the decisions on all shown", () => actions.decideShown("none")],
      [["C"], "Comment on all shown", actions.commentShown],
      [["Ctrl+z"], "Undo a decision", step],
      [["Ctrl+Z"], "Redo it", step],
      [["Ctrl+y"], "Redo it", actions.redo],
    ];
    imgdiff.keys.bind(bindings.map(([keys, says, does]) => ({ keys, says, scope: "everywhere", does })));
  }

  document.addEventListener("imgdiff:start", bindKeys);
})();
