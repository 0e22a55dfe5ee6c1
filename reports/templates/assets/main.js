// The last script: starts the others, as the run's data is loaded.
(() => {
  "use strict";

  if (imgdiff.run) {
    document.documentElement.classList.add("is-started");
    document.dispatchEvent(new Event("imgdiff:start"));
    return;
  }
  const { element, place } = imgdiff;
  const text = "data/run.js cannot be read: keep all files of the report in one folder. ";
  const plain = element("a", { href: "plain.html" }, "The same results without scripts");
  place("list").replaceChildren(element("p", { class: "notice" }, text, plain, "."));
})();
