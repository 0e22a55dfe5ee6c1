// On paper the list is a plain table; plain.html has all of it.
(() => {
  "use strict";

  const MOST = 500;
  const { element, thousands, counted } = imgdiff;

  /** @param {number} index */
  function line(index) {
    const row = imgdiff.run.rows[index];
    const column = row.column < 0 ? "" : ` (${imgdiff.run.columns[row.column]})`;
    return element(
      "tr",
      {},
      element("th", { scope: "row" }, element("bdi", {}, row.name), column),
      element("td", {}, row.outcome),
      element("td", {}, row.verdict),
      element("td", {}, row.line),
    );
  }

  /** A self-contained page has no other files. @param {number} rest */
  function remainder(rest) {
    const beside = document.querySelector("footer a[href='plain.html']") ? "in plain.html" : "not printed";
    return `${thousands(rest)} more are ${beside}.`;
  }

  function fill() {
    const shown = imgdiff.list.shown();
    const rest = shown.length - MOST;
    const head = element(
      "tr",
      {},
      ...["Comparison", "Outcome", "Verdict", "Result"].map((title) => element("th", { scope: "col" }, title)),
    );
    const { total } = imgdiff.run;
    const table = element(
      "table",
      { id: "printed" },
      element("caption", {}, `${counted(shown.length, "comparison")} of ${thousands(total)}`),
      element("thead", {}, head),
      element("tbody", {}, ...shown.slice(0, MOST).map(line)),
    );
    if (rest > 0) {
      table.append(element("tfoot", {}, element("tr", {}, element("td", { colspan: 4 }, remainder(rest)))));
    }
    clear();
    document.querySelector("footer")?.before(table);
    if (!table.isConnected) document.body.append(table);
  }

  const clear = () => document.getElementById("printed")?.remove();

  window.addEventListener("beforeprint", fill);
  window.addEventListener("afterprint", clear);
})();
