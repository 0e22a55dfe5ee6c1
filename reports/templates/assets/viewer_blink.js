// Blink: expected and actual in turn. At most three changes a second (WCAG 2.2, 2.3.1), and no automatic ones if the
// system setting is reduced motion.
(() => {
  "use strict";

  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  /** @type {(() => void)[]} */
  const listeners = [];
  let rate = 1.5;
  let timer = 0;
  let actualOnTop = false;

  const active = () => imgdiff.viewing.view === "blink" && imgdiff.viewing.stage.panes.length === 1;

  function draw() {
    if (!active()) return;
    const [pane] = imgdiff.viewing.stage.panes;
    for (const { plan, box } of [...pane.layers, ...pane.gaps]) box.classList.toggle("is-under", (plan.role === "actual") !== actualOnTop);
    pane.caption.textContent = actualOnTop ? "Actual" : "Expected";
    pane.window.dataset.side = actualOnTop ? "actual" : "expected";
  }

  function turn() {
    actualOnTop = !actualOnTop;
    draw();
  }

  function stop() {
    clearInterval(timer);
    timer = 0;
    listeners.forEach((listener) => listener());
  }

  function start() {
    clearInterval(timer);
    timer = setInterval(turn, 1000 / rate);
    listeners.forEach((listener) => listener());
  }

  imgdiff.viewing.blink = {
    get rate() { return rate; },
    set rate(next) {
      rate = next;
      if (timer) start();
    },
    get running() { return timer !== 0; },
    start,
    stop,
    flip() {
      stop();
      turn();
      imgdiff.keys.say(actualOnTop ? "Actual" : "Expected");
    },
    onChange: (listener) => listeners.push(listener),
  };

  document.addEventListener("imgdiff:start", () => {
    imgdiff.viewing.stage.onShow((_plan, anew) => {
      if (!active()) {
        if (timer) stop();
        return;
      }
      if (anew) actualOnTop = false;
      draw();
      if (calm.matches) stop();
      else start();
    });
  });
})();
