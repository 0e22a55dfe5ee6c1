// The camera of all panes: one scale, and the point of the image in the middle of each pane.
(() => {
  "use strict";

  const LARGEST = 64;
  /** Screen pixels per pixel of the image, for one step of the keys. */
  const STEPS = [1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 3, 1 / 2, 2 / 3, 1, 1.5, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, LARGEST];
  const LARGEST_FIT = 16;
  /** The ratio of height to width, or width to height, from which an image is long. */
  const TALL = 2.5;
  const WIDE = 6;
  const LARGEST_JUMP = 12;
  const GLIDE_MILLISECONDS = 220;

  /** @type {(() => void)[]} */
  const listeners = [];
  const calm = matchMedia("(prefers-reduced-motion: reduce)");

  /** @type {Size} */
  let picture = { width: 1, height: 1 };
  /** @type {Size} */
  let pane = { width: 1, height: 1 };
  let look = { scale: 1, x: 0.5, y: 0.5 };
  let fitted = true;
  let glide = 0;

  const density = () => window.devicePixelRatio || 1;

  /** @type {(value: number, least: number, most: number) => number} */
  const within = (value, least, most) => Math.min(Math.max(value, least), most);

  const wholeScale = () => Math.min(pane.width / picture.width, pane.height / picture.height);

  /** Small images are enlarged by integers, so that all their pixels have one size. @param {number} scale */
  function even(scale) {
    const enlargement = scale * density();
    return enlargement <= 1 ? scale : Math.min(Math.floor(enlargement), LARGEST_FIT) / density();
  }

  const isSmallWhole = () => wholeScale() * 2 < 1 / density();
  const isTall = () => picture.height > TALL * picture.width && isSmallWhole();
  const isWide = () => picture.width > WIDE * picture.height && isSmallWhole();

  /** Long images fit by their short side: the whole image would be too small. */
  function fitScale() {
    if (!isTall() && !isWide()) return even(wholeScale());
    return Math.min(Math.max(pane.width / picture.width, pane.height / picture.height), 1 / density());
  }

  const least = () => Math.min(fitScale(), wholeScale(), STEPS[0]) / 2;

  /**
   * The middle of the visible part, limited so that no edge leaves the pane.
   *
   * @type {(at: number, scale: number, length: number, room: number) => number}
   */
  function held(at, scale, length, room) {
    const half = room / 2 / scale;
    return length <= 2 * half ? length / 2 : within(at, half, length - half);
  }

  /** @param {{scale: number, x: number, y: number}} next */
  function become(next) {
    look = next;
    listeners.forEach((listener) => listener());
  }

  /** @param {{scale: number, x: number, y: number}} next */
  function glideTo(next) {
    cancelAnimationFrame(glide);
    if (calm.matches || document.hidden) {
      become(next);
      return;
    }
    const from = look;
    const start = performance.now();
    const frame = (/** @type {number} */ now) => {
      const passed = within((now - start) / GLIDE_MILLISECONDS, 0, 1);
      if (passed === 1) {
        become(next);
        return;
      }
      const part = 1 - (1 - passed) ** 3;
      become({
        scale: from.scale * (next.scale / from.scale) ** part,
        x: from.x + (next.x - from.x) * part,
        y: from.y + (next.y - from.y) * part,
      });
      glide = requestAnimationFrame(frame);
    };
    glide = requestAnimationFrame(frame);
  }

  /** @param {number} scale */
  function fitTo(scale) {
    cancelAnimationFrame(glide);
    // Long images start at their top left corner.
    become({ scale, x: held(0, scale, picture.width, pane.width), y: held(0, scale, picture.height, pane.height) });
  }

  /** @param {number} scale @param {Point} [at] */
  function zoomTo(scale, at = { x: pane.width / 2, y: pane.height / 2 }) {
    cancelAnimationFrame(glide);
    fitted = false;
    const next = within(scale, least(), LARGEST / density());
    // The point under the pointer stays there, with the image's corner on whole screen pixels.
    const fixed = imgdiff.viewing.camera.toPicture(at);
    const x = fixed.x - (at.x - pane.width / 2) / next;
    const y = fixed.y - (at.y - pane.height / 2) / next;
    if (next < look.scale) {
      become({ scale: next, x: held(x, next, picture.width, pane.width), y: held(y, next, picture.height, pane.height) });
    } else {
      become({ scale: next, x: within(x, 0, picture.width), y: within(y, 0, picture.height) });
    }
  }

  /**
   * A jump may have passed an edge: panning does not snap back, but goes no further.
   *
   * @type {(at: number, by: number, length: number, room: number) => number}
   */
  function panned(at, by, length, room) {
    const wanted = at - by / look.scale;
    const good = held(wanted, look.scale, length, room);
    return within(wanted, Math.min(good, at), Math.max(good, at));
  }

  imgdiff.viewing.camera = {
    get scale() { return look.scale; },
    get enlargement() { return look.scale * density(); },
    get origin() {
      const whole = (/** @type {number} */ length) => Math.round(length * density()) / density();
      return { x: whole(pane.width / 2 - look.x * look.scale), y: whole(pane.height / 2 - look.y * look.scale) };
    },
    get pane() { return pane; },
    get picture() { return picture; },
    get seen() {
      const width = pane.width / look.scale;
      const height = pane.height / look.scale;
      return { x: look.x - width / 2, y: look.y - height / 2, width, height };
    },
    get canPan() {
      return picture.width * look.scale > pane.width + 1 || picture.height * look.scale > pane.height + 1;
    },
    get tall() { return isTall(); },

    frame(nextPicture, nextPane, anew) {
      const same = picture.width === nextPicture.width && picture.height === nextPicture.height;
      picture = nextPicture;
      pane = nextPane;
      if (anew || fitted || !same) this.fit();
      else become(look);
    },
    fit() {
      fitTo(fitScale());
      fitted = true;
    },
    whole() {
      fitTo(even(wholeScale()));
      fitted = false;
    },
    fitWidth() {
      const scale = pane.width / picture.width;
      const top = this.seen.y;
      cancelAnimationFrame(glide);
      fitted = false;
      become({ scale, x: picture.width / 2, y: held(top + pane.height / 2 / scale, scale, picture.height, pane.height) });
    },
    trueSize() { zoomTo(1 / density()); },
    zoom(by, at) { zoomTo(look.scale * by, at); },
    step(up, at) {
      const now = look.scale * density();
      const next = up ? STEPS.find((step) => step > now * 1.01) : STEPS.filter((step) => step < now * 0.99).pop();
      zoomTo((next ?? now * (up ? 2 : 0.5)) / density(), at);
    },
    pan(x, y) {
      cancelAnimationFrame(glide);
      fitted = false;
      become({ ...look, x: panned(look.x, x, picture.width, pane.width), y: panned(look.y, y, picture.height, pane.height) });
    },
    drag(x, y) {
      cancelAnimationFrame(glide);
      fitted = false;
      become({
        ...look,
        x: within(look.x - x / look.scale, 0, picture.width),
        y: within(look.y - y / look.scale, 0, picture.height),
      });
    },
    centre(point) {
      cancelAnimationFrame(glide);
      fitted = false;
      become({
        ...look,
        x: held(point.x, look.scale, picture.width, pane.width),
        y: held(point.y, look.scale, picture.height, pane.height),
      });
    },
    lookAt(box) {
      fitted = false;
      const room = Math.min(pane.width / box.width, pane.height / box.height);
      // With a margin of its own size, but at least the scale of the fit if the region is visible there.
      const wanted = room > fitScale() ? Math.max(room / 2, fitScale()) : room;
      const enlargement = Math.min(wanted * density(), Math.max(LARGEST_JUMP, fitScale() * density()));
      const scale = (enlargement > 1 ? Math.floor(enlargement) : enlargement) / density();
      glideTo({ scale, x: box.x + box.width / 2, y: box.y + box.height / 2 });
    },
    toPicture(point) {
      const { x, y } = this.origin;
      return { x: (point.x - x) / look.scale, y: (point.y - y) / look.scale };
    },
    onChange: (listener) => listeners.push(listener),
  };
})();
