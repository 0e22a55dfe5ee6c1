// The bar at the bottom of the page: the decisions and their actions.
(() => {
  "use strict";

  const { element, thousands } = imgdiff;

  /** Phones show only the sign. @param {HTMLButtonElement} made @param {string} sign */
  function signed(made, sign) {
    const label = element("span", { class: "label" }, made.textContent);
    made.replaceChildren(element("span", { class: "sign", "aria-hidden": "true" }, sign), label);
    return made;
  }

  /** @param {string} label @param {() => void} does @param {Record<string, string>} [attributes] */
  function button(label, does, attributes = {}) {
    const made = element("button", { type: "button", ...attributes }, label);
    made.addEventListener("click", () => {
      made.closest("details")?.removeAttribute("open");
      does();
    });
    return made;
  }

  /** A button that shows others. @param {string} label @param {HTMLButtonElement[]} buttons */
  function menu(label, ...buttons) {
    const details = element("details", { class: "menu" }, element("summary", {}, label), element("div", { class: "choices" }, ...buttons));
    details.addEventListener("focusout", (event) => {
      if (event.relatedTarget instanceof Node && !details.contains(event.relatedTarget)) details.open = false;
    });
    details.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !details.open) return;
      event.stopPropagation();
      details.open = false;
      details.querySelector("summary")?.focus();
    });
    document.addEventListener("click", (event) => {
      if (!details.contains(/** @type {Node} */ (event.target))) details.open = false;
    });
    return details;
  }

  /** @param {string} kind @param {number} count @param {string} word */
  const tally = (kind, count, word) => (count ? element("span", { class: `tally is-${kind}` }, element("b", {}, thousands(count)), ` ${word}`) : null);

  function start() {
    const { actions, decisions } = imgdiff;
    const bar = imgdiff.place("decide-bar");
    const worthDeciding = imgdiff.run.rows.some((row) => row.outcome !== "passed");

    const counts = element("p", { class: "counts" });
    const message = element("p", { class: "message", "aria-hidden": "true" }); // keys.say announces it politely
    const warning = element("p", { class: "warning", hidden: true }, "This browser cannot store data for this page: decisions are lost when you close it. Export them.");
    const undo = signed(button("Undo", actions.undo, { title: "Ctrl + Z" }), "↶");
    const redo = signed(button("Redo", actions.redo, { title: "Ctrl + Shift + Z" }), "↷");
    const file = element("input", { type: "file", accept: ".json,application/json", hidden: true, "aria-label": "Decisions to import" });
    file.addEventListener("change", () => {
      const [chosen] = file.files ?? [];
      if (chosen) void actions.importFrom(chosen);
      file.value = "";
    });
    const shown = menu(
      "All shown",
      button("Accept all shown …", () => actions.decideShown("accept"), { "aria-keyshortcuts": "Shift+A" }),
      button("Reject all shown …", () => actions.decideShown("reject"), { "aria-keyshortcuts": "Shift+X" }),
      button("Comment on all shown …", actions.commentShown, { "aria-keyshortcuts": "Shift+C" }),
      button("Undecide all shown …", () => actions.decideShown("none"), { "aria-keyshortcuts": "Shift+U" }),
    );
    const clear = button("Clear all decisions …", actions.clear);
    const more = menu("More", button("Import decisions …", () => file.click()), clear);
    const keep = button("Export", () => void actions.exportAll(), { class: "primary", title: "Save the decisions as a file for pytest-imgdiff accept" });
    const now = imgdiff.server?.live ? button("Accept now", () => void actions.acceptNow(), { class: "primary", title: "Replace the baselines by the accepted images" }) : null;
    bar.append(element("div", { class: "words" }, counts, message, warning), element("div", { class: "buttons" }, undo, redo, shown, more, keep, ...(now ? [now] : []), file));

    function draw() {
      const found = decisions.counts();
      const decided = decisions.all().size;
      const parts = [tally("accept", found.accepted, "accepted"), tally("reject", found.rejected, "rejected"), tally("comment", found.commented, found.commented === 1 ? "comment" : "comments"), tally("open", found.open, "to decide")];
      counts.replaceChildren(...parts.filter((part) => part !== null));
      undo.disabled = !decisions.canUndo();
      redo.disabled = !decisions.canRedo();
      keep.disabled = clear.disabled = decided === 0;
      if (now) now.disabled = found.accepted === 0;
      warning.hidden = imgdiff.kept.works;
      bar.hidden = !worthDeciding && !decided && !decisions.canUndo();
      document.documentElement.classList.toggle("has-decisions", !bar.hidden);
    }

    function drawShown() {
      const count = imgdiff.list.shown().length;
      const summary = /** @type {HTMLElement} */ (shown.firstElementChild);
      summary.textContent = `All ${thousands(count)} shown`;
    }

    decisions.onChange(draw);
    actions.onMessage(() => { message.textContent = actions.message; });
    document.addEventListener("imgdiff:arranged", drawShown);
    window.addEventListener("beforeunload", (event) => {
      if (!imgdiff.kept.works && decisions.all().size) event.preventDefault();
    });
    // The page leaves space for the bar.
    new ResizeObserver(() => document.documentElement.style.setProperty("--decide-bar", `${bar.offsetHeight}px`)).observe(bar);
    draw();
    drawShown();
  }

  document.addEventListener("imgdiff:start", start);
})();
