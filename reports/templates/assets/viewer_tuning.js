// The settings of a view: the onion skin's opacity, the blink's rate, the heat and its strength. They are kept for the
// next comparison.
(() => {
  "use strict";

  const { element } = imgdiff;
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  const bar = element("div", { class: "tuning" });

  let opacity = 50;
  let strength = 100;
  /** The last selected heat, by the key of its figure. */
  let metric = "";

  /** @type {HTMLInputElement | null} what nudge() moves */
  let range = null;

  /**
   * @param {string} name @param {{min: number, max: number, step: number, value: number}} limits
   * @param {(value: number) => string} says @param {(value: number) => void} set
   */
  function slider(name, limits, says, set) {
    const input = /** @type {HTMLInputElement} */ (element("input", { type: "range", ...limits }));
    const output = element("output", {});
    const apply = () => {
      set(input.valueAsNumber);
      output.textContent = says(input.valueAsNumber);
      input.setAttribute("aria-valuetext", says(input.valueAsNumber));
    };
    input.addEventListener("input", apply);
    apply();
    range = input;
    return element("label", { class: "tuning-range" }, element("span", {}, name), input, output);
  }

  /** @param {LayerRole} role @param {number} percent */
  function fade(role, percent) {
    const [pane] = imgdiff.viewing.stage.panes;
    for (const { plan, box } of pane ? [...pane.layers, ...pane.gaps] : []) {
      if (plan.role === role) box.style.opacity = String(percent / 100);
    }
  }

  function onion() {
    const limits = { min: 0, max: 100, step: 1, value: opacity };
    return [
      slider("Expected", limits, (value) => `Actual ${value} %`, (value) => {
        opacity = value;
        fade("actual", value);
      }),
    ];
  }

  function blink() {
    const { blink: lamp } = imgdiff.viewing;
    const button = element("button", { type: "button", class: "quiet", "aria-keyshortcuts": "b" });
    const name = () => { button.textContent = lamp.running ? "Pause" : "Start"; };
    button.addEventListener("click", () => (lamp.running ? lamp.stop() : lamp.start()));
    changed = name;
    name();
    const flip = element("button", { type: "button", class: "quiet", "aria-keyshortcuts": "f" }, "Flip");
    flip.addEventListener("click", () => lamp.flip());
    const limits = { min: 0.5, max: 3, step: 0.25, value: lamp.rate };
    const rate = slider("Rate", limits, (value) => `${value} a second`, (value) => { lamp.rate = value; });
    const why = calm.matches ? element("span", { class: "tuning-note" }, "Paused: your system requests reduced motion") : null;
    return [button, flip, rate, why];
  }

  /** Called when the blinking starts or stops; draws the button of the last blink() only. */
  let changed = () => {};

  function heat() {
    const { subject } = imgdiff.viewing;
    if (!subject) return [];
    const limits = { min: 0, max: 100, step: 1, value: strength };
    const cover = slider("Actual", limits, (value) => `Heat ${value} %`, (value) => {
      strength = value;
      fade("heat", value);
    });
    return subject.heats.length > 1 ? [chooser(subject), cover] : [cover];
  }

  /** @param {Subject} subject */
  function chooser(subject) {
    const options = subject.heats.map(({ key, caption }) => element("option", { value: key }, caption || key));
    const select = /** @type {HTMLSelectElement} */ (element("select", { "aria-label": "Heat of which metric" }, ...options));
    select.value = chosenHeat(subject)?.key ?? "";
    select.addEventListener("change", () => {
      metric = select.value;
      imgdiff.viewing.choose("heat");
      /** @type {HTMLElement | null} */ (bar.querySelector("select"))?.focus();
    });
    return select;
  }

  /** @param {Subject} subject */
  const chosenHeat = (subject) => subject.heats.find(({ key }) => key === metric) ?? subject.heats[0] ?? null;

  imgdiff.viewing.tuning = {
    element: bar,
    show(view) {
      range = null;
      /** @type {Partial<Record<ViewName, () => (Node | null)[]>>} */
      const controls = { onion, blink, heat };
      const hint = imgdiff.viewing.views.all.find(({ name }) => name === view)?.hint ?? "";
      const nodes = controls[view]?.() ?? [element("span", { class: "tuning-note" }, hint)];
      bar.replaceChildren(...nodes.filter((node) => node !== null));
    },
    nudge(by) {
      if (imgdiff.viewing.view === "swipe") {
        imgdiff.viewing.swipe.place += by * 0.05;
        return;
      }
      if (!range) return;
      range.valueAsNumber += by * (range.max === "100" ? 5 : Number(range.step));
      range.dispatchEvent(new Event("input"));
    },
    heat: chosenHeat,
  };

  document.addEventListener("imgdiff:start", () => imgdiff.viewing.blink.onChange(() => changed()));
})();
