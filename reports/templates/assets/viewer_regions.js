// The regions that differ: their outlines on the panes, selection by the pointer, and steps from one to the next.
(() => {
  "use strict";

  const SVG = "http://www.w3.org/2000/svg";
  /** The least size of an outline in screen pixels, so that one differing pixel is visible too. */
  const LEAST = 14;
  /** Screen pixels between a region and the middle of its outline, which must not cover what changed. */
  const AROUND = 4;

  /** @type {((index: number) => void)[]} */
  const listeners = [];
  /** @type {SVGGElement[][]} for each pane the outlines of all regions */
  let outlines = [];
  let shown = true;
  let highlighted = -1;
  let drawnScale = 0;
  /** The page element under the region at the pointer or, without one, under the selected region. */
  const label = imgdiff.element("p", { class: "region-label", hidden: true, "aria-hidden": "true" });

  const list = () => imgdiff.viewing.subject?.detail.regions ?? [];

  /** @type {Plan | null} */
  let plan = null;

  /** The boxes of the regions in the current plan. @returns {Box[]} */
  const boxes = () => list().map((region) => plan?.place?.(region) ?? region);

  function selected() {
    const number = Number(imgdiff.state.get("region"));
    return Number.isInteger(number) && number >= 1 && number <= list().length ? number - 1 : -1;
  }

  /** The box of a region in a pane, or null if its image does not have it. @param {Pane} pane @param {Region} region @returns {Box | null} */
  function boxIn(pane, region) {
    if (pane.plan.place) return pane.plan.place(region);
    const isThere = region.kind !== "deleted" || pane.layers.some((layer) => layer.plan.role === "expected");
    return isThere ? (plan?.place?.(region) ?? region) : null;
  }

  /** @param {Pane} pane @param {Plan} shownPlan */
  function drawIn(pane, shownPlan) {
    if (!shownPlan.compared || !pane.layers.length) return [];
    const groups = list().map((region) => {
      const { contour } = region;
      const group = document.createElementNS(SVG, "g");
      for (const part of ["halo", "line"]) {
        const shape = document.createElementNS(SVG, contour.length ? "polygon" : "rect");
        shape.setAttribute("class", part);
        group.append(shape);
      }
      if (!boxIn(pane, region)) group.setAttribute("display", "none");
      return group;
    });
    pane.outlines.replaceChildren(...groups); // the largest first: smaller ones are drawn over it
    return groups;
  }

  /** @param {Box} box @param {number} scale */
  function onScreen(box, scale) {
    const grow = (/** @type {number} */ start, /** @type {number} */ length) => {
      const spare = Math.max((LEAST - length * scale) / 2, AROUND);
      return [start * scale - spare, length * scale + 2 * spare];
    };
    const [x, width] = grow(box.x, box.width);
    const [y, height] = grow(box.y, box.height);
    return { x: x.toFixed(2), y: y.toFixed(2), width: width.toFixed(2), height: height.toFixed(2) };
  }

  /** The corners of a contour through the middle of pixels, or of its box if it is too small. @param {Region} region @param {number} scale */
  function corners(region, scale) {
    const { width, height } = region;
    const least = LEAST / scale;
    if (width < least && height < least) {
      const box = onScreen(region, scale);
      const [left, top] = [Number(box.x), Number(box.y)];
      const [right, bottom] = [left + Number(box.width), top + Number(box.height)];
      return `${left},${top} ${right},${top} ${right},${bottom} ${left},${bottom}`;
    }
    return region.contour.map(([left, top]) => `${((left + 0.5) * scale).toFixed(2)},${((top + 0.5) * scale).toFixed(2)}`).join(" ");
  }

  function place() {
    const { scale } = imgdiff.viewing.camera;
    if (scale === drawnScale) return; // panning moves their plane
    drawnScale = scale;
    imgdiff.viewing.stage.panes.forEach((pane, number) => {
      list().forEach((region, index) => {
        const box = boxIn(pane, region);
        if (!box) return;
        const [right, down] = [box.x - region.x, box.y - region.y];
        const contour = region.contour.map(([x, y]) => /** @type {[number, number]} */ ([x + right, y + down]));
        const there = { ...region, ...box, contour };
        const attributes = contour.length ? { points: corners(there, scale) } : onScreen(there, scale);
        for (const shape of outlines[number]?.[index]?.children ?? []) {
          for (const [name, value] of Object.entries(attributes)) shape.setAttribute(name, value);
        }
      });
    });
  }

  function mark() {
    const current = selected();
    for (const groups of outlines) {
      groups.forEach((group, index) => {
        group.classList.toggle("is-selected", index === current);
        group.classList.toggle("is-highlighted", index === highlighted);
      });
    }
    imgdiff.viewing.stage.element.classList.toggle("without-outlines", !shown);
    const looked = list()[highlighted] ?? list()[current];
    label.textContent = shown && looked ? looked.element : "";
    label.hidden = !label.textContent;
  }

  /** @param {number} index */
  function highlight(index) {
    if (index === highlighted) return;
    highlighted = index;
    mark();
    listeners.forEach((listener) => listener(index));
  }

  /** @param {number} index */
  function look(index) {
    const region = list()[index];
    const { camera, subject, stage } = imgdiff.viewing;
    if (!region || !subject || !stage.panes.length) return;
    if (plan?.compared) camera.lookAt(boxes()[index]);
    imgdiff.keys.say(`Region ${index + 1} of ${list().length}: ${region.element ? `${region.element}, ` : ""}${region.words}`);
  }

  /** @param {number} index */
  function jump(index) {
    imgdiff.state.set({ region: String(index + 1) });
    look(index);
  }

  /** @param {Point} point */
  function at(point) {
    const slack = 3 / imgdiff.viewing.camera.scale;
    let found = -1;
    const placed = boxes();
    placed.forEach(({ x, y, width, height }, index) => {
      const inside = point.x >= x - slack && point.x <= x + width + slack && point.y >= y - slack && point.y <= y + height + slack;
      const smaller = found < 0 || width * height < placed[found].width * placed[found].height;
      if (inside && smaller) found = index;
    });
    return found;
  }

  imgdiff.viewing.regions = {
    get shown() { return shown; },
    toggle() {
      shown = !shown;
      mark();
      document.getElementById("viewer-outlines")?.setAttribute("aria-pressed", String(shown));
      imgdiff.keys.say(shown ? "Regions are outlined" : "Regions are not outlined");
    },
    boxes,
    jump,
    step(by) {
      const count = list().length;
      if (!count) {
        imgdiff.keys.say("There are no regions");
        imgdiff.viewing.stage.hint("There are no regions");
        return;
      }
      const now = selected();
      jump(now < 0 ? (by > 0 ? 0 : count - 1) : (now + by + count) % count);
    },
    highlight,
    get selected() { return selected(); },
    at,
    onHighlight: (listener) => listeners.push(listener),
  };

  document.addEventListener("imgdiff:start", () => {
    const { camera, gestures, stage } = imgdiff.viewing;
    stage.element.append(label);
    stage.onShow((next) => {
      plan = next;
      highlighted = -1;
      drawnScale = 0;
      outlines = stage.panes.map((pane) => drawIn(pane, next));
      mark();
    });
    camera.onChange(place);
    gestures.onHover((point) => highlight(point && shown ? at(camera.toPicture(point)) : -1));
    gestures.onPoke((point) => {
      const index = shown ? at(camera.toPicture(point)) : -1;
      if (index >= 0) imgdiff.state.set({ region: String(index + 1) });
    });
    imgdiff.state.onChange((changed) => {
      if (changed.has("region")) mark();
    });
  });
})();
