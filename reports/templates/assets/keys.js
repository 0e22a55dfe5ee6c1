// The keyboard: one table of bindings, which the help sheet also shows.
(() => {
  "use strict";

  /** @type {KeyBinding[]} */
  const bindings = [];

  const MOVES = new Set(["ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight", "Home", "End", "PageUp", "PageDown"]);

  /** @param {KeyboardEvent} event */
  function pressed(event) {
    const shift = event.shiftKey && event.key.length > 1 ? "Shift+" : "";
    return `${event.ctrlKey || event.metaKey ? "Ctrl+" : ""}${shift}${event.key}`;
  }

  /**
   * Whether the focused control needs this key itself.
   *
   * @param {KeyboardEvent} event
   */
  function belongsToControl(event) {
    const target = event.target;
    if (!(target instanceof HTMLElement)) return false;
    if (event.key === "Escape") return false;
    if (target instanceof HTMLInputElement && ["checkbox", "radio", "range", "button"].includes(target.type)) {
      return event.key === " " || MOVES.has(event.key);
    }
    if (target.isContentEditable || target.matches("input, textarea, select")) return true;
    return target.matches("button, a[href], summary") && (event.key === "Enter" || event.key === " ");
  }

  /** @param {KeyboardEvent} event */
  function onKeyDown(event) {
    if (event.defaultPrevented || event.isComposing || event.altKey || belongsToControl(event)) return;
    if (document.querySelector("dialog:modal")) return; // it handles all keys
    const scope = (imgdiff.viewer?.current() ?? -1) >= 0 ? "viewer" : "list";
    const key = pressed(event);
    const fits = bindings.filter((binding) => binding.keys.includes(key));
    const found =
      fits.find((binding) => binding.scope === scope) ?? fits.find((binding) => binding.scope === "everywhere");
    if (!found) return;
    event.preventDefault();
    found.does(event);
  }

  /** @param {string} text */
  function say(text) {
    const status = imgdiff.place("status");
    // Screen readers repeat a text only if it changes.
    status.textContent = status.textContent === text ? `${text}\u00a0` : text;
  }

  document.addEventListener("keydown", onKeyDown);

  imgdiff.keys = {
    bind: (more) => bindings.push(...more),
    all: () => [...bindings],
    say,
  };
})();
