// The stage: panes of one size with images in layers, positioned by the camera.
(() => {
  "use strict";

  const { element } = imgdiff;
  const SVG = "http://www.w3.org/2000/svg";
  /** The least width of columns: in narrower ones a long page is unreadable. */
  const LEAST_COLUMN = 300;
  const MUCH_LARGER = 1.5;
  /** The enlargement from which pixels are drawn as squares, not smoothed. */
  const PIXELATED = 2;
  const HINT_MILLISECONDS = 2500;

  /** @type {((plan: Plan, anew: boolean) => void)[]} */
  const listeners = [];
  /** One element for each figure, so that a change of view does not decode it again. @type {Map<string, HTMLImageElement>} */
  const images = new Map();
  /** @type {Pane[]} */
  let panes = [];
  /** @type {Plan | null} */
  let plan = null;
  let drawnScale = 0;
  let hintTimer = 0;

  const hint = element("p", { class: "stage-hint", hidden: true });
  const grid = element("div", { class: "panes" });
  const stage = element(
    "div",
    { class: "stage", role: "group", "aria-label": "Images: arrows move them, + and - zoom, 0 fits", tabindex: 0 },
    grid,
    hint,
    tintFilter(),
  );

  /** A mask is white on black; this makes white one colour and black transparent. A CSS mask does not work under file://. */
  function tintFilter() {
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("class", "viewer-filters");
    svg.setAttribute("aria-hidden", "true");
    const filter = document.createElementNS(SVG, "filter");
    filter.id = "viewer-tint";
    filter.setAttribute("color-interpolation-filters", "sRGB");
    const matrix = document.createElementNS(SVG, "feColorMatrix");
    matrix.setAttribute("values", "0 0 0 0 0.9  0 0 0 0 0  0 0 0 0 0.35  1 0 0 0 0");
    filter.append(matrix);
    svg.append(filter);
    return svg;
  }

  /** @param {LayerPlan} layer @param {HTMLElement} window */
  function imageOf(layer, window) {
    const { figure, role, slice } = layer;
    const key = slice ? `${figure.key} ${slice.x},${slice.y}` : figure.key;
    const made = images.get(key);
    const image = made ?? /** @type {HTMLImageElement} */ (element("img", { src: figure.href, draggable: "false", decoding: "sync" }));
    images.set(key, image);
    image.alt = figure.alt || figure.caption || figure.key;
    image.style.width = `${layer.width}px`;
    image.style.height = `${layer.height}px`;
    image.style.filter = role === "tint" ? "url(#viewer-tint)" : "";
    const name = figure.href.startsWith("data:") ? figure.caption || figure.key : figure.href;
    const tell = () => window.append(notice(`${name} cannot be shown: was the whole folder of the report kept?`));
    image.onerror = tell;
    if (made?.complete && !made.naturalWidth) tell(); // known from another view
    return image;
  }

  /** @param {string} text */
  const notice = (text) => element("p", { class: "pane-notice" }, text);

  /** @param {LayerPlan[]} layers */
  function sizes(layers) {
    const pictures = layers.filter(({ role }) => role !== "tint");
    const texts = pictures.map(({ figure, width, height }) => `${figure.width ?? width}×${figure.height ?? height}`);
    return [...new Set(texts)].join(", ");
  }

  /** @param {PanePlan} panePlan @returns {Pane} */
  function makePane(panePlan) {
    const outlines = document.createElementNS(SVG, "svg");
    outlines.setAttribute("class", "outlines");
    outlines.setAttribute("aria-hidden", "true");
    const gridCanvas = /** @type {HTMLCanvasElement} */ (element("canvas", { class: "pixel-grid", "aria-hidden": "true" }));
    const plane = element("div", { class: "plane" });
    const window = element("div", { class: "pane-window" }, plane, gridCanvas);
    const layers = panePlan.layers.map((layer) => {
      const image = imageOf(layer, window);
      const box = element("div", { class: `layer is-${layer.role}` }, element("div", { class: "paper" }), image);
      return { plan: layer, box, image };
    });
    const gaps = (panePlan.gaps ?? []).map((gap) => ({ plan: gap, box: element("div", { class: "gap" }) }));
    // With both images in one pane, all layers of one are above those of the other.
    const roles = [...new Set([...layers, ...gaps].map(({ plan: { role } }) => role))];
    plane.append(...roles.flatMap((role) => [...layers, ...gaps].filter((part) => part.plan.role === role).map(({ box }) => box)));
    plane.append(outlines);
    if (!layers.length) window.append(notice(panePlan.absent));
    window.classList.toggle("is-empty", !layers.length);
    const caption = element("span", { class: "pane-name" }, panePlan.caption);
    const size = element("span", { class: "pane-size" }, sizes(panePlan.layers));
    element("figure", { class: "pane" }, element("figcaption", {}, caption, size), window);
    return { plan: panePlan, window, plane, layers, caption, outlines, gaps, grid: gridCanvas };
  }

  /**
   * Columns, unless rows show the image much larger, as for a banner. All panes have whole positions and sizes in pixels,
   * so that equal images look equal.
   *
   * @param {Plan} shown
   */
  function arrange(shown) {
    const count = shown.panes.length;
    const { top, height: stageHeight } = stage.getBoundingClientRect();
    const width = Math.floor(grid.getBoundingClientRect().width);
    const height = Math.floor(stageHeight - (Math.ceil(top) - top));
    const columns = Math.min(width / count / shown.width, height / shown.height);
    const rows = Math.min(width / shown.width, height / count / shown.height);
    const long = shown.height > 2 * shown.width;
    const asRows = count > 1 && (rows > columns * MUCH_LARGER || (long && width / count < LEAST_COLUMN));
    const share = (/** @type {number} */ room) => `repeat(${count}, ${Math.max(Math.floor((room - count + 1) / count), 0)}px)`;
    grid.style.marginTop = `${Math.ceil(top) - top}px`;
    grid.style.gridTemplateColumns = asRows ? `${width}px` : share(width);
    grid.style.gridTemplateRows = asRows ? share(height) : `${height}px`;
  }

  /** @param {boolean} anew */
  function frame(anew) {
    if (!plan || !panes.length) return;
    arrange(plan);
    const { clientWidth: width, clientHeight: height } = panes[0].window;
    if (!width || !height) return; // not on screen
    drawnScale = 0;
    imgdiff.viewing.camera.frame({ width: plan.width, height: plan.height }, { width, height }, anew);
  }

  function place() {
    const { camera } = imgdiff.viewing;
    const { scale, origin } = camera;
    const scaled = scale !== drawnScale;
    drawnScale = scale;
    stage.classList.toggle("can-pan", camera.canPan);
    stage.classList.toggle("is-pixelated", camera.enlargement >= PIXELATED);
    for (const pane of panes) {
      pane.plane.style.transform = `translate(${origin.x}px, ${origin.y}px)`;
      if (!scaled) continue;
      pane.layers.forEach((layer) => scaleLayer(layer, scale));
      pane.gaps.forEach(({ plan: gap, box }) => put(box, gap, scale));
    }
  }

  /** @param {Pane["layers"][number]} layer @param {number} scale */
  function scaleLayer({ plan: { width, height, slice }, box, image }, scale) {
    if (slice) {
      const start = put(box, { ...slice, ...slice.at }, scale);
      box.style.overflow = "hidden";
      const [x, y] = [(slice.at.x - slice.x) * scale - start.x, (slice.at.y - slice.y) * scale - start.y];
      image.style.transform = `translate(${x}px, ${y}px) scale(${scale})`;
      return;
    }
    box.style.width = `${width * scale}px`;
    box.style.height = `${height * scale}px`;
    image.style.transform = `scale(${scale})`;
  }

  /** Position a part of the plane with its edges on whole screen pixels, so that there are no lines between parts. @param {HTMLElement} element @param {Box} box @param {number} scale @returns {Point} */
  function put(element, box, scale) {
    const density = window.devicePixelRatio || 1;
    const whole = (/** @type {number} */ length) => Math.round(length * scale * density) / density;
    const [x, y] = [whole(box.x), whole(box.y)];
    element.style.transform = `translate(${x}px, ${y}px)`;
    element.style.width = `${whole(box.x + box.width) - x}px`;
    element.style.height = `${whole(box.y + box.height) - y}px`;
    return { x, y };
  }

  imgdiff.viewing.stage = {
    element: stage,
    get panes() { return panes; },
    show(next, anew) {
      if (anew) images.clear();
      plan = next;
      panes = next.panes.map(makePane);
      grid.replaceChildren(...panes.map(({ window }) => /** @type {HTMLElement} */ (window.parentElement)));
      listeners.forEach((listener) => listener(next, anew));
      frame(anew);
    },
    onShow: (listener) => listeners.push(listener),
    hint(text) {
      hint.textContent = text;
      hint.hidden = false;
      clearTimeout(hintTimer);
      hintTimer = setTimeout(() => { hint.hidden = true; }, HINT_MILLISECONDS);
    },
  };

  document.addEventListener("imgdiff:start", () => {
    imgdiff.viewing.camera.onChange(place);
    imgdiff.viewing.gestures.listen(stage);
    new ResizeObserver(() => frame(false)).observe(grid);
  });
})();
