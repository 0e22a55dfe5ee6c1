// The state of the page, in the URL after "#": links, a reload and the browser's back button restore it.
(() => {
  "use strict";

  /** @type {((changed: Set<string>) => void)[]} */
  const listeners = [];
  let values = read();

  /** "#group=folder&open=c-1"; a bare "#c-1" opens that comparison. */
  function read() {
    const text = location.hash.slice(1);
    if (text.startsWith("c-") && !text.includes("=")) return new Map([["open", text]]);
    return new Map([...new URLSearchParams(text)].filter(([, value]) => value));
  }

  /** @param {Map<string, string>} next */
  function become(next) {
    const before = values;
    values = next;
    const changed = new Set([...before.keys(), ...next.keys()].filter((key) => before.get(key) !== next.get(key)));
    if (changed.size) listeners.forEach((listener) => listener(changed));
  }

  /** @param {Record<string, string>} changes */
  function changedBy(changes) {
    const next = new Map(values);
    for (const [key, value] of Object.entries(changes)) {
      if (value) next.set(key, value);
      else next.delete(key);
    }
    return next;
  }

  /** @param {Map<string, string>} next */
  function addressOf(next) {
    // "/" and "," are legal in a fragment, and a folder reads better with them.
    return `#${new URLSearchParams([...next]).toString().replaceAll("%2F", "/").replaceAll("%2C", ",")}`;
  }

  /** @param {Record<string, string>} changes @param {boolean} [push] */
  function set(changes, push = false) {
    const next = changedBy(changes);
    try {
      if (push) history.pushState(null, "", addressOf(next));
      else history.replaceState(null, "", addressOf(next));
    } catch {
      // Browsers limit how often the URL changes; the page changes anyway.
    }
    become(next);
  }

  /** A value can contain the comma that separates values. @param {Iterable<string>} several */
  const joined = (several) => [...several].map((value) => value.replace(/[%,]/g, encodeURIComponent)).join(",");

  /** @param {string} key */
  function getAll(key) {
    const parts = (values.get(key) ?? "").split(",").filter(Boolean);
    return parts.map((part) => part.replaceAll("%2C", ",").replaceAll("%25", "%"));
  }

  window.addEventListener("popstate", () => become(read()));
  window.addEventListener("hashchange", () => become(read()));

  imgdiff.state = {
    get: (key) => values.get(key) ?? "",
    getAll,
    joined,
    set,
    link: (changes) => addressOf(changedBy(changes)),
    onChange: (listener) => listeners.push(listener),
  };
})();
