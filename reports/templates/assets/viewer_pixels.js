// The pixel under the pointer, or for keys in the middle of the pane: its position, its colours in both images and their
// difference; from an enlargement of eight also the pixel grid.
(() => {
  "use strict";

  const { element } = imgdiff;
  const GRID_FROM = 8;
  /** Pixels are read in tiles: a movement within one decodes and copies nothing. */
  const TILE = 128;
  const IDLE = matchMedia("(pointer: coarse)").matches
    ? "Drag moves, pinch zooms"
    : "Drag or the wheel moves, Ctrl with the wheel zooms, ? shows all keys";

  /** @typedef {{x: number, y: number, width: number, height: number, data: Uint8ClampedArray}} Tile */
  /** @typedef {{image: Promise<HTMLImageElement | null>, ready: HTMLImageElement | null | undefined, tile: Tile | null}} Source */

  /** @type {Map<string, Source>} by address, of the open comparison */
  const sources = new Map();
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = TILE;
  const context = canvas.getContext("2d", { willReadFrequently: true, colorSpace: "srgb" });

  /** @type {Point | null} */
  let pointer = null;
  let drawn = false;

  const place = element("span", { class: "pixel-place" });
  const cells = {
    expected: cell("Expected"),
    actual: cell("Actual"),
  };
  const difference = element("span", { class: "pixel-difference" });
  const note = element("span", { class: "pixel-note" });
  const readout = element("div", { class: "pixels" }, place, cells.expected.box, cells.actual.box, difference, note);

  /** @param {string} name */
  function cell(name) {
    const swatch = element("span", { class: "swatch", "aria-hidden": "true" });
    const text = element("span", { class: "pixel-colour" });
    return { box: element("span", { class: "pixel-side" }, swatch, `${name} `, text), swatch, text };
  }

  /** The layer of a side that shows this pixel, or any layer if none does. @param {LayerRole} role @param {Point} pixel */
  const layerOf = (role, pixel) => {
    const { subject, view, views } = imgdiff.viewing;
    if (!subject) return null;
    const layers = views.sides(view, subject).filter((layer) => layer.role === role);
    return layers.find(({ slice }) => !slice || isIn(slice, pixel)) ?? layers[0] ?? null;
  };

  /** @param {Slice} slice @param {Point} pixel of the plan */
  function isIn({ at, width, height }, { x, y }) {
    return x >= at.x && x < at.x + width && y >= at.y && y < at.y + height;
  }

  /** The position of a pixel of the plan in the layer's image, or null if the layer does not show it. @param {LayerPlan | null} layer @param {Point} pixel */
  function inPicture(layer, pixel) {
    const slice = layer?.slice;
    if (!slice) return layer && pixel;
    return isIn(slice, pixel) ? { x: pixel.x - slice.at.x + slice.x, y: pixel.y - slice.at.y + slice.y } : null;
  }

  /** @param {Figure} figure */
  function sourceOf(figure) {
    let source = sources.get(figure.href);
    if (!source) {
      /** @type {Source} */
      const made = { image: imgdiff.loader.readable(figure).catch(() => null), ready: undefined, tile: null };
      made.image.then((image) => {
        made.ready = image;
        draw();
      });
      sources.set(figure.href, made);
      source = made;
    }
    return source;
  }

  /** @param {HTMLImageElement} image @param {number} x @param {number} y @returns {Tile} */
  function readTile(image, x, y) {
    const left = x - (x % TILE);
    const top = y - (y % TILE);
    context?.clearRect(0, 0, TILE, TILE);
    context?.drawImage(image, left, top, TILE, TILE, 0, 0, TILE, TILE);
    const { data } = /** @type {CanvasRenderingContext2D} */ (context).getImageData(0, 0, TILE, TILE);
    return { x: left, y: top, width: TILE, height: TILE, data };
  }

  /**
   * Red, green, blue and opacity as 0..255; null outside of the image, undefined while it is read or if it cannot be.
   *
   * @param {LayerPlan} layer @param {Point} pixel
   */
  function colourAt(layer, pixel) {
    const source = sourceOf(layer.figure);
    const image = source.ready;
    if (!image) return undefined;
    const at = inPicture(layer, pixel);
    if (!at) return null;
    const x = Math.floor((at.x * image.naturalWidth) / layer.width);
    const y = Math.floor((at.y * image.naturalHeight) / layer.height);
    if (x < 0 || y < 0 || x >= image.naturalWidth || y >= image.naturalHeight) return null;
    if (!source.tile || x - (x % TILE) !== source.tile.x || y - (y % TILE) !== source.tile.y) source.tile = readTile(image, x, y);
    const start = ((y - source.tile.y) * TILE + (x - source.tile.x)) * 4;
    return [...source.tile.data.subarray(start, start + 4)];
  }

  /** @param {number[]} colour */
  function written(colour) {
    const hex = colour.slice(0, 3).map((value) => value.toString(16).padStart(2, "0")).join("");
    // A canvas stores colours multiplied by their opacity: those of faint pixels are rounded.
    const about = colour[3] > 0 && colour[3] < 255 ? "≈ " : "";
    return `${about}#${hex} ${colour.join(", ")}`;
  }

  /** @param {null | undefined} colour @param {Source} source */
  function withoutColour(colour, source) {
    if (colour === null) return "no pixel here";
    return source.ready === null ? "colours not available" : "…";
  }

  /** @param {"expected" | "actual"} side @param {Point} pixel */
  function drawSide(side, pixel) {
    const layer = layerOf(side, pixel);
    const { box, swatch, text } = cells[side];
    box.hidden = layer === null;
    if (!layer) return undefined;
    const colour = colourAt(layer, pixel);
    swatch.style.backgroundColor = colour ? `rgb(${colour[0]} ${colour[1]} ${colour[2]} / ${colour[3] / 255})` : "transparent";
    text.textContent = colour ? written(colour) : withoutColour(colour, sourceOf(layer.figure));
    return colour;
  }

  /** The pixel of the compared image at the middle of the pane; null outside of it. */
  function probed() {
    const { camera, subject } = imgdiff.viewing;
    if (!subject) return null;
    const close = camera.enlargement >= GRID_FROM;
    const at = pointer ?? (close ? { x: camera.pane.width / 2, y: camera.pane.height / 2 } : null);
    if (!at) return null;
    const { x, y } = camera.toPicture(at);
    const pixel = { x: Math.floor(x), y: Math.floor(y) };
    const inside = pixel.x >= 0 && pixel.y >= 0 && pixel.x < camera.picture.width && pixel.y < camera.picture.height;
    return inside ? pixel : null;
  }

  function idle() {
    place.textContent = "";
    hideColours();
    note.textContent = IDLE;
  }

  function hideColours() {
    cells.expected.box.hidden = cells.actual.box.hidden = difference.hidden = true;
  }

  function drawReadout() {
    const { camera, stage, subject, view } = imgdiff.viewing;
    const pixel = view === "orb" ? null : probed();
    if (!pixel || !subject || !stage.panes.some(({ layers }) => layers.length)) {
      idle();
      return;
    }
    place.textContent = placeWords(pixel);
    const close = camera.enlargement >= GRID_FROM;
    const known = [subject.expected, subject.actual].every((figure) => !figure || sources.get(figure.href)?.ready);
    // Under file:// each image is read from a second, larger file: only when the zoom shows colours.
    note.textContent = close || known ? "" : `Zoom to ${GRID_FROM}:1 for colours`;
    if (!close && !known) {
      hideColours();
      return;
    }
    const middle = { x: pixel.x + 0.5, y: pixel.y + 0.5 };
    const expected = drawSide("expected", middle);
    const actual = drawSide("actual", middle);
    difference.hidden = !expected || !actual;
    if (expected && actual) difference.textContent = differenceOf(expected, actual);
  }

  /** The position of a pixel in the actual image, and also in the expected one if it is missing or elsewhere there. @param {Point} pixel */
  function placeWords(pixel) {
    const [expected, actual] = /** @type {const} */ (["expected", "actual"]).map((side) => inPicture(layerOf(side, pixel), pixel));
    const words = (/** @type {Point} */ { x, y }) => `x ${x}, y ${y}`;
    if (!expected || !actual) return expected ? `${words(expected)} in expected` : words(actual ?? pixel);
    return expected.x === actual.x && expected.y === actual.y ? words(actual) : `${words(actual)} (expected: ${words(expected)})`;
  }

  /** @param {number[]} expected @param {number[]} actual */
  function differenceOf(expected, actual) {
    const by = actual.map((value, index) => value - expected[index]);
    if (by.every((value) => value === 0)) return "Equal";
    return `Difference ${by.map((value) => (value > 0 ? `+${value}` : String(value).replace("-", "−"))).join(", ")}`;
  }

  /**
   * The edges of the visible pixels along one side, in screen pixels.
   *
   * @param {number} start of the image @param {number} count @param {number} room
   */
  function edges(start, count, room) {
    const { enlargement } = imgdiff.viewing.camera;
    const first = Math.max(Math.floor(-start / enlargement), 0);
    const last = Math.min(Math.ceil((room - start) / enlargement), count);
    return Array.from({ length: Math.max(last - first + 1, 0) }, (_, index) => Math.round(start + (first + index) * enlargement));
  }

  /** @param {Pane} pane @param {Point | null} pixel */
  function drawGrid({ grid }, pixel) {
    const { pane, origin, scale, enlargement, picture } = imgdiff.viewing.camera;
    const density = enlargement / scale;
    grid.width = Math.round(pane.width * density);
    grid.height = Math.round(pane.height * density);
    const pen = grid.getContext("2d");
    if (!pen) return;
    const left = origin.x * density;
    const top = origin.y * density;
    const xs = edges(left, picture.width, grid.width);
    const ys = edges(top, picture.height, grid.height);
    // With an offset of half a pixel, lines of one pixel are sharp.
    for (const x of xs) { pen.moveTo(x + 0.5, ys[0]); pen.lineTo(x + 0.5, ys[ys.length - 1]); }
    for (const y of ys) { pen.moveTo(xs[0], y + 0.5); pen.lineTo(xs[xs.length - 1], y + 0.5); }
    pen.strokeStyle = "rgb(128 128 128 / 45%)"; // visible on black and on white
    pen.stroke();
    if (pixel) drawCursor(pen, Math.round(left + pixel.x * enlargement), Math.round(top + pixel.y * enlargement), Math.round(enlargement));
  }

  /** Black on white: visible on any colour. @param {CanvasRenderingContext2D} pen @param {number} x @param {number} y @param {number} side */
  function drawCursor(pen, x, y, side) {
    for (const [colour, width] of /** @type {const} */ ([["white", 4], ["black", 2]])) {
      pen.strokeStyle = colour;
      pen.lineWidth = width;
      pen.strokeRect(x, y, side, side);
    }
  }

  function draw() {
    const { camera, stage, subject } = imgdiff.viewing;
    if (!subject) return;
    drawReadout();
    const close = camera.enlargement >= GRID_FROM;
    if (!close && !drawn) return;
    drawn = close;
    const pixel = probed();
    for (const pane of stage.panes) {
      pane.grid.hidden = !close || !pane.layers.length;
      if (!pane.grid.hidden) drawGrid(pane, pixel);
    }
  }

  idle();
  imgdiff.viewing.pixels = { element: readout };

  document.addEventListener("imgdiff:start", () => {
    const { camera, gestures, stage } = imgdiff.viewing;
    stage.onShow((_plan, anew) => {
      if (anew) sources.clear();
      drawn = true;
    });
    camera.onChange(draw);
    gestures.onHover((point) => {
      pointer = point;
      draw();
    });
  });
})();
