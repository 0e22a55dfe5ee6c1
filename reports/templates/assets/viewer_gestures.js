// Pointer, wheel, pinch and drag on the panes.
//
// The wheel and two fingers on a trackpad pan, as on other pages. With Ctrl or the command key the wheel zooms at the
// pointer; browsers report a trackpad's pinch in the same way.
(() => {
  "use strict";

  const LINE = 20; // pixels of a wheel's "line", as Firefox counts on some systems
  const CLICK = 4; // a movement of fewer pixels is a click, not a drag

  /** @type {((point: Point | null) => void)[]} */
  const hovers = [];
  /** @type {((point: Point) => void)[]} */
  const pokes = [];
  /** @type {Map<number, Point>} the pressed pointers, where they last were */
  const pressed = new Map();
  /** @type {HTMLElement | null} the window in which the first of them was pressed */
  let grabbed = null;
  let travelled = 0;

  /** @param {EventTarget | null} target */
  function windowOf(target) {
    return target instanceof Element ? /** @type {HTMLElement | null} */ (target.closest(".pane-window")) : null;
  }

  /** @param {{clientX: number, clientY: number}} event @param {HTMLElement} window */
  function pointIn(event, window) {
    const { left, top } = window.getBoundingClientRect();
    return { x: event.clientX - left, y: event.clientY - top };
  }

  /** @param {WheelEvent} event */
  function onWheel(event) {
    const window = windowOf(event.target);
    const { camera, stage } = imgdiff.viewing;
    if (!window) return;
    const unit = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? LINE : event.deltaMode ? camera.pane.height : 1;
    if (event.ctrlKey || event.metaKey) {
      event.preventDefault();
      camera.zoom(2 ** within(-event.deltaY * unit * 0.005, -1, 1), pointIn(event, window));
    } else if (camera.canPan) {
      event.preventDefault();
      const sideways = event.shiftKey && !event.deltaX;
      camera.pan(-(sideways ? event.deltaY : event.deltaX) * unit, -(sideways ? 0 : event.deltaY) * unit);
    } else {
      stage.hint("Ctrl and the wheel, or a pinch, zoom");
    }
    hover(pointIn(event, window));
  }

  /** @type {(value: number, least: number, most: number) => number} */
  const within = (value, least, most) => Math.min(Math.max(value, least), most);

  /** @param {Point | null} point */
  const hover = (point) => hovers.forEach((listener) => listener(point));

  /** @param {PointerEvent} event */
  function onDown(event) {
    const window = windowOf(event.target);
    if (!window || event.button > 0) return;
    grabbed ??= window;
    if (!pressed.size) travelled = 0;
    pressed.set(event.pointerId, pointIn(event, grabbed));
    grabbed.setPointerCapture(event.pointerId);
  }

  /** @param {PointerEvent} event */
  function onMove(event) {
    const window = grabbed ?? windowOf(event.target);
    if (!window) {
      hover(null);
      return;
    }
    const point = pointIn(event, window);
    const before = pressed.get(event.pointerId);
    if (before) {
      pull(event.pointerId, before, point);
      pressed.set(event.pointerId, point);
    }
    hover(point);
  }

  /** One finger drags; two drag by their middle and zoom by their distance. @type {(id: number, before: Point, now: Point) => void} */
  function pull(id, before, now) {
    const { camera } = imgdiff.viewing;
    const other = [...pressed].find(([pointer]) => pointer !== id)?.[1];
    travelled += Math.hypot(now.x - before.x, now.y - before.y);
    if (travelled < CLICK) return;
    if (!other) {
      camera.drag(now.x - before.x, now.y - before.y);
      return;
    }
    const distance = (/** @type {Point} */ point) => Math.max(Math.hypot(point.x - other.x, point.y - other.y), 1);
    camera.drag((now.x - before.x) / 2, (now.y - before.y) / 2);
    camera.zoom(distance(now) / distance(before), { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 });
  }

  /** @param {PointerEvent} event */
  function onUp(event) {
    if (!grabbed || !pressed.delete(event.pointerId)) return;
    if (!pressed.size) {
      const point = pointIn(event, grabbed);
      if (event.type === "pointerup" && travelled < CLICK) pokes.forEach((listener) => listener(point));
      grabbed = null;
    }
    if (event.pointerType === "touch") hover(null);
  }

  /** @param {MouseEvent} event */
  function onDoubleClick(event) {
    const window = windowOf(event.target);
    if (window) imgdiff.viewing.camera.step(!event.shiftKey, pointIn(event, window));
  }

  imgdiff.viewing.gestures = {
    listen(stage) {
      stage.addEventListener("wheel", onWheel, { passive: false });
      stage.addEventListener("pointerdown", onDown);
      stage.addEventListener("pointermove", onMove);
      stage.addEventListener("pointerup", onUp);
      stage.addEventListener("pointercancel", onUp);
      stage.addEventListener("pointerleave", () => hover(null));
      stage.addEventListener("dblclick", onDoubleClick);
    },
    onHover: (listener) => hovers.push(listener),
    onPoke: (listener) => pokes.push(listener),
  };
})();
