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
      plan: (subject) => ({
        ...compared(subject),
        compared: true,
        panes: [
          { caption: "Expected", layers: expectedLayer(subject), absent: absence(subject, "expected") },
          { caption: "Actual", layers: actualLayer(subject), absent: absence(subject, "actual") },
        ],
      }),
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
  };
})();
