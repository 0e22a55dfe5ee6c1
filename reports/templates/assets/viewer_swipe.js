// Swipe: a divider over both images, moved by pointer and arrow keys. It stays visible while they are zoomed and moved:
// its position is relative to their visible part.
(() => {
  "use strict";

  const { element } = imgdiff;
  const STEP = 0.01;
  const LEAP = 0.1;

  let place = 0.5;
  const divider = element(
    "div",
    {
      class: "divider",
      role: "slider",
      tabindex: 0,
      "aria-label": "Divider between expected and actual",
      "aria-orientation": "horizontal",
      "aria-valuemin": 0,
      "aria-valuemax": 100,
    },
    element("span", { class: "divider-grip", "aria-hidden": "true" }, "‹ ›"),
  );

  const active = () => imgdiff.viewing.view === "swipe" && imgdiff.viewing.stage.panes.length === 1;

  /** Left edge and width of the visible part of the images, in the pane. */
  function edges() {
    const { origin, pane, picture, scale } = imgdiff.viewing.camera;
    const left = Math.max(origin.x, 0);
    return { left, width: Math.max(Math.min(origin.x + picture.width * scale, pane.width) - left, 1) };
  }

  function draw() {
    if (!active()) return;
    const { origin, scale } = imgdiff.viewing.camera;
    const { left, width } = edges();
    const x = Math.round(left + place * width);
    divider.style.transform = `translateX(${x}px)`;
    const percent = Math.round(place * 100);
    divider.setAttribute("aria-valuenow", String(percent));
    divider.setAttribute("aria-valuetext", `${percent} % from the left: expected left of it, actual right of it`);
    const [pane] = imgdiff.viewing.stage.panes;
    const parts = [
      ...pane.layers.map(({ plan: { role, slice }, box }) => ({ role, box, start: slice?.at.x ?? 0 })),
      ...pane.gaps.map(({ plan: gap, box }) => ({ role: gap.role, box, start: gap.x })),
    ];
    for (const { role, box, start } of parts) {
      const cut = `${Math.max(x - origin.x - start * scale, 0)}px`;
      box.style.clipPath = role === "actual" ? `inset(0 0 0 ${cut})` : `inset(0 calc(100% - ${cut}) 0 0)`;
    }
  }

  /** @param {number} next */
  function move(next) {
    place = Math.min(Math.max(next, 0), 1);
    draw();
  }

  /** @param {KeyboardEvent} event */
  function onKey(event) {
    const step = event.shiftKey ? LEAP : STEP;
    /** @type {Record<string, number>} */
    const places = {
      ArrowLeft: place - step,
      ArrowDown: place - step,
      ArrowRight: place + step,
      ArrowUp: place + step,
      PageDown: place - LEAP,
      PageUp: place + LEAP,
      Home: 0,
      End: 1,
    };
    if (!Object.hasOwn(places, event.key) || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault(); // which also keeps the arrows from moving the images
    move(places[event.key]);
  }

  /** @param {PointerEvent} event */
  function onPointer(event) {
    event.stopPropagation();
    if (event.type === "pointerdown") divider.setPointerCapture(event.pointerId);
    if (!divider.hasPointerCapture(event.pointerId)) return;
    const { left: paneLeft } = imgdiff.viewing.stage.panes[0].window.getBoundingClientRect();
    const { left, width } = edges();
    move((event.clientX - paneLeft - left) / width);
  }

  divider.addEventListener("keydown", onKey);
  divider.addEventListener("pointerdown", onPointer);
  divider.addEventListener("pointermove", (event) => {
    if (divider.hasPointerCapture(event.pointerId)) onPointer(event);
  });

  imgdiff.viewing.swipe = {
    get place() { return place; },
    set place(next) { move(next); },
  };

  document.addEventListener("imgdiff:start", () => {
    imgdiff.viewing.stage.onShow(() => {
      if (!active()) return;
      const [{ window, caption }] = imgdiff.viewing.stage.panes;
      window.append(divider);
      caption.parentElement?.append(element("span", { class: "pane-name is-right" }, "Actual"));
    });
    imgdiff.viewing.camera.onChange(draw);
  });
})();
