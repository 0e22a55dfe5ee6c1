// Live actions of a report; only `pytest-imgdiff serve` adds this script to the page.
(() => {
  "use strict";

  const { element, place } = imgdiff;

  /** @param {string} name */
  function meta(name) {
    return document.querySelector(`meta[name="imgdiff-${name}"]`)?.getAttribute("content") ?? "";
  }

  const isReport = meta("served") === "report";

  /**
   * Post JSON with the token, which proves to the server that the request comes from its own page.
   *
   * @param {string} address
   * @param {unknown} body
   */
  async function ask(address, body) {
    let response;
    try {
      response = await fetch(address, {
        method: "POST",
        headers: { "Content-Type": "application/json", "X-Imgdiff-Token": meta("token") },
        body: JSON.stringify(body),
      });
    } catch {
      throw new Error("The server does not answer. Is `pytest-imgdiff serve` still running?");
    }
    const answer = await response.json().catch(() => null);
    if (!response.ok) throw new Error(answer?.error ?? `The server rejected the request: ${response.status} ${response.statusText}`);
    return answer;
  }

  /** @param {ManifestDecision[]} decisions */
  async function carryOut(decisions) {
    const { results } = await ask("/api/accept", { decisions });
    return results.map((/** @type {{ line: string }} */ one) => one.line);
  }

  async function remove() {
    try {
      await ask(`/api/jobs/${location.pathname.split("/")[2]}/remove`, {});
      location.assign("/upload");
    } catch (error) {
      imgdiff.keys.say(String(error));
    }
  }

  /** Describe the live actions in the page's head. */
  function announce() {
    const line = element("p", { class: "summary", id: "served" });
    if (isReport) {
      line.append("Live report: Accept now replaces baselines by accepted images. ");
      line.append(element("a", { href: "/upload" }, "Compare other images"));
    } else {
      const button = element("button", { type: "button", class: "quiet" }, "Delete this upload");
      button.addEventListener("click", () => void remove());
      line.append(element("a", { href: "/upload" }, "Compare other images"), " ", button);
    }
    place("head").append(line);
  }

  /** Mark the images whose baselines have changed since the report. */
  async function tellStale() {
    const answer = await fetch("/api/stale").catch(() => null);
    if (!answer?.ok) return; // accepting one shows the error
    const { stale } = await answer.json();
    if (!stale.length) return;
    const summary = element("summary", {}, `${imgdiff.counted(stale.length, "image")} of this report can no longer be accepted`);
    const lines = stale.map((/** @type {{ line: string }} */ one) => element("li", {}, element("bdi", {}, one.line)));
    place("head").after(element("details", { class: "banner is-warned", id: "stale" }, summary, element("ul", {}, ...lines)));
  }

  imgdiff.server = { live: isReport, carryOut };

  document.addEventListener("imgdiff:start", () => {
    announce();
    if (isReport) void tellStale();
    const alone = !isReport && imgdiff.run.rows.length === 1;
    if (alone && !imgdiff.run.rows[0].glance && !imgdiff.state.get("open")) queueMicrotask(() => imgdiff.viewer.open(0)); // after all scripts
  });
})();
