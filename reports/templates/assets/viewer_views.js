// The nine views: what each shows of a comparison, what it needs, and what comes nearest to it.
(() => {
  "use strict";

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
    // What was compared is what is shown: an actual picture that was resampled to the expected size is, here too.
    const size = figure && subject.detail.scaled ? compared(subject) : figure && own(figure, subject);
    return figure && size ? [{ figure, role, ...size }] : [];
  }

  /** @param {Figure | null} figure @param {LayerRole} role @param {Subject} subject @returns {LayerPlan[]} */
  const comparedLayer = (figure, role, subject) => (figure ? [{ figure, role, ...compared(subject) }] : []);

  /**
   * Both pictures in slices, with room where only the other one has rows: equal rows stand side by side.
   *
   * @param {Subject} subject
   */
  function slicesOf({ detail, expected, actual }) {
    const ends = { expected: expected?.height ?? 0, actual: actual?.height ?? 0 };
    /** @type {Record<"expected" | "actual", Slice[]>} */
    const slices = { expected: [], actual: [] };
    /** @type {Record<"expected" | "actual", {at: number, height: number}[]>} */
    const gaps = { expected: [], actual: [] };
    const now = { expected: 0, actual: 0 };
    let at = 0;
    const show = (/** @type {"expected" | "actual"} */ side, /** @type {number} */ height) => {
      if (height > 0) slices[side].push({ y: now[side], height, at });
      now[side] += height;
    };
    for (const band of detail.bands) {
      const kept = band.expected - now.expected;
      show("expected", kept);
      show("actual", kept);
      at += kept;
      const [having, lacking] = /** @type {["expected" | "actual", "expected" | "actual"]} */ (
        band.kind === "inserted" ? ["actual", "expected"] : ["expected", "actual"]
      );
      show(having, band.rows);
      gaps[lacking].push({ at, height: band.rows });
      at += band.rows;
    }
    const rest = Math.max(ends.expected - now.expected, ends.actual - now.actual);
    show("expected", ends.expected - now.expected);
    show("actual", ends.actual - now.actual);
    return { slices, gaps, height: at + rest };
  }

  /** @param {Subject} subject @returns {Plan} */
  function alignedSides(subject) {
    const { slices, gaps, height } = slicesOf(subject);
    /** @param {LayerPlan[]} layers @param {"expected" | "actual"} side */
    const sliced = (layers, side) => layers.flatMap((layer) => slices[side].map((slice) => ({ ...layer, slice })));
    /** @param {Detail["regions"][number]} region */
    const place = (region) => {
      const side = region.kind === "deleted" ? "expected" : "actual";
      const slice = slices[side].find(({ y, height: rows }) => region.y >= y && region.y < y + rows);
      const { x, y, width: across, height: down } = region;
      return { x, y: slice ? y - slice.y + slice.at : y, width: across, height: down };
    };
    return {
      width: Math.max(subject.expected?.width ?? 0, subject.actual?.width ?? 0),
      height,
      compared: true,
      place,
      panes: [
        {
          caption: "Expected",
          layers: sliced(expectedLayer(subject), "expected"),
          absent: absence(subject, "expected"),
          gaps: gaps.expected,
          place: (region) => (region.kind === "inserted" ? null : place(region)),
        },
        {
          caption: "Actual",
          layers: sliced(actualLayer(subject), "actual"),
          absent: absence(subject, "actual"),
          gaps: gaps.actual,
          place: (region) => (region.kind === "deleted" ? null : place(region)),
        },
      ],
    };
  }

  /** @param {Subject} subject @returns {Plan} */
  const plainSides = (subject) => ({
    ...compared(subject),
    compared: true,
    panes: [
      { caption: "Expected", layers: expectedLayer(subject), absent: absence(subject, "expected") },
      { caption: "Actual", layers: actualLayer(subject), absent: absence(subject, "actual") },
    ],
  });

  /** A view of one pane in which expected and actual lie on each other. @param {string} name @returns {(subject: Subject) => Plan} */
  const both = (name) => (subject) => ({
    ...compared(subject),
    compared: true,
    panes: [{ caption: name, layers: [...expectedLayer(subject), ...actualLayer(subject)], absent: "" }],
  });

  /** @param {string} title @returns {(subject: Subject) => string} */
  const needsBoth = (title) => ({ expected, actual }) =>
    expected && actual ? "" : `${title} needs both pictures, and there is no ${expected ? "actual" : "expected"} one`;

  /** @param {string} title @returns {(subject: Subject) => string} */
  const needsMask = (title) => ({ mask, row }) => {
    if (mask) return "";
    return row.verdict === "match" ? `${title}: nothing differs` : `${title}: no difference was drawn`;
  };

  /** @param {Subject} subject @param {"expected" | "actual"} side */
  function absence(subject, side) {
    const { verdict } = subject.row;
    if (side === "expected" && verdict === "missing") return "There is no expected picture yet";
    if (side === "actual" && verdict === "unmatched") return "Nothing was compared with the expected picture";
    if (verdict === "broken") return `The ${side} picture cannot be shown`;
    return verdict === "match" ? `The ${side} picture was not kept: it is the same` : `There is no ${side} picture`;
  }

  /** @type {View[]} */
  const all = [
    {
      name: "side",
      title: "Side by side",
      hint: "Expected and actual, zoomed and moved together",
      lacks: () => "",
      nearest: [],
      plan: (subject) => (subject.detail.bands.length && subject.expected && subject.actual ? alignedSides : plainSides)(subject),
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
      hint: "Actual over expected, as opaque as you set it",
      lacks: needsBoth("Onion skin"),
      nearest: ["side"],
      plan: both("Expected, actual over it"),
    },
    {
      name: "blink",
      title: "Blink",
      hint: "Expected and actual in turn, in one place",
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
      hint: "What differs, marked on the faint actual picture",
      lacks: (subject) => needsMask("Mask")(subject) || (subject.actual ? "" : "Mask: there is no actual picture"),
      nearest: ["difference", "side"],
      plan: (subject) => ({
        ...compared(subject),
        compared: true,
        panes: [
          {
            caption: "Differing pixels on the actual picture",
            layers: [...actualLayer(subject, "faint"), ...comparedLayer(subject.mask, "tint", subject)],
            absent: "",
          },
        ],
      }),
    },
    {
      name: "heat",
      title: "Heat",
      hint: "How much each place differs, as a metric sees it",
      lacks: ({ heats }) => (heats.length ? "" : "Heat: no metric of this comparison paints one"),
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
      hint: "Points of one picture found again in the other",
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
      hint: "Both pictures and all that was measured of them, on one page",
      lacks: ({ detail }) => (detail.glance ? "" : "At a glance: no metric was measured only, as --glance does"),
      nearest: ["side"],
      plan: (subject) => all[0].plan(subject), // viewer_glance.js shows its own page over it
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
    sides(view, subject) {
      const plan = view === "side" || view === "glance" ? all[0].plan(subject) : plainSides(subject);
      return plan.panes.flatMap(({ layers }) => layers);
    },
  };
})();
