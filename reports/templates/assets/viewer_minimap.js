// A small copy of the whole image, with its regions and the visible part: next to the panes for tall images, in their
// corner for other zoomed images. For the pointer only; keys and screen readers use the list of regions.
(() => {
  "use strict";

  const { element } = imgdiff;
  /** A region is at least this many pixels high in the map. */
  const LEAST = 3;
  /** The least width of the map of a very long image. */
  const NARROWEST = 36;
  /** The side of the map in the corner. */
  const CORNER = 132;
  /** On two sides of the strip together, as in viewer.css. */
  const PADDING = 8;

  const pictures = element("div", { class: "minimap-pictures" });
  const marks = element("div", { class: "minimap-marks" });
  const frame = element("div", { class: "minimap-frame" });
  const map = element("div", { class: "minimap-map" }, pictures, marks, frame);
  const minimap = element("div", { class: "minimap", "aria-hidden": "true", hidden: true }, map);

  /** @type {(part: number) => string} */
  const percent = (part) => `${(part * 100).toFixed(3)}%`;

  /** @param {HTMLElement} mark @param {Box} box @param {Size} whole */
  function put(mark, box, whole) {
    mark.style.left = percent(box.x / whole.width);
    mark.style.top = percent(box.y / whole.height);
    mark.style.width = `max(${percent(box.width / whole.width)}, ${LEAST}px)`;
    mark.style.height = `max(${percent(box.height / whole.height)}, ${LEAST}px)`;
  }

  /** @param {LayerPlan} layer @param {Size} whole */
  function pictureOf({ figure, width, height, slice }, whole) {
    const shown = slice ?? { x: 0, y: 0, width, height, at: { x: 0, y: 0 } };
    const image = element("img", { src: figure.href, alt: "", draggable: "false" });
    image.style.width = percent(width / shown.width);
    image.style.height = percent(height / shown.height);
    image.style.left = percent(-shown.x / shown.width);
    image.style.top = percent(-shown.y / shown.height);
    const box = element("div", {}, image);
    box.style.left = percent(shown.at.x / whole.width);
    box.style.top = percent(shown.at.y / whole.height);
    box.style.width = percent(shown.width / whole.width);
    box.style.height = percent(shown.height / whole.height);
    return box;
  }

  /** @param {Plan} plan */
  function show(plan) {
    const layer = plan.panes.flatMap(({ layers }) => layers).find(({ role }) => role !== "tint" && role !== "mask" && role !== "heat")
      ?? plan.panes.flatMap(({ layers }) => layers)[0];
    const parts = plan.panes.flatMap(({ layers }) => layers).filter(({ figure, role }) => figure === layer?.figure && role === layer.role);
    pictures.replaceChildren(...parts.map((part) => pictureOf(part, plan)));
    const regions = plan.compared ? (imgdiff.viewing.subject?.detail.regions ?? []).map((region) => plan.place?.(region) ?? region) : [];
    marks.replaceChildren(...regions.map((region) => {
      const mark = element("span", {});
      put(mark, region, plan);
      return mark;
    }));
  }

  function draw() {
    const { canPan, tall, picture: whole, seen } = imgdiff.viewing.camera;
    minimap.hidden = !(canPan || tall);
    minimap.classList.toggle("is-beside", tall);
    if (minimap.hidden) return;
    const { clientWidth, clientHeight } = minimap;
    const room = tall ? { width: clientWidth - PADDING, height: clientHeight - PADDING } : { width: CORNER, height: CORNER };
    const scale = Math.min(room.width / whole.width, room.height / whole.height);
    map.style.width = `${Math.max(whole.width * scale, NARROWEST)}px`;
    map.style.height = `${Math.max(whole.height * scale, NARROWEST)}px`;
    const left = Math.max(seen.x, 0);
    const top = Math.max(seen.y, 0);
    const width = Math.min(seen.x + seen.width, whole.width) - left;
    const height = Math.min(seen.y + seen.height, whole.height) - top;
    put(frame, { x: left, y: top, width, height }, whole);
  }

  /** @param {PointerEvent} event */
  function follow(event) {
    event.stopPropagation();
    if (event.type === "pointerdown") map.setPointerCapture(event.pointerId);
    if (!map.hasPointerCapture(event.pointerId)) return;
    const { left, top, width, height } = map.getBoundingClientRect();
    const { camera } = imgdiff.viewing;
    camera.centre({
      x: ((event.clientX - left) / width) * camera.picture.width,
      y: ((event.clientY - top) / height) * camera.picture.height,
    });
  }

  map.addEventListener("pointerdown", follow);
  map.addEventListener("pointermove", follow);

  imgdiff.viewing.minimap = { element: minimap };

  document.addEventListener("imgdiff:start", () => {
    imgdiff.viewing.stage.onShow(show);
    imgdiff.viewing.camera.onChange(draw);
  });
})();
