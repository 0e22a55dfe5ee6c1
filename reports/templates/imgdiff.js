// Filters, search, keys and picture views for the report. The page reads without this file.
(() => {
  "use strict";

  const root = document.documentElement;
  const main = document.getElementById("results");
  const search = document.getElementById("search");
  if (!search) return; // nothing was compared: nothing to find

  const shown = document.getElementById("shown");
  const nothingFound = document.getElementById("nothing-found");
  const entries = [...main.querySelectorAll("[data-outcome]")];
  const groups = [...main.querySelectorAll(".group[data-group]")];
  const chips = [...document.querySelectorAll(".chip")];

  // Filters and search: within a row of chips any pressed one fits, an empty row fits all.

  function pressedKeys(facet) {
    return new Set(chips.filter((chip) => chip.dataset.facet === facet && isPressed(chip)).map((chip) => chip.dataset.key));
  }

  function applyFilters() {
    const outcomes = pressedKeys("outcome");
    const verdicts = pressedKeys("verdict");
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let found = 0;
    for (const entry of entries) {
      const { outcome, verdict, search: text } = entry.dataset;
      const fits = (!outcomes.size || outcomes.has(outcome)) && (!verdicts.size || verdicts.has(verdict)) &&
        words.every((word) => text.includes(word));
      entry.hidden = !fits;
      found += fits;
    }
    for (const group of groups) {
      group.hidden = !group.querySelector("[data-outcome]:not([hidden])");
    }
    const narrowed = outcomes.size > 0 || verdicts.size > 0 || words.length > 0;
    const passed = main.querySelector("details.passed");
    if (passed && narrowed) passed.open = true;
    nothingFound.hidden = found > 0;
    shown.textContent = narrowed ? `${found} of ${entries.length} shown` : "";
  }

  for (const chip of chips) {
    chip.disabled = false;
    chip.addEventListener("click", () => {
      press(chip, !isPressed(chip));
      applyFilters();
    });
  }
  search.addEventListener("input", applyFilters);

  function clearFilters() {
    search.value = "";
    chips.forEach((chip) => press(chip, false));
    applyFilters();
  }

  // From comparison to comparison.

  function visibleSections() {
    return [...main.querySelectorAll("article.comparison")].filter((section) => !section.hidden);
  }

  function currentSection() {
    return document.activeElement.closest("article.comparison");
  }

  function go(step) {
    const sections = visibleSections();
    if (!sections.length) return;
    const index = sections.indexOf(currentSection());
    const next = index < 0 ? (step > 0 ? 0 : sections.length - 1) : (index + step + sections.length) % sections.length;
    sections[next].querySelector("h3").focus({ preventScroll: true });
    sections[next].scrollIntoView({ block: "start" });
  }

  // Going by button: the focus leaves the section for the button, so the place is kept here.
  let lastSection = null;
  main.addEventListener("focusin", () => { lastSection = currentSection() || lastSection; });
  for (const [id, step] of [["previous", -1], ["next", 1]]) {
    document.getElementById(id).addEventListener("click", () => {
      if (lastSection && !lastSection.hidden) lastSection.querySelector("h3").focus({ preventScroll: true });
      go(step);
    });
  }

  // Sections stop below the toolbar, which sticks to the top and wraps on narrow windows.
  const toolbar = document.querySelector(".toolbar");
  new ResizeObserver(() => root.style.setProperty("--toolbar", `${toolbar.offsetHeight}px`)).observe(toolbar);

  // Pictures side by side, or one at a time in one place.

  const views = [...document.querySelectorAll("button[data-view]")];

  function showView(name) {
    root.dataset.view = name;
    views.forEach((button) => press(button, button.dataset.view === name));
  }

  function choosePicture(pictures, key) {
    for (const figure of pictures.querySelectorAll("figure")) {
      figure.classList.toggle("is-chosen", figure.dataset.picture === key);
    }
    for (const tab of pictures.querySelectorAll(".tabs button")) press(tab, tab.dataset.picture === key);
  }

  views.forEach((button) => button.addEventListener("click", () => showView(button.dataset.view)));
  main.addEventListener("click", (event) => {
    const tab = event.target.closest(".tabs button");
    if (tab) choosePicture(tab.closest(".pictures"), tab.dataset.picture);
    const copy = event.target.closest("button.copy");
    if (copy) copyCommand(copy);
  });

  function choosePictureByNumber(number) {
    const section = currentSection() || lastSection || visibleSections()[0];
    const tab = section && section.querySelectorAll(".tabs button")[number - 1];
    if (!tab) return;
    showView("single");
    choosePicture(tab.closest(".pictures"), tab.dataset.picture);
  }

  // Tall pictures scroll within their frames, those of one comparison together.
  main.addEventListener("scroll", (event) => {
    const frame = event.target;
    if (!(frame instanceof HTMLElement) || !frame.matches(".frame")) return;
    for (const other of frame.closest(".figures").querySelectorAll(".frame")) {
      if (other !== frame && other.scrollTop !== frame.scrollTop) other.scrollTop = frame.scrollTop;
    }
  }, { capture: true, passive: true });

  // The command that accepts; pages from file:// may have no clipboard, a selection always can be copied.

  async function copyCommand(button) {
    const code = button.parentElement.querySelector("code");
    let copied = false;
    try {
      await navigator.clipboard.writeText(code.textContent);
      copied = true;
    } catch {
      getSelection().selectAllChildren(code);
      copied = document.execCommand("copy");
    }
    button.textContent = copied ? "Copied" : "Press Ctrl+C";
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  }

  // Keys.

  const keys = {
    n: () => go(1),
    j: () => go(1),
    p: () => go(-1),
    k: () => go(-1),
    v: () => showView(root.dataset.view === "single" ? "grid" : "single"),
    "/": () => search.focus(),
    Escape: clearFilters,
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target.matches("input, textarea, select");
    if (typing && event.key !== "Escape") return;
    if (/^[1-9]$/.test(event.key)) choosePictureByNumber(Number(event.key));
    else if (Object.hasOwn(keys, event.key)) keys[event.key]();
    else return;
    event.preventDefault();
  });

  // A link to a comparison that passed leads into a closed part of the page.
  function openTarget() {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const closed = target && target.closest("details:not([open])");
    if (!closed) return;
    closed.open = true;
    target.scrollIntoView();
  }

  function isPressed(button) {
    return button.getAttribute("aria-pressed") === "true";
  }

  function press(button, pressed) {
    button.setAttribute("aria-pressed", String(pressed));
  }

  root.classList.add("js");
  showView("grid");
  addEventListener("hashchange", openTarget);
  openTarget();
})();
