// The viewer's keys.
(() => {
  "use strict";

  const STEP = 80;
  /** Share of the pane for page up and down: a part of the image stays visible. */
  const PAGE = 0.85;

  /** @param {string[]} keys @param {string} says @param {(event: KeyboardEvent) => void} does @returns {KeyBinding} */
  const key = (keys, says, does) => ({ keys, says, scope: "viewer", does });

  function sayZoom() {
    imgdiff.keys.say(`${Math.round(imgdiff.viewing.camera.enlargement * 100)} %`);
  }

  /** @param {string} direction @param {number} x @param {number} y */
  function arrow(direction, x, y) {
    return key([`Arrow${direction}`, `Shift+Arrow${direction}`], `Pan ${direction.toLowerCase()}; with Shift, farther`, (event) => {
      const { camera } = imgdiff.viewing;
      const far = event.shiftKey ? { x: camera.pane.width * PAGE, y: camera.pane.height * PAGE } : { x: STEP, y: STEP };
      camera.pan(-x * far.x, -y * far.y);
    });
  }

  function bindings() {
    const { viewing } = imgdiff;
    const { blink, camera, panel, regions, tuning, views } = viewing;
    const page = (/** @type {number} */ by) => camera.pan(0, -by * camera.pane.height * PAGE);
    const zoomed = (/** @type {() => void} */ change) => () => {
      change();
      sayZoom();
    };
    return [
      key(["Escape"], "Back to the list", () => imgdiff.viewer.close()),
      key(["j"], "Next comparison", () => viewing.step(1)),
      key(["k"], "Previous comparison", () => viewing.step(-1)),
      key(["r"], "The same name in the next run, in a merged report", () => viewing.otherRun()),
      ...views.all.map(({ name, title, hint }, index) => key([String(index + 1)], `${title}: ${hint.toLowerCase()}`, () => viewing.choose(name))),
      key([",", "<"], "Decrease: divider to the left, opacity, rate, heat", () => tuning.nudge(-1)),
      key([".", ">"], "Increase: divider to the right, opacity, rate, heat", () => tuning.nudge(1)),
      key(["b", " "], "Start or stop to blink", () => {
        if (viewing.view !== "blink") viewing.choose("blink");
        else if (blink.running) blink.stop();
        else blink.start();
      }),
      key(["f"], "Switch to the other image, in the blink view", () => {
        if (viewing.view !== "blink") viewing.choose("blink");
        if (viewing.view === "blink") blink.flip();
      }),
      key(["}"], "Next frame or page that differs, of several", () => viewing.stepFrame(1)),
      key(["{"], "Previous frame or page that differs", () => viewing.stepFrame(-1)),
      key(["n", "]"], "Next region", () => regions.step(1)),
      key(["p", "["], "Previous region", () => regions.step(-1)),
      key(["y"], "Copy the selected region, or the first, as an ignore area of this image, for imgdiff.yaml", () => panel.copyArea()),
      key(["l"], "Align both images, or show them unaligned", () => viewing.align()),
      key(["o"], "Show or hide the outlines of regions", () => regions.toggle()),
      key(["+", "="], "Zoom in", zoomed(() => camera.step(true))),
      key(["-", "_"], "Zoom out", zoomed(() => camera.step(false))),
      key(["0"], "Fit", zoomed(() => camera.fit())),
      key(["w"], "Fit the width", zoomed(() => camera.fitWidth())),
      key(["e"], "Fit the whole image", zoomed(() => camera.whole())),
      key(["z"], "Actual size, 1:1", zoomed(() => camera.trueSize())),
      arrow("Left", -1, 0),
      arrow("Right", 1, 0),
      arrow("Up", 0, -1),
      arrow("Down", 0, 1),
      key(["PageDown"], "A page down", () => page(1)),
      key(["PageUp"], "A page up", () => page(-1)),
      key(["Home"], "To the top", () => camera.pan(0, camera.picture.height * camera.scale)),
      key(["End"], "To the bottom", () => camera.pan(0, -camera.picture.height * camera.scale)),
      key(["i"], "Show or hide the details", () => panel.toggle()),
    ];
  }

  document.addEventListener("imgdiff:start", () => imgdiff.keys.bind(bindings()));
})();
