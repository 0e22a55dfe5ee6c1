// The panel next to the images: the verdict in words, parts of other scripts, the regions, and all facts.
(() => {
  "use strict";

  const { element, place, counted } = imgdiff;

  /** @type {((index: number, detail: Detail, panel: HTMLElement) => void)[]} */
  const fillers = [];
  /** @type {HTMLElement[]} the buttons of the regions */
  let buttons = [];

  const panel = element("aside", { class: "viewer-panel", "aria-label": "About this comparison" });

  /** @param {Detail["regions"][number]} region @param {number} index */
  function regionButton(region, index) {
    const { regions } = imgdiff.viewing;
    const parts = [region.area && `${region.area} px`, region.peak && `peak ${region.peak}`].filter(Boolean).join(", ");
    const button = element(
      "button",
      { type: "button", class: "region" },
      element("span", { class: "region-number", "aria-hidden": "true" }, String(index + 1)),
      element("span", { class: "region-words" }, region.element ? element("span", { class: "region-element" }, region.element) : null, region.words),
      element("span", { class: "soft" }, parts),
    );
    button.addEventListener("click", () => regions.jump(index));
    button.addEventListener("pointerenter", () => regions.highlight(index));
    button.addEventListener("pointerleave", () => regions.highlight(-1));
    button.addEventListener("focus", () => regions.highlight(index));
    button.addEventListener("blur", () => regions.highlight(-1));
    return button;
  }

  /** The lines of imgdiff.yaml that ignore a region of this image, and of no other. @param {Detail["regions"][number]} region @param {string} match */
  const ignoreArea = ({ x, y, width, height }, match) =>
    `overrides:\n  - match: ${JSON.stringify(match)}\n    ignore:\n      - {x: ${x}, y: ${y}, width: ${width}, height: ${height}}\n`;

  /** @param {Detail["regions"][number]} region @param {number} index @param {string} match */
  function ignoreButton(region, index, match) {
    const attributes = { type: "button", class: "quiet copy-area", "aria-label": `Copy region ${index + 1} as an ignore area`, title: "Copy as an ignore area of this image, for overrides in imgdiff.yaml (y)" };
    const button = /** @type {HTMLButtonElement} */ (element("button", attributes, "Ignore area"));
    button.addEventListener("click", () => copyArea(button, ignoreArea(region, match)));
    return button;
  }

  /** Without access to the clipboard, the text is shown and selected. @param {HTMLButtonElement} button @param {string} yaml */
  async function copyArea(button, yaml) {
    const copied = await imgdiff.dialogs.copied(yaml, button);
    button.textContent = copied ? "Copied" : "Press Ctrl+C";
    imgdiff.keys.say(copied ? "Copied as an ignore area for imgdiff.yaml" : "The ignore area is selected: press Ctrl+C");
    button.parentElement?.querySelector("pre")?.remove();
    if (!copied) {
      const shown = element("pre", { class: "area-yaml" }, yaml);
      button.after(shown);
      getSelection()?.selectAllChildren(shown);
    }
    setTimeout(() => { button.textContent = "Ignore area"; }, 2000);
  }

  /** @param {Detail} detail */
  function regionList(detail) {
    const { regions, regionCount, match } = detail;
    buttons = regions.map(regionButton);
    if (!regionCount) return [];
    const rest = regionCount - regions.length;
    const more = rest > 0 ? element("p", { class: "soft" }, `${counted(rest, "smaller region")} not listed.`) : null;
    const list = element("ol", { class: "regions" }, ...buttons.map((button, index) => element("li", {}, button, match === null ? null : ignoreButton(regions[index], index, match))));
    return [element("section", {}, element("h3", {}, `${counted(regionCount, "region")}`), list, more)];
  }

  function markSelected() {
    const { selected } = imgdiff.viewing.regions;
    buttons.forEach((button, index) => {
      if (index === selected) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
    });
    const button = buttons[selected];
    if (button && !panel.hidden) reveal(button);
  }

  /** Scrolls only the panel: on a phone the whole viewer would scroll, and hide the images. @param {HTMLElement} button */
  function reveal(button) {
    const list = /** @type {HTMLElement} */ (button.closest(".regions"));
    for (const scroller of [list, panel]) {
      if (scroller.scrollHeight <= scroller.clientHeight) continue;
      const inside = scroller.getBoundingClientRect();
      const { top, bottom } = button.getBoundingClientRect();
      if (top < inside.top) scroller.scrollTop -= inside.top - top;
      else if (bottom > inside.bottom) scroller.scrollTop += bottom - inside.bottom;
    }
  }

  /** @param {number} highlighted */
  function markHighlighted(highlighted) {
    buttons.forEach((button, index) => button.classList.toggle("is-highlighted", index === highlighted));
  }

  imgdiff.viewing.panel = {
    element: panel,
    show(subject) {
      const { row, detail, index } = subject;
      const { facts } = imgdiff.viewing;
      const verdict = element("p", { class: `verdict is-${row.outcome}`, id: "viewer-verdict" }, row.line);
      const { frame } = subject;
      const ofFrame = frame && detail.frames.length > 1 ? element("p", { class: "of-frame" }, element("b", {}, `Showing ${frame.words}: `), frame.line) : null;
      const added = fillers.map((fill) => {
        const extra = element("div", { class: "panel-extra" });
        fill(index, detail, extra);
        return extra;
      });
      panel.replaceChildren(
        verdict,
        ...(ofFrame ? [ofFrame] : []),
        ...added,
        ...facts.notes(detail),
        ...regionList(detail),
        ...facts.capture(detail),
        ...facts.rules(detail),
        ...facts.accept(detail),
        ...facts.files(subject),
        ...facts.origin(subject),
      );
      panel.scrollTop = 0;
      markSelected();
    },
    copyArea() {
      const selected = buttons[imgdiff.viewing.regions.selected] ?? buttons[0];
      const button = /** @type {HTMLButtonElement | null | undefined} */ (selected?.parentElement?.querySelector(".copy-area"));
      if (button) button.click();
      else imgdiff.keys.say("There is no region to copy");
    },
    toggle() {
      panel.hidden = !panel.hidden;
      place("viewer").classList.toggle("without-panel", panel.hidden);
      document.getElementById("viewer-details")?.setAttribute("aria-expanded", String(!panel.hidden));
      imgdiff.keys.say(panel.hidden ? "Details are hidden" : "Details are shown");
    },
  };
  imgdiff.viewer.onOpen = (fill) => fillers.push(fill);

  document.addEventListener("imgdiff:start", () => {
    imgdiff.viewing.regions.onHighlight(markHighlighted);
    imgdiff.state.onChange((changed) => {
      if (changed.has("region")) markSelected();
    });
  });
})();
