/**
 * What runs inside of a page around its capture. One expression, so that every browser driver can evaluate it. What runs
 * only after a failure is in elements.js: browsers parse this file for each capture.
 *
 * @param {[string, any]} call the name of an action and its argument
 * @returns {any} what the action returns; `prepare` returns a promise
 */
([action, argument]) => {
  const STATE = Symbol.for("pytest-imgdiff");

  /**
   * The page's document and those of its frames of the same origin.
   * @param {Document} root
   * @returns {Document[]}
   */
  function documents(root) {
    const found = [root];
    for (const frame of root.querySelectorAll("iframe, frame")) {
      const inner = /** @type {HTMLIFrameElement} */ (frame).contentDocument;
      if (inner) {
        found.push(...documents(inner));
      }
    }
    return found;
  }

  /**
   * Wait for a promise, whether it is kept or broken, and no longer than until the deadline.
   * @param {Promise<unknown>} promise
   * @param {number} deadline milliseconds of performance.now()
   * @returns {Promise<unknown>}
   */
  function atMost(promise, deadline) {
    const left = Math.max(0, deadline - performance.now());
    return Promise.race([promise.catch(() => undefined), new Promise((resolve) => setTimeout(resolve, left))]);
  }

  /**
   * @param {HTMLImageElement} image
   * @returns {Promise<unknown>}
   */
  function shown(image) {
    if (image.complete) {
      return image.decode();
    }
    return new Promise((resolve) => {
      image.addEventListener("load", () => resolve(image.decode().catch(() => undefined)), { once: true });
      image.addEventListener("error", resolve, { once: true });
    });
  }

  /**
   * @param {string} url of a picture that no element of its own shows, such as a video's poster
   * @returns {Promise<unknown>}
   */
  function loaded(url) {
    const image = new Image();
    image.src = url;
    return image.decode();
  }

  /**
   * @param {Element} element
   * @returns {boolean}
   */
  function inViewport(element) {
    const box = element.getBoundingClientRect();
    const view = /** @type {Window} */ (element.ownerDocument.defaultView);
    return box.bottom > 0 && box.right > 0 && box.top < view.innerHeight && box.left < view.innerWidth;
  }

  /** One frame, so that the page can react; a page in the background has none. */
  function frame() {
    return new Promise((resolve) => {
      requestAnimationFrame(resolve);
      setTimeout(resolve, 50);
    });
  }

  /**
   * Scroll through the page once, so that whatever loads when it comes into view is loaded.
   * @param {number} deadline
   */
  async function walk(deadline) {
    const root = document.scrollingElement || document.documentElement;
    const height = root.scrollHeight;
    for (let top = innerHeight; top < height && performance.now() < deadline; top += innerHeight) {
      scrollTo({ top, behavior: "instant" });
      await frame();
    }
  }

  /**
   * Get the page ready: fonts, images and posters of what is captured are there.
   * @param {{fullPage: boolean, ofElement: boolean, timeout: number, freeze: boolean, hideCaret: boolean,
   *   style: string}} options timeout in milliseconds; freeze, hideCaret and style for drivers that cannot do this
   *   themselves
   */
  async function prepare(options) {
    const deadline = performance.now() + options.timeout;
    const state = page()[STATE] || (page()[STATE] = { lazy: [], styles: [], paused: [], scrolled: [] });
    const views = documents(document);
    if (!state.scrolled.length && (options.fullPage || options.ofElement)) {
      state.scrolled = positions(views, options.ofElement);
    }
    if (options.fullPage && !state.walked) {
      state.walked = true;
      for (const view of views) {
        for (const image of view.querySelectorAll("img[loading=lazy]")) {
          state.lazy.push(image);
          image.setAttribute("loading", "eager");
        }
      }
      await walk(deadline);
      putBack(state.scrolled);
    }
    if (options.style || options.hideCaret || options.freeze) {
      dress(state, views, options);
    }
    if (options.freeze) {
      freeze(state, views);
    }
    /** @type {Promise<unknown>[]} */
    const awaited = [];
    for (const view of views) {
      awaited.push(view.fonts.ready);
      for (const image of view.images) {
        if (options.fullPage || inViewport(image)) {
          awaited.push(shown(image));
        }
      }
      for (const video of view.querySelectorAll("video[poster]")) {
        if (options.fullPage || inViewport(video)) {
          awaited.push(loaded(/** @type {HTMLVideoElement} */ (video).poster));
        }
      }
    }
    await atMost(Promise.allSettled(awaited), deadline);
    if (options.freeze) {
      freeze(state, views); // what began meanwhile
    }
    return { ...info(), changed: Boolean(state.scrolled.length || state.styles.length || state.paused.length) };
  }

  /** @returns {any} the window, to which the state is attached */
  function page() {
    return window;
  }

  /**
   * Add the style of the capture to every document.
   * @param {any} state
   * @param {Document[]} views
   * @param {{freeze: boolean, hideCaret: boolean, style: string}} options
   */
  function dress(state, views, options) {
    if (state.styles.length) {
      return;
    }
    const every = "*, *::before, *::after";
    const caret = options.hideCaret ? `${every} { caret-color: transparent !important; }\n` : "";
    const still = options.freeze ? `${every} { transition: none !important; }\n` : "";
    for (const view of views) {
      const style = view.createElement("style");
      style.textContent = caret + still + options.style;
      view.documentElement.append(style);
      state.styles.push(style);
    }
  }

  /**
   * Finish animations that end, put endless ones back to their start, as Playwright does.
   * @param {any} state
   * @param {Document[]} views
   */
  function freeze(state, views) {
    for (const view of views) {
      for (const animation of view.getAnimations()) {
        const timing = animation.effect && animation.effect.getComputedTiming();
        if (animation.playState === "finished" || (animation.playState === "paused" && state.paused.includes(animation))) {
          continue;
        }
        if (!animation.effect || !timing || timing.endTime === Infinity || animation.playbackRate <= 0) {
          animation.pause();
          animation.currentTime = 0;
          state.paused.push(animation);
        } else {
          animation.finish();
        }
      }
    }
  }

  /** Leave the page as it was found. */
  function restore() {
    const state = page()[STATE];
    if (!state) {
      return;
    }
    delete page()[STATE];
    for (const image of state.lazy) {
      image.setAttribute("loading", "lazy");
    }
    for (const style of state.styles) {
      style.remove();
    }
    for (const animation of state.paused) {
      animation.play();
    }
    putBack(state.scrolled);
  }

  /**
   * How far everything is scrolled that a capture may scroll.
   * @param {Document[]} views
   * @param {boolean} inner whether that may be more than the page itself
   * @returns {[Element, number, number][]}
   */
  function positions(views, inner) {
    const roots = views.map((view) => view.scrollingElement || view.documentElement);
    const boxes = inner
      ? views.flatMap((view) =>
          [...view.querySelectorAll("*")].filter(
            (element) => element.scrollHeight > element.clientHeight || element.scrollWidth > element.clientWidth,
          ),
        )
      : [];
    return [...new Set([...roots, ...boxes])].map((element) => [element, element.scrollLeft, element.scrollTop]);
  }

  /** @param {[Element, number, number][]} scrolled */
  function putBack(scrolled) {
    for (const [element, left, top] of scrolled) {
      if (element.scrollLeft !== left || element.scrollTop !== top) {
        element.scrollTo({ left, top, behavior: "instant" });
      }
    }
  }

  /** What a report says of the page. */
  function info() {
    const root = document.documentElement;
    return {
      url: location.href,
      title: document.title,
      viewport: [innerWidth, innerHeight],
      deviceScale: devicePixelRatio,
      colorScheme: matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light",
      scroll: [scrollX, scrollY],
      size: [root.scrollWidth, Math.max(root.scrollHeight, document.body ? document.body.scrollHeight : 0)],
    };
  }

  /**
   * Where a document lies in the page's own, in CSS pixels; null where a frame of another origin is between.
   * @param {Document} view
   * @returns {[number, number] | null}
   */
  function offset(view) {
    let x = 0;
    let y = 0;
    let inner = /** @type {Window} */ (view.defaultView);
    while (inner !== inner.parent) {
      const element = inner.frameElement;
      if (!element) {
        return null;
      }
      const box = element.getBoundingClientRect();
      x += box.left + element.clientLeft;
      y += box.top + element.clientTop;
      inner = inner.parent;
    }
    return [x + inner.scrollX, y + inner.scrollY];
  }

  /**
   * The boxes of elements, or of the lines of text in them, in CSS pixels of the page's document.
   * @param {{elements?: Element[], selector?: string, what: "box" | "text"}} argument
   * @returns {([number, number, number, number] | null)[]} x, y, width, height; null where it cannot be known
   */
  function boxes({ elements, selector, what }) {
    const found = elements || [...document.querySelectorAll(selector || "*")];
    return found.flatMap((element) => {
      const place = offset(element.ownerDocument);
      if (!place) {
        return [null];
      }
      return rectangles(element, what)
        .filter((box) => box.width > 0 && box.height > 0)
        .map((box) => /** @type {[number, number, number, number]} */ ([box.left + place[0], box.top + place[1], box.width, box.height]));
    });
  }

  /**
   * @param {Element} element
   * @param {"box" | "text"} what
   * @returns {DOMRect[]}
   */
  function rectangles(element, what) {
    if (what === "box") {
      return [element.getBoundingClientRect()];
    }
    const texts = element.ownerDocument.createTreeWalker(element, NodeFilter.SHOW_TEXT);
    const found = [];
    for (let text = texts.nextNode(); text; text = texts.nextNode()) {
      if (text.nodeValue && text.nodeValue.trim()) {
        const range = element.ownerDocument.createRange();
        range.selectNodeContents(text);
        found.push(...range.getClientRects());
      }
    }
    return found;
  }

  /** @type {Record<string, (argument: any) => any>} */
  const actions = { prepare, boxes, info, restore };
  return actions[action](argument);
}
