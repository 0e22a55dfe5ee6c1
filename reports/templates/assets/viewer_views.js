// The nine views: what each one shows and needs, and which one replaces it.
(() => {
  "use strict";

  /** Views of both images, padded if possible; the others have the size of the actual image. @type {ViewName[]} */
  const PADDED = ["side", "swipe", "onion", "blink", "glance"];

  /** @param {Figure} figure @param {Subject} subject */
  const own = (figure, subject) => ({ width: figure.width ?? subject.width, height: figure.height ?? subject.height });

  /** @param {Subject} subject */
  const compared = ({ width, height }) => ({ width, height });

  /** @param {Subject} subject @returns {LayerPlan[]} */
  function expectedLayer(subject) {
    const figure = subject.expected;
    return figure ? [{ figure, role: "expected", ...own(figure, subject) }] : [];
  }

  /** @param {Subject} subject @param {LayerRole} role @returns {LayerPlan[]} */
  function actualLayer(subject, role = "actual") {
    const figure = subject.actual;
    // Show the compared form: an actual image that was resampled to the expected size.
    const size = figure && subject.detail.scaled ? compared(subject) : figure && own(figure, subject);
    return figure && size ? [{ figure, role, ...size }] : [];
  }

  /** @param {Figure | null} figure @param {LayerRole} role @param {Subject} subject @returns {LayerPlan[]} */
  const comparedLayer = (figure, role, subject) => (figure ? [{ figure, role, ...compared(subject) }] : []);

  /** Whether both images can be padded so that equal parts have one position. @param {Subject} subject */
  const canPad = ({ detail, expected, actual }) => detail.layout.length > 1 && expected !== null && actual !== null;

  /** @param {Subject} subject */
  const isPadded = (subject) => canPad(subject) && imgdiff.state.get("aligned") !== "off";

  /** @param {Subject} subject @param {Side} side @returns {Slice[]} */
  function slicesOf({ detail }, side) {
    return detail.layout.flatMap(({ x, y, width, height, [side]: start }) => {
      return start ? [{ x: start[0], y: start[1], width, height, at: { x, y } }] : [];
    });
  }

  /** @param {Subject} subject @param {Side} side @returns {Gap[]} */
  function gapsOf({ detail }, side) {
    return detail.layout.filter((part) => !part[side]).map(({ x, y, width, height }) => ({ x, y, width, height, role: side }));
  }

  /** @param {Subject} subject @param {Side} side @returns {LayerPlan[]} */
  function paddedLayers(subject, side) {
    const layers = side === "expected" ? expectedLayer(subject) : actualLayer(subject);
    return layers.flatMap((layer) => slicesOf(subject, side).map((slice) => ({ ...layer, slice })));
  }

  /** @param {Subject} subject @returns {Size} */
  function paddedSize({ detail }) {
    const most = (/** @type {(part: Part) => number} */ end) => Math.max(...detail.layout.map(end));
    return { width: most(({ x, width }) => x + width), height: most(({ y, height }) => y + height) };
  }

  /** The box on the padded plane that a box of one image covers. @param {Slice[]} slices @param {Box} box @returns {Box} */
  function placed(slices, box) {
    const parts = slices.flatMap((slice) => {
      const left = Math.max(box.x, slice.x);
      const top = Math.max(box.y, slice.y);
      const right = Math.min(box.x + box.width, slice.x + slice.width);
      const bottom = Math.min(box.y + box.height, slice.y + slice.height);
      if (right <= left || bottom <= top) return [];
      const [x, y] = [slice.at.x - slice.x, slice.at.y - slice.y];
      return [{ left: left + x, top: top + y, right: right + x, bottom: bottom + y }];
    });
    if (!parts.length) return box;
    const x = Math.min(...parts.map(({ left }) => left));
    const y = Math.min(...parts.map(({ top }) => top));
    const width = Math.max(...parts.map(({ right }) => right)) - x;
    return { x, y, width, height: Math.max(...parts.map(({ bottom }) => bottom)) - y };
  }

  /** The image whose pixels a region's box is in. @param {Region} region @returns {Side} */
  const sideOf = ({ kind }) => (kind === "deleted" ? "expected" : "actual");

  /**
   * The box of a region in one image, or null if that image does not have it.
   *
   * @param {Region} region @param {Side} side @returns {Box | null}
   */
  function boxIn(region, side) {
    const { kind, moved, width, height } = region;
    if ((kind === "inserted" && side === "expected") || (kind === "deleted" && side === "actual")) return null;
    if (kind !== "moved" || !moved || side === "actual") return region;
    return { x: region.x - moved[0], y: region.y - moved[1], width, height };
  }

  /** @param {Subject} subject @returns {Plan["place"]} */
  const placesOf = (subject) => {
    const slices = { expected: slicesOf(subject, "expected"), actual: slicesOf(subject, "actual") };
    return (region) => placed(slices[sideOf(region)], region);
  };

  /** @param {Subject} subject @param {Side} side @returns {PanePlan["place"]} */
  const placesIn = (subject, side) => {
    const slices = { expected: slicesOf(subject, "expected"), actual: slicesOf(subject, "actual") };
    return (region) => {
      const box = boxIn(region, side);
      // Differences in place use the layout of the actual image, like the mask.
      return box && placed(slices[region.kind === "moved" || region.kind === "deleted" ? side : "actual"], box);
    };
  };

  /** @param {Subject} subject @returns {Plan} */
  function paddedSides(subject) {
    /** @param {string} name @param {Side} side @returns {PanePlan} */
    const pane = (name, side) => ({
      caption: name,
      layers: paddedLayers(subject, side),
      absent: absence(subject, side),
      gaps: gapsOf(subject, side),
      place: placesIn(subject, side),
    });
    return {
      ...paddedSize(subject),
      compared: true,
      place: placesOf(subject),
      panes: [pane("Expected", "expected"), pane("Actual", "actual")],
    };
  }

  /** @param {Subject} subject @returns {Plan} */
  const plainSides = (subject) => ({
    ...compared(subject),
    compared: true,
    panes: [
      { caption: "Expected", layers: expectedLayer(subject), absent: absence(subject, "expected"), place: (region) => boxIn(region, "expected") },
      { caption: "Actual", layers: actualLayer(subject), absent: absence(subject, "actual"), place: (region) => boxIn(region, "actual") },
    ],
  });

  /** @param {Subject} subject */
  const sides = (subject) => (isPadded(subject) ? paddedSides : plainSides)(subject);

  /** A view with expected and actual in one pane. @param {string} name @returns {(subject: Subject) => Plan} */
  const both = (name) => (subject) => {
    if (!isPadded(subject)) {
      const layers = [...expectedLayer(subject), ...actualLayer(subject)];
      return { ...compared(subject), compared: true, panes: [{ caption: name, layers, absent: "" }] };
    }
    const layers = [...paddedLayers(subject, "expected"), ...paddedLayers(subject, "actual")];
    const gaps = [...gapsOf(subject, "expected"), ...gapsOf(subject, "actual")];
    const panes = [{ caption: name, layers, absent: "", gaps }];
    return { ...paddedSize(subject), compared: true, place: placesOf(subject), panes };
  };

  /** @param {string} title @returns {(subject: Subject) => string} */
  const needsBoth = (title) => ({ expected, actual }) =>
    expected && actual ? "" : `${title} needs both images, and there is no ${expected ? "actual" : "expected"} one`;

  /** @param {string} title @returns {(subject: Subject) => string} */
  const needsMask = (title) => ({ mask, row }) => {
    if (mask) return "";
    return row.verdict === "match" ? `${title}: nothing differs` : `${title}: no difference image was written`;
  };

  /** @param {Subject} subject @param {"expected" | "actual"} side */
  function absence(subject, side) {
    const { verdict } = subject.row;
    if (side === "expected" && verdict === "missing") return "There is no expected image";
    if (side === "actual" && verdict === "unmatched") return "There is no actual image";
    if (verdict === "broken") return `The ${side} image cannot be shown`;
    return verdict === "match" ? `The ${side} image was not stored: both are equal` : `There is no ${side} image`;
  }

  /** @type {View[]} */
  const all = [
    {
      name: "side",
      title: "Side by side",
      hint: "Expected and actual, zoomed and panned together",
      lacks: () => "",
      nearest: [],
      plan: sides,
    },
    {
      name: "swipe",
      title: "Swipe",
      hint: "Expected left of the divider, actual right of it",
      lacks: needsBoth("Swipe"),
      nearest: ["side"],
      plan: both("Expected"),
    },
    {
      name: "onion",
      title: "Onion skin",
      hint: "Actual over expected, with adjustable opacity",
      lacks: needsBoth("Onion skin"),
      nearest: ["side"],
      plan: both("Expected, actual over it"),
    },
    {
      name: "blink",
      title: "Blink",
      hint: "Expected and actual alternately, in the same place",
      lacks: needsBoth("Blink"),
      nearest: ["side"],
      plan: both("Expected"),
    },
    {
      name: "difference",
      title: "Difference",
      hint: "White where a pixel differs",
      lacks: needsMask("Difference"),
      nearest: ["heat", "side"],
      plan: (subject) => ({
        ...compared(subject),
        compared: true,
        panes: [{ caption: caption(subject.mask, "Difference"), layers: comparedLayer(subject.mask, "mask", subject), absent: "" }],
      }),
    },
    {
      name: "mask",
      title: "Mask",
      hint: "Differing pixels marked on the faded actual image",
      lacks: (subject) => needsMask("Mask")(subject) || (subject.actual ? "" : "Mask: there is no actual image"),
      nearest: ["difference", "side"],
      plan: (subject) => ({
        ...compared(subject),
        compared: true,
        panes: [
          {
            caption: "Differing pixels on the actual image",
            layers: [...actualLayer(subject, "faint"), ...comparedLayer(subject.mask, "tint", subject)],
            absent: "",
          },
        ],
      }),
    },
    {
      name: "heat",
      title: "Heat",
      hint: "How much each pixel differs, by one metric",
      lacks: ({ heats }) => (heats.length ? "" : "Heat: no metric of this comparison has a heat map"),
      nearest: ["mask", "difference", "side"],
      plan(subject) {
        const heat = imgdiff.viewing.tuning.heat(subject);
        const layers = [...actualLayer(subject), ...comparedLayer(heat, "heat", subject)];
        return { ...compared(subject), compared: true, panes: [{ caption: caption(heat, "Heat"), layers, absent: "" }] };
      },
    },
    {
      name: "orb",
      title: "ORB matches",
      hint: "Points matched in both images",
      lacks: ({ matches }) => (matches ? "" : "ORB matches: the orb metric did not draw any"),
      nearest: ["side"],
      plan(subject) {
        const { matches } = subject;
        const size = matches ? own(matches, subject) : compared(subject);
        /** @type {LayerPlan[]} */
        const layers = matches ? [{ figure: matches, role: "matches", ...size }] : [];
        return { ...size, compared: false, panes: [{ caption: caption(matches, "ORB matches"), layers, absent: "" }] };
      },
    },
    {
      name: "glance",
      title: "At a glance",
      hint: "Both images and all measurements on one page",
      lacks: ({ detail }) => (detail.glance ? "" : "At a glance: run with --glance"),
      nearest: ["side"],
      plan: sides, // viewer_glance.js shows its page over it
    },
  ];

  /** @param {Figure | null} figure @param {string} otherwise */
  function caption(figure, otherwise) {
    return figure?.caption || otherwise;
  }

  imgdiff.viewing.views = {
    all,
    shown(chosen, subject) {
      const wanted = all.find(({ name }) => name === chosen) ?? all[0];
      const names = [wanted.name, ...wanted.nearest];
      const found = names.map((name) => all.find((view) => view.name === name)).find((view) => view && !view.lacks(subject));
      return found ?? all[0];
    },
    canPad: (view, subject) => PADDED.includes(view) && canPad(subject),
    sides(view, subject) {
      const plan = PADDED.includes(view) ? sides(subject) : plainSides(subject);
      return plan.panes.flatMap(({ layers }) => layers);
    },
  };
})();
