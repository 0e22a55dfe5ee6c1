/**
 * What stands under boxes of a page. Like page.js one expression, called in the same way.
 *
 * A box that differs is known by its edges alone, and may lie outside of the viewport, where elementFromPoint sees
 * nothing. So the boxes of all elements are laid over one another here, in the order in which CSS paints them
 * (CSS 2.2, appendix E, as far as stacking contexts and positioned elements go).
 *
 * @param {[string, [number, number, number, number][]]} call the action, which is "elements", and the boxes
 * @returns {any} for each box what `elements` returns
 */
([, boxesOfCall]) => {
  /**
   * @typedef {{left: number, top: number, right: number, bottom: number}} Edges
   * @typedef {{path: string, role: string | null, name: string | null, text: string | null}} Found
   */

  /**
   * How a document lies in the page's own: a point of the former, times `scale`, plus `x` and `y`.
   * @typedef {{x: number, y: number, scale: number, clip: Edges}} View
   */

  /**
   * One element of the page, in the tree that is painted: slots hold what was given to them.
   * @typedef {object} Placed
   * @property {Element} element
   * @property {Placed | null} parent
   * @property {number} order its number in the tree
   * @property {number} last the number of the last element in it
   * @property {Edges} box
   * @property {Edges} reach beyond which it certainly paints nothing
   * @property {View} view
   * @property {Paint | null} paint what `paintOf` found
   */

  /**
   * @typedef {object} Paint
   * @property {CSSStyleDeclaration} style
   * @property {boolean} shown it has a box
   * @property {boolean} faded its opacity, or that of what holds it, is 0
   * @property {boolean} visible it may be seen itself
   * @property {boolean} marks it paints something of its own: text, a colour, a border, a picture
   * @property {boolean} aside it is out of the flow, or a part of a drawing: where it is empty, one looks through it
   * @property {number[]} level its place in the order of painting: three numbers for each stacking context or layer
   * @property {number[]} context the level of its stacking context
   * @property {number[]} layer the level of the positioned element around it
   * @property {Edges} clip where it can be seen
   * @property {Edges} flowClip where its children can be seen
   * @property {Edges} absoluteClip likewise those of position: absolute
   * @property {Edges} fixedClip likewise those of position: fixed
   * @property {Edges[]} areas where it paints: its boxes, its text, its pseudo elements
   * @property {boolean} hasPseudo it has pseudo elements that paint
   */

  /** CSS pixels by which what an element paints may leave its box: smoothed edges, overhanging letters. */
  const TOLERANCE = 3;
  /** CSS pixels by which a box may be larger because whole pixels were compared. */
  const ROUNDING = 1.01;
  /** A box has to be covered by this much of the element that it belongs to. */
  const MOST = 0.6;
  /** CSS pixels by which shadows, markers and pseudo elements are looked for around an element. */
  const REACH = 32;
  /** Likewise, to the right of an element, text that does not fit into it. */
  const REACH_OF_TEXT = 300;
  const LONGEST_TEXT = 60;
  const LONGEST_NAME = 80;

  const REPLACED = new Set(["img", "video", "canvas", "input", "textarea", "select", "progress", "meter", "object", "embed", "iframe", "frame", "audio", "image"]);
  const UNPAINTED = new Set(["head", "script", "style", "template", "noscript", "link", "meta", "title", "defs", "symbol", "clipPath", "mask", "marker", "pattern", "linearGradient", "radialGradient", "filter", "desc", "metadata"]);

  /**
   * The element under each box.
   * @param {[number, number, number, number][]} boxes x, y, width and height in CSS pixels of the page's document
   * @returns {(Found | null)[]} null where the box is outside of the page
   */
  function elements(boxes) {
    const nodes = tree();
    /** @type {Map<Element, Found>} */
    const known = new Map();
    return boxes.map(([x, y, width, height]) => {
      const node = nodeUnder({ left: x, top: y, right: x + width, bottom: y + height }, nodes);
      if (!node) {
        return null;
      }
      const found = known.get(node.element) || describe(node);
      known.set(node.element, found);
      return found;
    });
  }

  /**
   * All elements that have a box, a parent before its children.
   * @returns {Placed[]}
   */
  function tree() {
    /** @type {Placed[]} */
    const nodes = [];
    const whole = { left: -Infinity, top: -Infinity, right: Infinity, bottom: Infinity };
    plant(document.documentElement, null, { x: scrollX, y: scrollY, scale: 1, clip: whole }, nodes);
    return nodes;
  }

  /**
   * @param {Element} element
   * @param {Placed | null} parent
   * @param {View} view
   * @param {Placed[]} nodes
   */
  function plant(element, parent, view, nodes) {
    if (UNPAINTED.has(element.localName)) {
      return;
    }
    const box = inPage(element.getBoundingClientRect(), view);
    const right = element.firstChild && element.firstChild.nodeType === 3 ? REACH_OF_TEXT : REACH;
    const reach = { left: box.left - REACH, top: box.top - REACH, right: box.right + right, bottom: box.bottom + REACH };
    /** @type {Placed} */
    const node = { element, parent, order: nodes.length, last: 0, box, reach, view, paint: null };
    nodes.push(node);
    const { localName } = element;
    const given = localName === "slot" ? /** @type {HTMLSlotElement} */ (element).assignedElements() : [];
    for (const child of given) {
      plant(child, node, view, nodes);
    }
    if (!given.length) {
      for (let child = (element.shadowRoot || element).firstElementChild; child; child = child.nextElementSibling) {
        plant(child, node, view, nodes);
      }
    }
    if (localName === "iframe" || localName === "frame") {
      const inner = /** @type {HTMLIFrameElement} */ (element).contentDocument;
      if (inner && inner.documentElement) {
        plant(inner.documentElement, node, viewInto(/** @type {HTMLIFrameElement} */ (element), node), nodes);
      }
    }
    node.last = nodes.length - 1;
  }

  /**
   * @param {HTMLIFrameElement} frame
   * @param {Placed} node
   * @returns {View}
   */
  function viewInto(frame, node) {
    const style = styleOf(frame);
    const scale = frame.offsetWidth ? (node.box.right - node.box.left) / frame.offsetWidth : node.view.scale;
    const x = node.box.left + (frame.clientLeft + parseFloat(style.paddingLeft)) * scale;
    const y = node.box.top + (frame.clientTop + parseFloat(style.paddingTop)) * scale;
    const inner = { left: x, top: y, right: node.box.right, bottom: node.box.bottom };
    return { x, y, scale, clip: inner };
  }

  /**
   * @param {{left: number, top: number, right: number, bottom: number}} box of a document's viewport
   * @param {View} view
   * @returns {Edges}
   */
  function inPage(box, view) {
    return {
      left: box.left * view.scale + view.x,
      top: box.top * view.scale + view.y,
      right: box.right * view.scale + view.x,
      bottom: box.bottom * view.scale + view.y,
    };
  }

  /**
   * @param {Element} element
   * @param {string} [pseudo]
   * @returns {CSSStyleDeclaration}
   */
  function styleOf(element, pseudo) {
    return /** @type {Window} */ (element.ownerDocument.defaultView).getComputedStyle(element, pseudo);
  }

  /**
   * How an element is painted.
   * @param {Placed} node
   * @returns {Paint}
   */
  function paintOf(node) {
    if (node.paint) {
      return node.paint;
    }
    const { element, parent } = node;
    const style = styleOf(element);
    const above = parent && paintOf(parent);
    const shown = (!above || above.shown) && style.display !== "none";
    const faded = Boolean(above && above.faded) || style.opacity === "0";
    /** @type {Paint} */
    const paint = {
      style,
      shown,
      faded,
      visible: shown && !faded && style.visibility === "visible",
      marks: false,
      aside: style.position === "absolute" || style.position === "fixed" || isPartOfDrawing(element),
      level: [],
      context: [],
      layer: [],
      clip: node.view.clip,
      flowClip: node.view.clip,
      absoluteClip: node.view.clip,
      fixedClip: node.view.clip,
      areas: [],
      hasPseudo: false,
    };
    node.paint = paint;
    if (shown) {
      stack(node, paint, above);
      clip(node, paint, above);
      paint.areas = areasOf(node, paint);
      paint.marks = paint.visible && marks(node, paint);
    }
    return paint;
  }

  /** @param {Element} element */
  function isPartOfDrawing(element) {
    return "ownerSVGElement" in element && element.ownerSVGElement !== null;
  }

  /**
   * Work out the place of an element in the order of painting.
   * @param {Placed} node
   * @param {Paint} paint
   * @param {Paint | null} above
   */
  function stack(node, paint, above) {
    const { style } = paint;
    if (!above) {
      return;
    }
    const positioned = style.position !== "static";
    const placed = positioned || /flex|grid/.test(above.style.display);
    const index = placed ? parseInt(style.zIndex, 10) || 0 : 0;
    if (isOnTop(node.element)) {
      paint.level = [Infinity, 1, node.order];
      paint.context = paint.layer = paint.level;
    } else if (isContext(node, paint, placed)) {
      paint.level = [...above.context, index, 1, node.order];
      paint.context = paint.layer = paint.level;
    } else if (positioned) {
      paint.level = [...above.context, 0, 1, node.order];
      paint.context = above.context;
      paint.layer = paint.level;
    } else {
      paint.level = [...above.layer, 0, 0, node.order];
      paint.context = above.context;
      paint.layer = above.layer;
    }
  }

  /** In the top layer: a modal dialog, an open popover. @param {Element} element */
  function isOnTop(element) {
    if (element.localName !== "dialog" && !element.hasAttribute("popover")) {
      return false;
    }
    return [":modal", ":popover-open"].some((state) => CSS.supports(`selector(${state})`) && element.matches(state));
  }

  /**
   * Whether an element is a stacking context.
   * @param {Placed} node
   * @param {Paint} paint
   * @param {boolean} placed z-index holds for it
   */
  function isContext(node, paint, placed) {
    const { style } = paint;
    return (
      (placed && style.zIndex !== "auto") ||
      style.position === "fixed" ||
      style.position === "sticky" ||
      style.opacity !== "1" ||
      style.mixBlendMode !== "normal" ||
      style.isolation === "isolate" ||
      style.clipPath !== "none" ||
      holdsFixed(style) ||
      node.view !== /** @type {Placed} */ (node.parent).view
    );
  }

  /** Whether elements of position: fixed are laid out in an element of this style. @param {CSSStyleDeclaration} style */
  function holdsFixed(style) {
    return (
      style.transform !== "none" ||
      style.filter !== "none" ||
      style.perspective !== "none" ||
      /transform|filter|perspective/.test(style.willChange) ||
      /paint|layout|strict|content/.test(style.contain)
    );
  }

  /**
   * Work out where an element and its children can be seen.
   * @param {Placed} node
   * @param {Paint} paint
   * @param {Paint | null} above
   */
  function clip(node, paint, above) {
    const { style } = paint;
    const inner = above && node.view !== /** @type {Placed} */ (node.parent).view;
    if (above && !inner) {
      const { position } = style;
      paint.clip = position === "fixed" ? above.fixedClip : position === "absolute" ? above.absoluteClip : above.flowClip;
    } else if (above) {
      paint.clip = common(node.view.clip, above.clip);
    }
    const own = clipsChildren(node, style) ? common(paint.clip, insideBorder(node)) : paint.clip;
    const fixed = holdsFixed(style);
    paint.flowClip = own;
    paint.absoluteClip = fixed || style.position !== "static" || !above || inner ? own : above.absoluteClip;
    paint.fixedClip = fixed || !above || inner ? own : above.fixedClip;
  }

  /**
   * The overflow of the root and of the body is that of the viewport.
   * @param {Placed} node
   * @param {CSSStyleDeclaration} style
   */
  function clipsChildren(node, style) {
    const { element } = node;
    const { body, documentElement } = element.ownerDocument;
    return element !== body && element !== documentElement && style.overflow !== "visible" && style.display !== "inline";
  }

  /** @param {Placed} node @returns {Edges} */
  function insideBorder({ box, element, view }) {
    const { scale } = view;
    const html = /** @type {HTMLElement} */ (element);
    const across = html.offsetWidth ? (box.right - box.left) / html.offsetWidth : scale;
    return {
      left: box.left + element.clientLeft * across,
      top: box.top + element.clientTop * across,
      right: html.offsetWidth ? box.left + (element.clientLeft + element.clientWidth) * across : box.right,
      bottom: html.offsetWidth ? box.top + (element.clientTop + element.clientHeight) * across : box.bottom,
    };
  }

  /**
   * Where an element paints: its boxes and what stands out of them.
   * @param {Placed} node
   * @param {Paint} paint
   * @returns {Edges[]}
   */
  function areasOf(node, paint) {
    const { style } = paint;
    const { element, view } = node;
    const isInline = style.display === "inline" && !isPartOfDrawing(element);
    const lines = isInline && hasText(element) ? [...element.getClientRects()].map((line) => inPage(line, view)) : [];
    const spill = spillOf(style) * view.scale;
    const areas = (lines.length > 1 ? lines : [node.box]).map((box) => grown(box, spill));
    if (style.display === "list-item" && style.listStyleType !== "none" && style.listStylePosition === "outside") {
      const marker = 2 * parseFloat(style.fontSize) * view.scale; // its box cannot be asked for
      const toLeft = style.direction === "ltr";
      areas[0] = { ...areas[0], left: areas[0].left - (toLeft ? marker : 0), right: areas[0].right + (toLeft ? 0 : marker) };
    }
    if (!isInline && style.overflow === "visible" && element.scrollWidth > element.clientWidth && hasText(element)) {
      areas.push(...textLines(element).map((line) => inPage(line, view)));
    }
    for (const name of isPartOfDrawing(element) || REPLACED.has(element.localName) ? [] : ["::before", "::after"]) {
      const pseudo = styleOf(element, name);
      if (pseudo.content !== "none" && pseudo.content !== "normal" && pseudo.display !== "none" && marksAsPseudo(pseudo)) {
        paint.hasPseudo = true;
        areas.push(...pseudoAreas(node, pseudo));
      }
    }
    return areas;
  }

  /** How far shadows and outlines reach out of a box. @param {CSSStyleDeclaration} style */
  function spillOf(style) {
    let spill = 0;
    if (style.outlineStyle !== "none") {
      spill = Math.max(0, parseFloat(style.outlineWidth) + parseFloat(style.outlineOffset));
    }
    if (style.boxShadow !== "none") {
      for (const shadow of style.boxShadow.split(/,(?![^(]*\))/)) {
        const [x, y, blur, spread] = (shadow.match(/-?[\d.]+px/g) || []).map(parseFloat);
        if (!shadow.includes("inset")) {
          spill = Math.max(spill, Math.max(Math.abs(x), Math.abs(y)) + blur + spread);
        }
      }
    }
    return spill;
  }

  /** Whether text stands in an element itself. @param {Element} element */
  function hasText(element) {
    for (let child = element.firstChild; child; child = child.nextSibling) {
      if (child.nodeType === 3 && /\S/.test(/** @type {Text} */ (child).data)) {
        return true;
      }
    }
    return false;
  }

  /** @param {Element} element @returns {DOMRect[]} */
  function textLines(element) {
    const lines = [];
    for (let child = element.firstChild; child; child = child.nextSibling) {
      if (child.nodeType === 3 && /\S/.test(/** @type {Text} */ (child).data)) {
        const range = element.ownerDocument.createRange();
        range.selectNodeContents(child);
        lines.push(...range.getClientRects());
      }
    }
    return lines;
  }

  /**
   * Where a pseudo element out of the flow is painted; one in the flow lies in the box of its element. The browser
   * tells no box of a pseudo element, but the used values of its offsets.
   * @param {Placed} node
   * @param {CSSStyleDeclaration} style of the pseudo element
   * @returns {Edges[]}
   */
  function pseudoAreas(node, style) {
    if (style.position !== "absolute" && style.position !== "fixed") {
      return [];
    }
    let holder = node;
    while (holder.parent && paintOf(holder).style.position === "static" && !holdsFixed(paintOf(holder).style)) {
      holder = holder.parent;
    }
    const inner = insideBorder(holder);
    const { scale } = node.view;
    /** @param {string} value */
    const pixels = (value) => (parseFloat(value) || 0) * scale;
    const isContentBox = style.boxSizing !== "border-box";
    const across = isContentBox ? [style.paddingLeft, style.paddingRight, style.borderLeftWidth, style.borderRightWidth] : [];
    const down = isContentBox ? [style.paddingTop, style.paddingBottom, style.borderTopWidth, style.borderBottomWidth] : [];
    const width = [style.width, ...across].reduce((sum, value) => sum + pixels(value), 0);
    const height = [style.height, ...down].reduce((sum, value) => sum + pixels(value), 0);
    const moved = style.transform.startsWith("matrix(") ? style.transform.slice(7).split(",").map(parseFloat) : [1, 0, 0, 1, 0, 0];
    const left = inner.left + pixels(style.left) + pixels(style.marginLeft) + moved[4] * scale;
    const top = inner.top + pixels(style.top) + pixels(style.marginTop) + moved[5] * scale;
    return [grown({ left, top, right: left + width, bottom: top + height }, spillOf(style) * scale)];
  }

  /** Whether a pseudo element is seen: many only make room, or widen what can be clicked. @param {CSSStyleDeclaration} style */
  function marksAsPseudo(style) {
    return !/^(none|normal|"\s*")$/.test(style.content) || hasGround(style);
  }

  /**
   * Whether an element paints something of its own.
   * @param {Placed} node
   * @param {Paint} paint
   */
  function marks({ element }, { style, hasPseudo }) {
    const { localName } = element;
    if (isPartOfDrawing(element)) {
      return isShape(element) || localName === "use" || localName === "image" || hasText(element);
    }
    return (
      REPLACED.has(localName) || hasText(element) || hasPseudo || hasGround(style)
    );
  }

  /** Whether a box of this style has a colour, a picture, a border or a shadow. @param {CSSStyleDeclaration} style */
  function hasGround(style) {
    return (
      hasColour(style.backgroundColor) ||
      style.backgroundImage !== "none" ||
      style.boxShadow !== "none" ||
      style.outlineStyle !== "none" ||
      (style.borderTopWidth !== "0px" && hasColour(style.borderTopColor)) ||
      (style.borderRightWidth !== "0px" && hasColour(style.borderRightColor)) ||
      (style.borderBottomWidth !== "0px" && hasColour(style.borderBottomColor)) ||
      (style.borderLeftWidth !== "0px" && hasColour(style.borderLeftColor))
    );
  }

  /** @param {string} colour */
  function hasColour(colour) {
    return colour !== "transparent" && !/^rgba\(.*, 0\)$/.test(colour) && !/\/ 0\)$/.test(colour);
  }

  /** A shape of SVG, which is often thinner than its box. @param {Element} element @returns {element is SVGGeometryElement} */
  function isShape(element) {
    return "isPointInStroke" in element;
  }

  /** @param {Placed} one @param {Placed} other */
  function byPaint(one, other) {
    const [a, b] = [/** @type {Paint} */ (one.paint).level, /** @type {Paint} */ (other.paint).level];
    const shorter = Math.min(a.length, b.length);
    for (let at = 0; at < shorter; at++) {
      if (a[at] !== b[at]) {
        return a[at] - b[at];
      }
    }
    return a.length - b.length;
  }

  /**
   * The element that a box belongs to: the uppermost one that holds it and is not covered there.
   * @param {Edges} area
   * @param {Placed[]} nodes
   * @returns {Placed | null}
   */
  function nodeUnder(area, nodes) {
    const points = pointsOf(area);
    const near = nodes.filter((node) => isNear(node, area, points)).sort((one, other) => byPaint(other, one)); // the uppermost first
    if (!near.length) {
      return null;
    }
    const hits = points.map((point) => near.find((node) => /** @type {Paint} */ (node.paint).marks && covers(node, point)) || nodes[0]);
    const holder = near.find((node) => holds(node, area) && isSeen(node, hits)) || near[near.length - 1];
    const fitting = tighter(holder, area, near, hits);
    return shapeIn(fitting, area, near, points);
  }

  /**
   * Whether an element paints at one of the points, or almost. Most elements are far off: that is seen from their boxes,
   * without their styles.
   * @param {Placed} node
   * @param {Edges} area
   * @param {[number, number][]} points
   */
  function isNear(node, area, points) {
    const { reach } = node;
    if (reach.left > area.right || reach.right < area.left || reach.top > area.bottom || reach.bottom < area.top || !hasPoint(reach, points, 0)) {
      return false;
    }
    const { shown, areas, clip: seen } = paintOf(node);
    return shown && overlap(area, seen) > 0 && areas.some((each) => hasPoint(each, points, TOLERANCE));
  }

  /**
   * @param {Edges} box
   * @param {[number, number][]} points
   * @param {number} slack
   */
  function hasPoint(box, points, slack) {
    for (const [x, y] of points) {
      if (x >= box.left - slack && x <= box.right + slack && y >= box.top - slack && y <= box.bottom + slack) {
        return true;
      }
    }
    return false;
  }

  /**
   * Points spread evenly over an area.
   * @param {Edges} area
   * @returns {[number, number][]}
   */
  function pointsOf({ left, top, right, bottom }) {
    const columns = Math.max(1, Math.min(6, Math.round((right - left) / 6)));
    const rows = Math.max(1, Math.min(6, Math.round((bottom - top) / 6)));
    /** @type {[number, number][]} */
    const points = [];
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        points.push([left + ((column + 0.5) / columns) * (right - left), top + ((row + 0.5) / rows) * (bottom - top)]);
      }
    }
    return points;
  }

  /**
   * Whether an element paints at a point. What has text counts as a whole: a shorter text than expected leaves a part
   * of its box empty.
   * @param {Placed} node
   * @param {[number, number]} point
   */
  function covers(node, [x, y]) {
    const { areas, clip: seen } = /** @type {Paint} */ (node.paint);
    const point = [/** @type {[number, number]} */ ([x, y])];
    return hasPoint(seen, point, 0) && areas.some((area) => hasPoint(area, point, 0)) && (!isShape(node.element) || isOnShape(node, node.element, x, y));
  }

  /**
   * @param {Placed} node
   * @param {SVGGeometryElement} shape
   * @param {number} x
   * @param {number} y
   */
  function isOnShape({ view, paint }, shape, x, y) {
    const matrix = shape.getScreenCTM();
    if (!matrix) {
      return false;
    }
    const point = new DOMPoint((x - view.x) / view.scale, (y - view.y) / view.scale).matrixTransform(matrix.inverse());
    const { fill, stroke } = /** @type {Paint} */ (paint).style;
    return (fill !== "none" && shape.isPointInFill(point)) || (stroke !== "none" && shape.isPointInStroke(point));
  }

  /**
   * Whether an element's own painting may reach over the whole area.
   * @param {Placed} node
   * @param {Edges} area
   */
  function holds(node, area) {
    const { areas, clip: seen } = /** @type {Paint} */ (node.paint);
    const size = sizeOf(area);
    if (areas.some((each) => isWithin(area, grown(common(each, seen), TOLERANCE)) && overlap(area, common(each, seen)) >= MOST * size)) {
      return true;
    }
    // A wrapped line: its first part is at the right, its last one at the left, and the box spans both.
    const whole = grown(common(node.box, seen), TOLERANCE);
    const isWrapped = areas.length > 1 && isWithin(area, whole) && areas.filter((each) => overlap(each, area) > 0).length > 1;
    return isWrapped && area.left - whole.left < 3 * TOLERANCE && whole.right - area.right < 3 * TOLERANCE;
  }

  /** @param {Placed} outer @param {Placed} inner */
  function contains(outer, inner) {
    return inner.order >= outer.order && inner.order <= outer.last;
  }

  /**
   * Whether what is painted over an element leaves it, or what is in it, to be seen.
   * @param {Placed} node
   * @param {Placed[]} hits the uppermost element at each point
   */
  function isSeen(node, hits) {
    const paint = /** @type {Paint} */ (node.paint);
    const inside = hits.filter((hit) => contains(node, hit)).length;
    if (isShape(node.element) || (!paint.marks && (paint.aside || !paint.visible))) {
      return inside >= hits.length / 2;
    }
    const over = hits.filter((hit) => !contains(node, hit) && !contains(hit, node) && byPaint(hit, node) > 0).length;
    return over <= hits.length / 4;
  }

  /**
   * The element in or around the holder whose box is that of the area: where an element moved or shrank, the area is
   * larger than what is left of it; where it is hidden now, nothing of it is left; where a border changed, it is that of
   * the bordered one, not of what fills it.
   * @param {Placed} holder
   * @param {Edges} area
   * @param {Placed[]} near
   * @param {Placed[]} hits
   */
  function tighter(holder, area, near, hits) {
    if (!isWithin(area, grown(holder.box, ROUNDING))) {
      for (let outer = holder.parent; outer && isWithin(outer.box, grown(area, TOLERANCE)); outer = outer.parent) {
        if (isWithin(area, grown(outer.box, ROUNDING)) && /** @type {Paint} */ (outer.paint).marks) {
          return outer;
        }
      }
    }
    let best = holder;
    let likeness = Math.max(MOST, likenessOf(holder, area));
    for (const node of near) {
      const like = likenessOf(node, area);
      const isAlone = () => hits.every((hit) => contains(node, hit) || contains(hit, node));
      const { marks: isPainted, visible } = /** @type {Paint} */ (node.paint);
      if (like > likeness && (isPainted || !visible) && contains(holder, node) && isAlone()) {
        best = node;
        likeness = like;
      }
    }
    return best === holder && likenessOf(holder, area) < MOST ? onlyOneIn(holder, area, near, hits) : best;
  }

  /**
   * The one thing in the holder that is painted in the area, where the area is one line and covers most of it: a text that
   * became shorter leaves the rest of the area empty. The holder itself where there are several, or none.
   * @param {Placed} holder
   * @param {Edges} area
   * @param {Placed[]} near
   * @param {Placed[]} hits
   */
  function onlyOneIn(holder, area, near, hits) {
    const found = near.find((node) => {
      const { box, element, paint } = node;
      const line = { ...box, top: Math.max(box.top, area.top), bottom: Math.min(box.bottom, area.bottom) };
      const isLine = area.top >= box.top - TOLERANCE && area.bottom <= box.bottom + TOLERANCE;
      const isPainted = /** @type {Paint} */ (paint).marks && !isShape(element) && node !== holder && contains(holder, node);
      return isPainted && isLine && overlap(line, area) >= MOST * sizeOf(line) && hits.every((hit) => contains(node, hit) || contains(hit, node));
    });
    for (let outer = found && found.parent; outer && contains(holder, outer); outer = outer.parent) {
      if (hasText(outer.element)) {
        return holder; // it may be this text that changed
      }
    }
    return found || holder;
  }

  /**
   * Of a drawing that holds an area, the shape in it that was most likely meant.
   * @param {Placed} holder
   * @param {Edges} area
   * @param {Placed[]} near
   * @param {[number, number][]} points
   */
  function shapeIn(holder, area, near, points) {
    if (isShape(holder.element) || (holder.element.localName !== "svg" && !isPartOfDrawing(holder.element))) {
      return holder;
    }
    let best = holder;
    let most = 0;
    for (const node of near) {
      if (isShape(node.element) && contains(holder, node) && isWithin(area, grown(node.box, 2 * TOLERANCE))) {
        const touched = points.some((point) => covers(node, point)) ? 1 : 0;
        const like = likenessOf(node, area);
        if ((touched || like > MOST / 2) && touched + like > most) {
          best = node;
          most = touched + like;
        }
      }
    }
    return best;
  }

  /** The area that two boxes share, as part of what both cover. @param {Placed} node @param {Edges} area */
  function likenessOf(node, area) {
    const shared = overlap(node.box, area);
    return shared ? shared / (sizeOf(node.box) + sizeOf(area) - shared) : 0;
  }

  /** @param {Edges} box @param {number} by @returns {Edges} */
  function grown(box, by) {
    return { left: box.left - by, top: box.top - by, right: box.right + by, bottom: box.bottom + by };
  }

  /** @param {Edges} one @param {Edges} other @returns {Edges} */
  function common(one, other) {
    return {
      left: Math.max(one.left, other.left),
      top: Math.max(one.top, other.top),
      right: Math.min(one.right, other.right),
      bottom: Math.min(one.bottom, other.bottom),
    };
  }

  /** @param {Edges} box */
  function sizeOf({ left, top, right, bottom }) {
    return right > left && bottom > top ? (right - left) * (bottom - top) : 0;
  }

  /** @param {Edges} one @param {Edges} other */
  function overlap(one, other) {
    return sizeOf(common(one, other));
  }

  /** @param {Edges} inner @param {Edges} outer */
  function isWithin(inner, outer) {
    return inner.left >= outer.left && inner.top >= outer.top && inner.right <= outer.right && inner.bottom <= outer.bottom;
  }

  // Elements in words: the one that a person would look up, its path, role, name and text.

  /** Roles without a name of their own: an icon in a button is the button's. */
  const WEAK = new Set(["", "none", "presentation", "generic", "paragraph", "emphasis", "strong", "mark", "time", "code", "subscript", "superscript", "insertion", "deletion"]);
  /** Roles whose name is their content (ARIA 1.2, 5.2.8.6), as far as a user sees them as one thing. */
  const NAMED_BY_CONTENT = new Set(["button", "checkbox", "heading", "link", "menuitem", "menuitemcheckbox", "menuitemradio", "option", "radio", "switch", "tab", "tooltip", "treeitem"]);
  const CELLS = new Set(["cell", "gridcell", "columnheader", "rowheader"]);

  /** @param {Placed} node @returns {Found} */
  function describe(node) {
    const { ownerDocument } = node.element;
    const hit = node.element === ownerDocument.documentElement && ownerDocument.body ? ownerDocument.body : node.element;
    const element = lookedUp(node, hit);
    const role = roleOf(element);
    return {
      path: pathOf(element),
      role: role || null,
      name: shortened(nameOf(element, role), LONGEST_NAME),
      text: shortened(textOf(hit) || textOf(element), LONGEST_TEXT),
    };
  }

  /**
   * The element itself, or the one around it that a person would look up by its role.
   * @param {Placed} node
   * @param {Element} hit
   * @returns {Element}
   */
  function lookedUp(node, hit) {
    const role = roleOf(hit);
    const isNameless = role === "img" && !nameOf(hit, role);
    if (!WEAK.has(role) && !isNameless) {
      return hit;
    }
    for (let outer = node.parent; outer && outer.view === node.view; outer = outer.parent) {
      const outerRole = roleOf(outer.element);
      if (NAMED_BY_CONTENT.has(outerRole) || (CELLS.has(outerRole) && textOf(outer.element) === textOf(hit) && textOf(hit))) {
        return outer.element;
      }
      if (!WEAK.has(outerRole) && !(outerRole === "img" && !nameOf(outer.element, outerRole))) {
        return hit;
      }
    }
    return hit;
  }

  /** The roles of tags that have no other (W3C, HTML Accessibility API Mappings 1.0). @type {Record<string, string>} */
  const ROLES = {
    article: "article", aside: "complementary", blockquote: "blockquote", button: "button", caption: "caption", code: "code",
    datalist: "listbox", dd: "definition", del: "deletion", details: "group", dfn: "term", dialog: "dialog", dt: "term", em: "emphasis",
    fieldset: "group", figure: "figure", h1: "heading", h2: "heading", h3: "heading", h4: "heading", h5: "heading", h6: "heading",
    hr: "separator", html: "document", ins: "insertion", li: "listitem", main: "main", mark: "mark", math: "math", menu: "list",
    meter: "meter", nav: "navigation", ol: "list", optgroup: "group", option: "option", output: "status", p: "paragraph",
    progress: "progressbar", search: "search", strong: "strong", sub: "subscript", sup: "superscript", svg: "img", table: "table",
    tbody: "rowgroup", textarea: "textbox", tfoot: "rowgroup", thead: "rowgroup", time: "time", tr: "row", ul: "list",
  };
  /** @type {Record<string, string>} */
  const INPUT_ROLES = {
    button: "button", checkbox: "checkbox", color: "", date: "", "datetime-local": "", file: "button", hidden: "", image: "button",
    month: "", number: "spinbutton", password: "", radio: "radio", range: "slider", reset: "button", search: "searchbox", submit: "button",
    time: "", week: "",
  };

  /** @param {Element} element @returns {string} "" where it has none */
  function roleOf(element) {
    const [explicit] = (element.getAttribute("role") || "").trim().toLowerCase().split(/\s+/);
    if (explicit) {
      return explicit === "none" || explicit === "presentation" || explicit === "generic" ? "" : explicit;
    }
    const { localName } = element;
    switch (localName) {
      case "a":
      case "area":
        return element.hasAttribute("href") ? "link" : "";
      case "footer":
      case "header": {
        const isOfPart = element.closest("article, aside, main, nav, section, [role=article], [role=complementary], [role=main], [role=navigation], [role=region]");
        return isOfPart ? "" : localName === "footer" ? "contentinfo" : "banner";
      }
      case "form":
      case "section": {
        const isNamed = ["aria-label", "aria-labelledby", "title"].some((name) => element.hasAttribute(name));
        return !isNamed ? "" : localName === "form" ? "form" : "region";
      }
      case "img":
        return element.getAttribute("alt") === "" && !element.hasAttribute("title") ? "" : "img";
      case "input": {
        const { type, list } = /** @type {HTMLInputElement} */ (element);
        return INPUT_ROLES[type] ?? (list ? "combobox" : "textbox");
      }
      case "select": {
        const { multiple, size } = /** @type {HTMLSelectElement} */ (element);
        return multiple || size > 1 ? "listbox" : "combobox";
      }
      case "td":
        return element.closest("[role=grid], [role=treegrid]") ? "gridcell" : "cell";
      case "th":
        return element.getAttribute("scope") === "row" ? "rowheader" : "columnheader";
      default:
        return ROLES[localName] || "";
    }
  }

  /**
   * The accessible name: the parts of "Accessible Name and Description Computation 1.2" that pages use.
   * @param {Element} element
   * @param {string} role
   * @returns {string} "" where it has none
   */
  function nameOf(element, role) {
    const root = /** @type {Document | ShadowRoot} */ (element.getRootNode());
    const ids = (element.getAttribute("aria-labelledby") || "").split(/\s+/).filter(Boolean);
    const others = ids.flatMap((id) => root.getElementById(id) || []);
    const labelled = others.map((other) => other.getAttribute("aria-label") || nativeName(other) || contentOf(other)).join(" ");
    return (
      squeezed(labelled) ||
      squeezed(element.getAttribute("aria-label") || "") ||
      squeezed(nativeName(element)) ||
      (NAMED_BY_CONTENT.has(role) || CELLS.has(role) || role === "row" ? squeezed(contentOf(element)) : "") ||
      squeezed(element.getAttribute("title") || "") ||
      squeezed(element.getAttribute("placeholder") || "")
    );
  }

  /** The name that its own kind of element has. @param {Element} element @returns {string} */
  function nativeName(element) {
    const labels = /** @type {HTMLInputElement} */ (element).labels;
    if (labels && labels.length) {
      return [...labels].map((label) => contentOf(label, element)).join(" ");
    }
    switch (element.localName) {
      case "img":
      case "area":
        return element.getAttribute("alt") || "";
      case "input": {
        const { type, value, alt } = /** @type {HTMLInputElement} */ (element);
        if (type === "submit" || type === "reset" || type === "button") {
          return value || { submit: "Submit", reset: "Reset", button: "" }[type];
        }
        return type === "image" ? alt || "Submit" : "";
      }
      case "fieldset":
        return childText(element, "legend");
      case "figure":
        return childText(element, "figcaption");
      case "table":
        return childText(element, "caption");
      case "svg":
        return childText(element, "title");
      default:
        return isPartOfDrawing(element) ? childText(element, "title") : "";
    }
  }

  /** @param {Element} element @param {string} tag */
  function childText(element, tag) {
    const child = [...element.children].find(({ localName }) => localName === tag);
    return child ? child.textContent || "" : "";
  }

  /**
   * The text of an element as it is read out: pictures by their names, without what is hidden.
   * @param {Element} element
   * @param {Element} [without] an element whose content is left out
   * @returns {string}
   */
  function contentOf(element, without) {
    return spoken(element, without, LONGEST_NAME);
  }

  /** The first words that are seen in an element. @param {Element} element @returns {string} */
  function textOf(element) {
    if (element.localName === "input" || element.localName === "textarea") {
      const { type, value, placeholder } = /** @type {HTMLInputElement} */ (element);
      const isText = type !== "password" && type !== "checkbox" && type !== "radio" && type !== "range" && type !== "hidden";
      return isText ? squeezed(value || placeholder) : "";
    }
    if (element.localName === "select") {
      const [option] = /** @type {HTMLSelectElement} */ (element).selectedOptions;
      return option ? squeezed(option.text) : "";
    }
    return squeezed(spoken(element, null, LONGEST_TEXT));
  }

  /**
   * @param {Element} element
   * @param {Element | null | undefined} without undefined: names of pictures count, too; null: what is seen only
   * @param {number} enough characters
   * @returns {string}
   */
  function spoken(element, without, enough) {
    const isName = without !== null;
    let text = "";
    const children = element.shadowRoot ? element.shadowRoot.childNodes : slotted(element);
    for (const child of children) {
      if (squeezed(text).length > enough) {
        return text;
      }
      if (child.nodeType === 3) {
        text += /** @type {Text} */ (child).data;
      } else if (child.nodeType === 1 && child !== without) {
        text += spokenOf(/** @type {Element} */ (child), without, enough, isName);
      }
    }
    return text;
  }

  /** @param {Element} element @returns {Iterable<Node>} */
  function slotted(element) {
    const given = element.localName === "slot" ? /** @type {HTMLSlotElement} */ (element).assignedNodes() : [];
    return given.length ? given : element.childNodes;
  }

  /**
   * @param {Element} child
   * @param {Element | null | undefined} without
   * @param {number} enough
   * @param {boolean} isName
   * @returns {string}
   */
  function spokenOf(child, without, enough, isName) {
    const style = styleOf(child);
    const isHidden = style.display === "none" || style.visibility !== "visible" || (isName && child.getAttribute("aria-hidden") === "true");
    if (isHidden || UNPAINTED.has(child.localName)) {
      return "";
    }
    const label = isName ? child.getAttribute("aria-label") || nativeName(child) : "";
    const inner = label || spoken(child, without, enough);
    return style.display.startsWith("inline") || style.display === "contents" ? inner : ` ${inner} `;
  }

  /** @param {string} text */
  function squeezed(text) {
    return text.replace(/\s+/g, " ").trim();
  }

  /** @param {string} text @param {number} longest @returns {string | null} */
  function shortened(text, longest) {
    if (text.length <= longest) {
      return text || null;
    }
    const start = text.slice(0, longest);
    const words = start.slice(0, Math.max(start.lastIndexOf(" "), longest / 2));
    return `${words.replace(/[\ud800-\udbff]$/, "")}\u2026`;
  }

  /** Attributes that tests are given to look elements up by. */
  const TEST_IDS = ["data-testid", "data-test-id", "data-test", "data-cy", "data-qa"];
  /** Tags that say nothing of what they are for. */
  const PLAIN = new Set(["div", "span", "tbody", "g", "html", "body"]);

  /**
   * A short selector that is unique in the page. ` >>> ` leads into a shadow tree or a frame.
   * @param {Element} element
   * @returns {string}
   */
  function pathOf(element) {
    const root = /** @type {Document | ShadowRoot} */ (element.getRootNode());
    const inner = selectorIn(root, element);
    if (root === document) {
      return inner;
    }
    const host = "host" in root ? root.host : root.defaultView && root.defaultView.frameElement;
    return host ? `${pathOf(host)} >>> ${inner}` : inner;
  }

  /**
   * @param {Document | ShadowRoot} root
   * @param {Element} element
   * @returns {string}
   */
  function selectorIn(root, element) {
    const { selector: own, isUnique } = ownSelector(root, element);
    if (isUnique) {
      return own;
    }
    let selector = own;
    let count = matches(root, selector);
    let joint = " > ";
    let hasContext = element.localName === "body" || element.localName === "html";
    for (let outer = element.parentElement; outer && !(count === 1 && hasContext); outer = outer.parentElement) {
      const around = ownSelector(root, outer);
      const isRoot = outer.localName === "body" || outer.localName === "html";
      const left = count > 1 ? matches(root, `${around.selector}${joint}${selector}`) : count;
      if (!isRoot && (left < count || (!hasContext && around.says))) {
        selector = `${count > 1 ? around.selector : around.plain}${joint}${selector}`;
        count = left;
        hasContext = true;
        joint = " > ";
      } else {
        joint = " ";
      }
    }
    return count === 1 ? selector : fullPath(element);
  }

  /** @param {Document | ShadowRoot} root @param {string} selector */
  function matches(root, selector) {
    return root.querySelectorAll(selector).length;
  }

  /**
   * What tells an element from its siblings: its id or test id where it is alone with it, else tag and class.
   * @param {Document | ShadowRoot} root
   * @param {Element} element
   * @returns {{selector: string, plain: string, isUnique: boolean, says: boolean}} `plain`: without its number among its
   *   siblings; `says`: more than that it is a box
   */
  function ownSelector(root, element) {
    const { id, localName, parentNode } = element;
    if (id && !isMachineMade(id)) {
      const selector = `#${CSS.escape(id)}`;
      if (matches(root, selector) === 1) {
        return { selector, plain: selector, isUnique: true, says: true };
      }
    }
    for (const name of TEST_IDS) {
      const value = element.getAttribute(name);
      const selector = value && `[${name}="${CSS.escape(value)}"]`;
      if (selector && matches(root, selector) === 1) {
        return { selector, plain: selector, isUnique: true, says: true };
      }
    }
    const tag = CSS.escape(localName);
    const names = classesOf(root, element);
    const siblings = parentNode ? [...parentNode.children].filter((other) => other !== element && other.localName === localName) : [];
    const rivals = siblings.filter((other) => names.slice(0, 1).every((name) => other.classList.contains(name)));
    const told = names.find((name) => rivals.length && rivals.every((other) => !other.classList.contains(name)));
    const shown = told && !names.slice(0, 1).includes(told) ? [names[0], told] : names.slice(0, 1);
    const plain = [tag, ...shown.map((name) => CSS.escape(name))].join(".");
    const place = rivals.length && !told ? `:nth-of-type(${1 + siblings.filter((other) => other.compareDocumentPosition(element) & 4).length})` : "";
    return { selector: plain + place, plain, isUnique: false, says: shown.length > 0 || !PLAIN.has(localName) };
  }

  /**
   * The classes of an element that people gave it, the rarest first.
   * @param {Document | ShadowRoot} root
   * @param {Element} element
   * @returns {string[]}
   */
  function classesOf(root, element) {
    const names = [...element.classList].filter((name) => !isMachineMade(name) && !isForLooks(name));
    if (names.length < 2) {
      return names;
    }
    const owners = names.map((name) => matches(root, `.${CSS.escape(name)}`));
    return names.map((name, at) => ({ name, owners: owners[at] + (/^(is|has)-|^(active|open|selected|hover|focus|disabled|hidden|visible)$/.test(name) ? 1e6 : 0) }))
      .sort((one, other) => one.owners - other.owners)
      .map(({ name }) => name);
  }

  /** A name with a hash or a counter in it: it changes from build to build. @param {string} name */
  function isMachineMade(name) {
    if (/^(css|sc|jsx|jss|emotion|svelte|astro|ng|_ng|data-v|ember|radix|headlessui|react-aria|mui|:r|:R)[-_:]?[\w-]*\d/.test(name) || /^(sc|css)-/.test(name)) {
      return true;
    }
    if (/[:«»]/.test(name) || /^\d/.test(name) || /\d{4,}/.test(name) || /^_ng/.test(name) || /^ng-(tns|star|trigger|untouched|pristine|valid|dirty)/.test(name)) {
      return true;
    }
    // Letters and digits mixed, or capitals within a part that is no word: Badge_badge__3xK2a, iYzaBq.
    return name.split(/[-_]+/).some((part) => {
      const isMixed = part.length >= 5 && /\d/.test(part) && /[a-z]/i.test(part) && !/^[a-z]+\d{1,2}$/i.test(part);
      const hops = (part.match(/[a-z][A-Z]|[A-Z]{2}[a-z]/g) || []).length;
      return isMixed || (part.length >= 5 && part.length <= 8 && hops >= 2 && !/^([a-z]+|[A-Z][a-z]+)([A-Z][a-z]{2,})+$/.test(part));
    });
  }

  /** A class that says how something looks, as Tailwind's: px-4, text-sm, md:flex. @param {string} name */
  function isForLooks(name) {
    return (
      /[[\]/!%@]/.test(name) ||
      /^-?(m|p|mx|my|mt|mb|ml|mr|px|py|pt|pb|pl|pr|w|h|gap|top|left|right|bottom|inset|z|col|row|order|flex|grid|items|justify|self|content|place|space|text|font|leading|tracking|bg|border|rounded|shadow|opacity|ring|fill|stroke|object|overflow|cursor|transition|duration|ease|max|min|size|basis|grow|shrink|whitespace|align|float|d)-[\w.-]+$/.test(name) ||
      /^(flex|grid|block|inline|hidden|relative|absolute|fixed|sticky|static|container|row|col|clearfix|truncate|uppercase|lowercase|capitalize|underline|italic|rounded|border|shadow|transition)$/.test(name)
    );
  }

  /** @param {Element} element */
  function fullPath(element) {
    const steps = [];
    for (let outer = /** @type {Element | null} */ (element); outer; outer = outer.parentElement) {
      const place = outer.parentNode ? [...outer.parentNode.children].indexOf(outer) + 1 : 1;
      steps.unshift(outer.localName === "html" || outer.localName === "body" ? outer.localName : `${CSS.escape(outer.localName)}:nth-child(${place})`);
    }
    return steps.join(" > ");
  }

  return elements(boxesOfCall);
}
