// The controls for decisions: next to the open comparison, and on the headings of groups.
(() => {
  "use strict";

  const { element, thousands } = imgdiff;

  /** @type {[Decision["decision"], string, string][]} */
  const CHOICES = [
    ["accept", "Accept", "a"],
    ["alternative", "Alternative", "t"],
    ["reject", "Reject", "x"],
    ["none", "Undecided", "u"],
  ];
  const LONGEST_COMMENT = 4000;

  /** Redraws the controls of the open comparison, if there is one. */
  let draw = () => {};

  /** @param {number} index */
  function choices(index) {
    return CHOICES.map(([decision, label, key]) => {
      const button = element("button", { type: "button", class: `is-${decision}`, "aria-keyshortcuts": key }, label, " ", element("kbd", { "aria-hidden": "true" }, key));
      button.addEventListener("click", () => imgdiff.actions.decide([index], decision));
      return button;
    });
  }

  /** @param {number} index */
  function commentField(index) {
    const field = element("textarea", { id: "decide-comment", rows: 2, maxlength: LONGEST_COMMENT });
    // On each input: nothing is lost when the next comparison opens.
    field.addEventListener("input", () => imgdiff.decisions.set([index], { comment: field.value }));
    return field;
  }

  /** The comparisons with the same change, including this one. @param {number} index */
  function sameChange(index) {
    const { rows } = imgdiff.run;
    const { change } = rows[index];
    return change === null ? [] : [...rows.keys()].filter((other) => rows[other].change === change);
  }

  /** @param {number} index */
  function forTheGroup(index) {
    const alike = sameChange(index);
    if (alike.length < 2) return null;
    const all = ["accept", "reject"].map((decision) => {
      const button = element("button", { type: "button" }, `${decision === "accept" ? "Accept" : "Reject"} all ${thousands(alike.length)}`);
      button.addEventListener("click", () => imgdiff.actions.decide(alike, /** @type {Decision["decision"]} */ (decision)));
      return button;
    });
    return element("div", { class: "alike" }, element("p", {}, `${thousands(alike.length)} comparisons show the same change.`), ...all);
  }

  /** Accepting also replaces the frames that are not shown. @param {Detail} detail */
  const replaced = ({ accepts, replaces }) => (accepts && replaces ? element("p", { class: "replaces" }, `Accept ${replaces}.`) : null);

  /** @type {Parameters<Imgdiff["viewer"]["onOpen"]>[0]} */
  function fill(index, detail, panel) {
    const { acceptable } = imgdiff.run.rows[index];
    const buttons = choices(index);
    const field = commentField(index);
    buttons[1].disabled = !imgdiff.decisions.allows(index, "alternative");
    buttons[1].title = buttons[1].disabled ? "Only an image that a test compared with a stored baseline can be an alternative" : "Keep the baseline and add this image as an alternative";
    const why = acceptable ? null : element("p", { id: "decide-reason", class: "reason" }, imgdiff.actions.reason(index));
    if (why) {
      buttons[0].disabled = true;
      buttons[0].setAttribute("aria-describedby", why.id);
    }
    const now = imgdiff.server?.live && acceptable ? element("button", { type: "button", class: "primary" }, "Accept now") : null;
    now?.addEventListener("click", () => void imgdiff.actions.acceptNow([index]));
    panel.classList.add("decide-panel");
    panel.append(
      element("h3", {}, "Decide"),
      element("div", { class: "choices" }, element("div", { class: "segmented", role: "group", "aria-label": "Decision" }, ...buttons), now),
      ...[why, replaced(detail), forTheGroup(index)].filter((part) => part !== null),
      element("label", { for: field.id }, "Comment"),
      field,
    );
    draw = () => {
      const { decision, comment } = imgdiff.decisions.of(index);
      buttons.forEach((button, at) => button.setAttribute("aria-pressed", String(CHOICES[at][0] === decision)));
      if (field.value !== comment) field.value = comment;
    };
    draw();
  }

  /** @type {Parameters<Imgdiff["list"]["onGroup"]>[0]} */
  function onGroup(indices, place) {
    const acceptable = indices.filter((index) => imgdiff.run.rows[index].acceptable);
    const groups = /** @type {const} */ ([["accept", acceptable], ["reject", indices]]);
    for (const [decision, rows] of groups) {
      if (!rows.length) continue;
      const done = rows.every((index) => imgdiff.decisions.of(index).decision === decision);
      const [verb, sign] = decision === "accept" ? ["Accept", "✓"] : ["Reject", "✗"];
      const button = element(
        "button",
        { type: "button", class: `group-decision is-${decision}`, tabindex: -1, "aria-pressed": String(done), "aria-label": `${verb} ${thousands(rows.length)} of this group` },
        element("span", { class: "sign", "aria-hidden": "true" }, sign),
        element("span", { class: "label" }, verb),
        ` ${thousands(rows.length)}`,
      );
      button.addEventListener("click", () => imgdiff.actions.decide(rows, done ? "none" : decision));
      place.append(button);
    }
  }

  // Before drawing: a link may open a comparison immediately.
  imgdiff.viewer?.onOpen(fill);
  imgdiff.decisions.onChange(() => draw());
  document.addEventListener("imgdiff:start", () => imgdiff.list.onGroup(onGroup));
})();
