// The help sheet with all keys, on "?".
(() => {
  "use strict";

  const { element } = imgdiff;

  /** @type {[KeyBinding["scope"], string][]} */
  const SECTIONS = [
    ["everywhere", "Everywhere"],
    ["list", "In the list"],
    ["viewer", "In a comparison"],
  ];
  /** @type {Record<string, string>} */
  const WRITTEN = {
    ArrowUp: "↑",
    ArrowDown: "↓",
    ArrowLeft: "←",
    ArrowRight: "→",
    PageUp: "Page up",
    PageDown: "Page down",
    Escape: "Esc",
    " ": "Space",
  };

  /** @param {string} key */
  function keyCap(key) {
    const parts = key === "+" ? ["+"] : key.split(/\+(?=.)/);
    return element("kbd", {}, parts.map((part) => WRITTEN[part] ?? part).join(" + "));
  }

  /** @param {KeyBinding["scope"]} scope @param {string} title */
  function section(scope, title) {
    const rows = imgdiff.keys.all().filter((binding) => binding.scope === scope);
    if (!rows.length) return null;
    const list = element("dl", {});
    for (const binding of rows) {
      list.append(element("div", {}, element("dt", {}, ...binding.keys.map(keyCap)), element("dd", {}, binding.says)));
    }
    return element("section", {}, element("h3", {}, title), list);
  }

  function show() {
    const dialog = /** @type {HTMLDialogElement} */ (imgdiff.place("help"));
    const close = element("button", { type: "button", class: "quiet" }, "Close");
    close.addEventListener("click", () => dialog.close());
    dialog.replaceChildren(
      element("header", {}, element("h2", { id: "help-title" }, "Keys"), close),
      element("div", { class: "sheet" }, ...SECTIONS.map(([scope, title]) => section(scope, title))),
    );
    dialog.setAttribute("aria-labelledby", "help-title");
    dialog.showModal();
  }

  document.addEventListener("imgdiff:start", () => {
    imgdiff.keys.bind([{ keys: ["?"], says: "Show this sheet", scope: "everywhere", does: show }]);
    const dialog = /** @type {HTMLDialogElement} */ (imgdiff.place("help"));
    // A click outside the sheet closes it, like Escape.
    dialog.addEventListener("click", (event) => {
      if (event.target === dialog) dialog.close();
    });
    document.getElementById("show-help")?.addEventListener("click", show);
  });
})();
