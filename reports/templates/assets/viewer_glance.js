// At a glance: two images, all measurements, and their classes by a network, on one page.
(() => {
  "use strict";

  const { element } = imgdiff;
  const SVG = "http://www.w3.org/2000/svg";
  /** The ratio of height to width from which images are in one row. */
  const TALL = 1.15;

  const glance = element("section", { class: "glance", "aria-label": "At a glance", tabindex: -1 });

  /** @param {Glance["cards"][number]} card */
  const cardOf = ({ title, value, words }) =>
    element("div", { class: "glance-card" }, element("dt", {}, title), element("dd", {}, element("b", {}, value), element("span", { class: "small" }, words)));

  /** @param {string} text */
  const noticeOf = (text) => element("p", { class: "glance-notice" }, text);

  /** The outlines of the regions, in pixels of the compared image. @param {Subject} subject */
  function outlines({ detail, width, height }) {
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("aria-hidden", "true");
    for (const { x, y, width: across, height: down, contour } of detail.regions) {
      const box = [[x, y], [x + across, y], [x + across, y + down], [x, y + down]];
      const points = contour.length ? contour.map(([left, top]) => [left + 0.5, top + 0.5]) : box;
      for (const part of ["halo", "line"]) {
        const polygon = document.createElementNS(SVG, "polygon");
        polygon.setAttribute("class", part);
        polygon.setAttribute("points", points.map((point) => point.join(",")).join(" "));
        svg.append(polygon);
      }
    }
    return svg;
  }

  /**
   * One image with its caption, and a link to the view that can zoom.
   *
   * @param {{ name: string, title: string, words: (Node | string)[], figure: Figure | null, view: ViewName, absent: string, over?: Element | null }} shown
   */
  function pictureOf({ name, title, words, figure, view, absent, over = null }) {
    const caption = element("figcaption", {}, element("b", {}, title), ...words);
    if (!figure) return element("figure", { class: `glance-picture is-${name}` }, caption, noticeOf(absent));
    const image = element("img", { src: figure.href, alt: figure.alt || title, decoding: "async" });
    const frame = element("button", { type: "button", class: "glance-frame", title: "Open this view" }, image);
    if (figure.width && figure.height) frame.style.setProperty("--ratio", String(figure.width / figure.height));
    else image.addEventListener("load", () => frame.style.setProperty("--ratio", String(image.naturalWidth / image.naturalHeight)));
    if (over) frame.append(over);
    frame.addEventListener("click", () => imgdiff.viewing.choose(view));
    return element("figure", { class: `glance-picture is-${name}` }, caption, element("div", { class: "glance-room" }, frame));
  }

  /** The likeliest class with its probability, for a caption. @param {Glance["expected"]} classes */
  function labelOf(classes) {
    if (!classes.length) return [];
    const [label, probability] = classes[0];
    return [element("span", { class: "glance-label" }, label, " ", element("b", {}, probability))];
  }

  /** @param {string} side @param {Glance["expected"]} classes */
  function classList(side, classes) {
    const rows = classes.map(([label, probability, share]) => {
      const bar = element("span", { class: "glance-bar", "aria-hidden": "true" });
      bar.style.setProperty("--share", String(share));
      return element("li", {}, element("span", {}, label), element("span", { class: "glance-share" }, probability), bar);
    });
    return element("div", {}, element("h4", {}, side), element("ol", {}, ...rows));
  }

  /** @param {Glance} found */
  function classesOf({ expected, actual, lacks }) {
    const lists = expected.length ? [classList("Expected", expected), classList("Actual", actual)] : [];
    return element(
      "section",
      { class: "glance-classes" },
      element("h3", {}, expected.length ? "Classes" : "Measured"),
      element("div", { class: "glance-lists" }, ...lists),
      ...lacks.map((text) => element("p", { class: "small" }, text)),
      !expected.length && !lacks.length ? element("p", { class: "small" }, "No classes: the images are equal, or classification is not among the metrics.") : null,
    );
  }

  /** @param {Subject} subject @param {Glance} found */
  function draw(subject, found) {
    const { row, detail, expected, actual, heats, matches, width, height } = subject;
    const lacked = (/** @type {string} */ metric) => found.lacks.find((text) => text.startsWith(`${metric}:`));
    const equal = row.verdict === "match" && !heats.length && !matches;
    const heat = heats.find(({ key }) => key === "ssim_heat") ?? heats[0] ?? null;
    const compared = Boolean(detail.size);
    const line = subject.frame ? `${subject.frame.words}: ${subject.frame.line}` : row.line;
    const resampled = compared ? [] : detail.notes.filter((note) => note.startsWith("measured with"));
    const count = imgdiff.counted(detail.regionCount, "region");
    glance.classList.toggle("is-tall", height > TALL * width);
    glance.replaceChildren(
      element("p", { class: `verdict is-${row.outcome}` }, [line, ...resampled].join("; ")),
      element("dl", { class: "glance-cards" }, ...found.cards.map(cardOf)),
      pictureOf({ name: "expected", title: "Expected", words: labelOf(found.expected), figure: expected, view: "side", absent: "This image was not stored", over: compared ? outlines(subject) : null }),
      pictureOf({ name: "actual", title: "Actual", words: labelOf(found.actual), figure: actual, view: "side", absent: "This image was not stored", over: compared ? outlines(subject) : null }),
      pictureOf({
        name: "heat",
        title: "Differences",
        words: [element("span", { class: "small" }, [heat?.caption.replace(/ heat$/, "").replace("Ssim", "SSIM"), detail.regionCount ? count : ""].filter(Boolean).join(", "))],
        figure: heat,
        view: "heat",
        absent: lacked("ssim") ?? (equal ? "Nowhere: the images are equal" : "No metric has a heat map"),
      }),
      pictureOf({
        name: "matches",
        title: "ORB matches",
        words: [element("span", { class: "small" }, "points matched in both images")],
        figure: matches,
        view: "orb",
        absent: lacked("orb") ?? (equal ? "Every point: the images are equal" : "ORB is not among the metrics"),
      }),
      classesOf(found),
    );
  }

  imgdiff.viewing.glance = {
    element: glance,
    show(subject) {
      const found = subject?.detail.glance ?? null;
      imgdiff.place("viewer").classList.toggle("is-glance", found !== null);
      if (subject && found) draw(subject, found);
      else glance.replaceChildren();
    },
  };
})();
