// The toolbar: search, grouping, sorting, and the number of comparisons shown.
(() => {
  "use strict";

  const { place, thousands } = imgdiff;

  /** @type {HTMLInputElement} */
  let search;

  /** @param {string} id @param {() => string} value */
  function choice(id, value) {
    const select = /** @type {HTMLSelectElement} */ (place(id));
    select.addEventListener("change", () =>
      imgdiff.state.set({ [id]: select.value, ...(id === "group" ? { fold: "", folded: "" } : {}) }),
    );
    const show = () => {
      select.value = value();
    };
    document.addEventListener("imgdiff:arranged", show);
    show();
  }

  /** @param {HTMLSelectElement} select */
  function cycle(select) {
    select.selectedIndex = (select.selectedIndex + 1) % select.options.length;
    select.dispatchEvent(new Event("change"));
    imgdiff.keys.say(`${select.labels[0]?.firstElementChild?.textContent} ${select.selectedOptions[0].textContent}`);
  }

  function showCount() {
    const count = imgdiff.list.shown().length;
    const { total } = imgdiff.run;
    place("shown").textContent =
      count === total ? `all ${thousands(total)}` : `${thousands(count)} of ${thousands(total)}`;
    const others = place("show-others");
    others.hidden = !imgdiff.filters.active() && count === total;
    others.textContent = imgdiff.filters.active() ? "Clear filters" : "Show all";
    if (document.activeElement !== search) search.value = imgdiff.state.get("search");
  }

  /** Switch between comparisons that need attention and all; reset other filters first. */
  function showOthers() {
    if (imgdiff.filters.active()) imgdiff.filters.clear();
    else toggleOutcome();
  }

  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let waiting;
  function sayCount() {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      const inViewer = (imgdiff.viewer?.current() ?? -1) >= 0; // which has announced something newer
      if (!inViewer) imgdiff.keys.say(`${place("shown").textContent} shown`);
    }, 600);
  }

  function toggleOutcome() {
    const everything = imgdiff.filters.chosen("outcome").size === 0;
    imgdiff.state.set({ outcome: everything ? "" : "all" });
  }

  function clearSearch() {
    if (imgdiff.state.get("search")) {
      search.value = "";
      imgdiff.state.set({ search: "" });
    } else if (document.activeElement === search) search.blur();
  }

  function focusSearch() {
    search.focus();
    search.select();
  }

  function bindKeys() {
    const group = /** @type {HTMLSelectElement} */ (place("group"));
    const sort = /** @type {HTMLSelectElement} */ (place("sort"));
    /** @type {[string[], string, () => void][]} */
    const bindings = [
      [["/"], "Search", focusSearch],
      [["Escape"], "Clear the search", clearSearch],
      [["f"], "Failures and warnings only, or everything", toggleOutcome],
      [["0"], "Clear all filters", imgdiff.filters.clear],
      [["g"], "Group by the next field", () => cycle(group)],
      [["s"], "Sort by the next field", () => cycle(sort)],
    ];
    imgdiff.keys.bind(bindings.map(([keys, says, does]) => ({ keys, says, scope: "list", does })));
  }

  /** Rows scroll into view below the toolbar, and the filters stick below it. */
  function measure() {
    const toolbar = place("toolbar");
    document.documentElement.style.setProperty("--toolbar-height", `${toolbar.offsetHeight}px`);
  }

  document.addEventListener("imgdiff:start", () => {
    search = /** @type {HTMLInputElement} */ (place("search"));
    search.addEventListener("input", () => imgdiff.state.set({ search: search.value.trim() }));
    search.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== "ArrowDown") return;
      event.preventDefault();
      /** @type {HTMLElement | null} */ (document.querySelector("#comparisons [tabindex='0']"))?.focus();
    });
    choice("group", imgdiff.groups.by);
    choice("sort", imgdiff.groups.sortedBy);
    place("show-others").addEventListener("click", showOthers);
    document.getElementById("clear-all")?.addEventListener("click", imgdiff.filters.clear);
    const filters = place("show-filters");
    filters.addEventListener("click", () => {
      const open = place("filters").classList.toggle("is-open");
      filters.setAttribute("aria-expanded", String(open));
    });
    place("skip").addEventListener("click", (event) => {
      event.preventDefault(); // what follows "#" is the page's state
      /** @type {HTMLElement | null} */ (document.querySelector("#comparisons [tabindex='0']"))?.focus();
    });
    document.addEventListener("imgdiff:arranged", showCount);
    imgdiff.state.onChange(sayCount);
    new ResizeObserver(measure).observe(place("toolbar"));
    bindKeys();
    showCount();
  });
})();
