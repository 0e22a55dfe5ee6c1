// Sections of the panel: rules, capture, notes, both files, the test, and the command that accepts.
(() => {
  "use strict";

  const { element } = imgdiff;

  /** @param {string} title @param {(Node | null)[]} children */
  const section = (title, ...children) => element("section", {}, element("h3", {}, title), ...children);

  /** @param {string} name @param {string} label @param {string[]} head @param {HTMLElement[]} rows */
  function table(name, label, head, rows) {
    const heads = head.map((text) => (text ? element("th", { scope: "col" }, text) : element("td", {})));
    return element(
      "table",
      { class: name, "aria-label": label },
      element("thead", {}, element("tr", {}, ...heads)),
      element("tbody", {}, ...rows),
    );
  }

  /** @param {Detail["rules"][number]} rule */
  function ruleRow(rule) {
    const verdict = element("span", { class: `badge is-${rule.outcome}` }, rule.verdict);
    // A warning's limit and margin are below those of the rule, so that each margin is next to its limit.
    const limits = rule.limits.flatMap((limit, index) => {
      const margin = rule.margins[index];
      return [element("span", { class: "item" }, limit), margin ? element("span", { class: "item soft" }, margin) : null];
    });
    const margins = rule.margins.slice(rule.limits.length).map((margin) => element("span", { class: "item soft" }, margin));
    return element(
      "tr",
      {},
      element("th", { scope: "row" }, element("span", { class: "item" }, rule.metric), verdict),
      element("td", {}, rule.value),
      element("td", {}, ...limits, ...margins),
    );
  }

  /** A metric that was only measured has no verdict and no limit. @param {Detail["rules"][number]} rule */
  const measureRow = (rule) => element("tr", {}, element("th", { scope: "row" }, rule.metric), element("td", {}, rule.value));

  /** @param {Detail["rules"][number]} rule */
  function ruleDetails(rule) {
    if (!rule.details.length) return null;
    const pairs = rule.details.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value)));
    return element("details", {}, element("summary", {}, `More of ${rule.metric}`), element("dl", { class: "pairs" }, ...pairs));
  }

  /** @param {HTMLElement} code @param {HTMLButtonElement} button */
  async function copy(code, button) {
    let copied = false;
    try {
      await navigator.clipboard.writeText(code.textContent ?? "");
      copied = true;
    } catch { // a page from file:// may have no clipboard; the user can copy the selection
      getSelection()?.selectAllChildren(code);
      copied = document.execCommand("copy");
    }
    button.textContent = copied ? "Copied" : "Press Ctrl+C";
    imgdiff.keys.say(copied ? "Copied" : "Selected: press Ctrl+C");
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  }

  /** @param {string} text @param {string} what */
  function copyable(text, what) {
    const code = element("code", {}, text);
    const attributes = { type: "button", class: "quiet copy", "aria-label": `Copy ${what}` };
    const button = /** @type {HTMLButtonElement} */ (element("button", attributes, "Copy"));
    button.addEventListener("click", () => copy(code, button));
    return element("div", { class: "copyable" }, code, button);
  }

  /** @param {Figure} figure */
  function link(figure) {
    const size = figure.width && figure.height ? ` ${figure.width}×${figure.height}` : "";
    const anchor = element("a", { href: figure.href, target: "_blank", rel: "noopener" }, figure.caption || figure.key);
    return element("li", {}, anchor, element("span", { class: "soft" }, size));
  }

  /** @param {Detail["facts"][number]} fact */
  function factRow(fact) {
    const differs = fact.differs ? element("span", { class: "visually-hidden" }, " (differs)") : null;
    return element(
      "tr",
      { class: fact.differs ? "differs" : null },
      element("th", { scope: "row" }, fact.name, differs),
      element("td", {}, fact.expected),
      element("td", {}, fact.actual),
    );
  }

  imgdiff.viewing.facts = {
    rules({ rules: all, nearestLimits }) {
      const rules = all.filter(({ measured }) => !measured);
      const only = all.filter(({ measured }) => measured);
      const head = ["Rule", "Value", "Limit, and how far from it"];
      const measures = only.length
        ? [section("Measured only", table("measured", "Measured only", ["Metric", "Value"], only.map(measureRow)), ...only.map(ruleDetails))]
        : [];
      if (!rules.length) return measures;
      const near = nearestLimits ? element("p", { class: "nearest" }, "Would pass with ", element("code", {}, nearestLimits)) : null;
      return [section("Rules", table("rules", "Rules", head, rules.map(ruleRow)), near, ...rules.map(ruleDetails)), ...measures];
    },
    capture({ capture, attachments }) {
      if (!capture.length) return [];
      const pairs = capture.map(([name, words]) => element("div", {}, element("dt", {}, name), element("dd", {}, words)));
      const links = attachments.map(([what, href]) => element("li", {}, element("a", { href, target: "_blank", rel: "noopener" }, what)));
      return [section("Capture", element("dl", { class: "pairs" }, ...pairs), links.length ? element("ul", { class: "links" }, ...links) : null)];
    },
    notes({ notes }) {
      return notes.length ? [section("Notes", element("ul", { class: "notes" }, ...notes.map((note) => element("li", {}, note))))] : [];
    },
    files({ detail }) {
      const figures = detail.figures.filter(({ key }) => key !== "thumb");
      const links = figures.length ? element("ul", { class: "links" }, ...figures.map(link)) : null;
      const facts = detail.facts.length ? table("facts", "Both files", ["", "Expected", "Actual"], detail.facts.map(factRow)) : null;
      return links || facts ? [section("Files", facts, links)] : [];
    },
    accept({ accept, written }) {
      const done = written ? element("p", {}, written) : null;
      if (!accept) return done ? [section("Accept", done)] : [];
      return [section("Accept by command", done, copyable(accept, "the command"))];
    },
    origin({ row, detail }) {
      const test = row.test ? copyable(row.test, "the test's name") : null;
      const column = imgdiff.run.columns[row.column];
      const run = column ? element("p", { class: "soft" }, `Run: ${column}`) : null;
      const seconds = detail.seconds ? element("p", { class: "soft" }, `Compared in ${detail.seconds}`) : null;
      return test || run || seconds ? [section("Test", test, run, seconds)] : [];
    },
  };
})();
