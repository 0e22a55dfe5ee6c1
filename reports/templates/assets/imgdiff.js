// The only global of the page, and functions that create elements.
(() => {
  "use strict";

  /**
   * Create an element. Text of a report becomes a text node or an attribute, never markup.
   *
   * @param {string} tag
   * @param {Record<string, string | number | boolean | null>} [attributes] null and false leave the attribute out
   * @param {(Node | string | null)[]} children
   */
  function element(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value !== null && value !== false) made.setAttribute(name, value === true ? "" : String(value));
    }
    for (const child of children) {
      if (child !== null) made.append(child);
    }
    return made;
  }

  /**
   * A required element of the page's template.
   *
   * @param {string} id
   */
  function place(id) {
    const found = document.getElementById(id);
    if (!found)
      throw new Error(`The page has no element with the id "${id}": a template that replaces a block must keep its ids.`);
    return found;
  }

  /** @type {(number: number) => string} "1 284", as the Python side writes it */
  const thousands = (number) => String(number).replace(/\B(?=(\d{3})+$)/g, "\u00a0");

  /** @type {(number: number, noun: string) => string} "1 region", "3 regions" */
  const counted = (number, noun) => `${thousands(number)} ${noun}${number === 1 ? "" : "s"}`;

  globalThis.imgdiff = /** @type {Imgdiff} */ ({ element, place, thousands, counted });
})();
