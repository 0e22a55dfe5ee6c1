// A list of many lines of which only the visible ones are in the document. The page itself scrolls, not a box in it.
(() => {
  "use strict";

  /** Height of the lines drawn beyond both edges of the screen, in pixels: one step of the wheel. */
  const MARGIN = 600;

  /** @type {Imgdiff["virtual"]} */
  imgdiff.virtual = (container, { heightOf, draw, pinned }) => {
    /** tops[i] is where line i begins; the last one is the height of all. */
    let tops = new Float64Array(1);
    let count = 0;
    /** @type {Map<number, HTMLElement>} */
    const drawn = new Map();

    /** The line that covers this height. @param {number} height */
    function lineAt(height) {
      let low = 0;
      let high = count - 1;
      while (low < high) {
        const middle = (low + high + 1) >> 1;
        if (tops[middle] <= height) low = middle;
        else high = middle - 1;
      }
      return low;
    }

    function inSight() {
      if (!count) return [];
      const above = -container.getBoundingClientRect().top;
      const from = lineAt(above - MARGIN);
      const to = lineAt(above + window.innerHeight + MARGIN);
      const lines = Array.from({ length: to - from + 1 }, (_, at) => from + at);
      const kept = pinned(); // the focused line stays in the document
      if (kept >= 0 && kept < count) {
        if (kept < from) lines.unshift(kept);
        if (kept > to) lines.push(kept);
      }
      return lines;
    }

    function update() {
      const lines = inSight();
      const wanted = new Set(lines);
      for (const [line, element] of drawn) {
        if (wanted.has(line)) continue;
        element.remove();
        drawn.delete(line);
      }
      /** @type {HTMLElement | null} */
      let before = null;
      for (const line of lines) {
        let element = drawn.get(line);
        if (!element) {
          element = draw(line);
          element.style.top = `${tops[line]}px`;
          drawn.set(line, element);
          // In the order of the lines, which screen readers and the Tab key follow.
          if (before) before.after(element);
          else container.prepend(element);
        }
        before = element;
      }
    }

    /** @param {number} lines */
    function layout(lines) {
      count = lines;
      tops = new Float64Array(count + 1);
      for (let line = 0; line < count; line++) tops[line + 1] = tops[line] + heightOf(line);
      container.style.height = `${tops[count]}px`;
      for (const element of drawn.values()) element.remove();
      drawn.clear();
      update();
    }

    /** The toolbar sticks to the top and the bar of decisions to the bottom. */
    function edges() {
      const bar = document.getElementById("decide-bar");
      const toolbar = imgdiff.place("toolbar");
      const top = getComputedStyle(toolbar).position === "sticky" ? toolbar.offsetHeight : 0;
      return { top, bottom: bar && !bar.hidden ? bar.offsetHeight : 0 };
    }

    /** @param {number} line */
    function reveal(line) {
      if (line < 0 || line >= count) return;
      const start = container.getBoundingClientRect().top;
      const { top, bottom } = edges();
      const over = start + tops[line] - top;
      const under = start + tops[line + 1] - (window.innerHeight - bottom);
      if (over < 0) window.scrollBy({ top: over - 8, behavior: "instant" });
      else if (under > 0) window.scrollBy({ top: under + 8, behavior: "instant" });
      update();
    }

    window.addEventListener("scroll", update, { passive: true });
    window.addEventListener("resize", update);

    return {
      layout,
      reveal,
      elementOf: (line) => drawn.get(line) ?? null,
      page() {
        const { top, bottom } = edges();
        return Math.max(1, Math.floor((window.innerHeight - top - bottom) / (tops[count] / Math.max(1, count))) - 1);
      },
    };
  };
})();
