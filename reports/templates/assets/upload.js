// The upload page: sends the images, polls the job, and opens its report.
(() => {
  "use strict";

  const { place, counted } = imgdiff;
  const form = /** @type {HTMLFormElement} */ (place("upload"));
  const upload = /** @type {UploadPart} */ (imgdiff.upload);
  const token = document.querySelector('meta[name="imgdiff-token"]')?.getAttribute("content") ?? "";
  const MEGA = 1e6;
  const FIRST_POLL = 150;
  const SLOWEST_POLL = 1500;
  /** @type {string | null} */
  let job = null;
  /** @type {XMLHttpRequest | null} */
  let sending = null;

  /** The result of pairing the images: the errors, or null, and a summary. */
  function pairing() {
    const { expected, actual } = upload.chosen;
    if (!expected.size || !actual.size) return { wrong: "Choose images on both sides.", words: "" };
    if (expected.size === 1 && actual.size === 1) return { wrong: null, words: "1 pair" };
    const both = [...expected.keys()].filter((name) => actual.has(name)).length;
    const words = [`${counted(both, "pair")} with the same name`];
    if (expected.size > both) words.push(`${expected.size - both} only expected`);
    if (actual.size > both) words.push(`${actual.size - both} only actual`);
    const most = Number(form.dataset.pictures);
    const bytes = [...expected.values(), ...actual.values()].reduce((sum, file) => sum + file.size, 0);
    const largest = Number(form.dataset.bytes);
    if (expected.size + actual.size > most) return { wrong: `These are more than ${counted(most, "image")}.`, words: "" };
    if (bytes > largest) return { wrong: `These are ${Math.ceil(bytes / MEGA)} MB; at most ${largest / MEGA} MB are allowed.`, words: "" };
    return { wrong: null, words: words.join(", ") };
  }

  function check() {
    const { wrong, words } = pairing();
    place("pairs").textContent = wrong ?? words;
    /** @type {HTMLButtonElement} */ (place("compare")).disabled = wrong !== null || !form.checkValidity();
  }

  /** The settings of the form, as the endpoint expects them. */
  function settings() {
    const data = new FormData(form);
    /** @type {{ metrics?: Record<string, number>, size?: string, mask?: string, glance?: boolean }} */
    const chosen = {};
    if (data.get("policy") === "chosen") {
      chosen.metrics = Object.fromEntries(data.getAll("metric").map((name) => [name, Number(data.get(`limit-${name}`))]));
    }
    for (const key of /** @type {const} */ (["size", "mask"])) {
      const value = data.get(key);
      if (typeof value === "string" && value) chosen[key] = value;
    }
    chosen.glance = data.has("glance");
    return chosen;
  }

  function send() {
    const body = new FormData();
    body.append("settings", JSON.stringify(settings()));
    for (const side of /** @type {UploadSide[]} */ (["expected", "actual"])) {
      for (const [name, file] of upload.chosen[side]) body.append(side, file, name);
    }
    busy(true);
    show("Sending", 0, 1);
    const request = new XMLHttpRequest(); // fetch() does not report upload progress
    sending = request;
    request.open("POST", "/api/compare");
    request.setRequestHeader("X-Imgdiff-Token", token);
    request.responseType = "json";
    request.upload.addEventListener("progress", (event) => show("Sending", event.loaded, event.total));
    request.addEventListener("error", () => fail("The server does not answer. Is `pytest-imgdiff serve` still running?"));
    request.addEventListener("abort", () => busy(false));
    request.addEventListener("load", () => {
      sending = null;
      if (request.status !== 202) return fail(request.response?.error ?? `The server rejected the request: ${request.status}`);
      job = request.response.id;
      void watch(FIRST_POLL);
    });
    request.send(body);
  }

  /** @param {number} pause milliseconds until the next request */
  async function watch(pause) {
    if (job === null) return;
    let progress;
    try {
      const response = await fetch(`/api/jobs/${job}`);
      progress = await response.json();
      if (!response.ok) throw new Error(progress.error);
    } catch (error) {
      return fail(error instanceof Error ? error.message : String(error));
    }
    if (progress.state === "done") return location.assign(progress.report);
    if (progress.state === "failed") return fail(progress.line);
    if (progress.state === "waiting") show(`Waiting for ${counted(progress.ahead, "upload")} before this one`, 0, progress.total);
    else show(`Comparing: ${progress.done} of ${counted(progress.total, "pair")}`, progress.done, progress.total);
    setTimeout(() => void watch(Math.min(pause * 1.5, SLOWEST_POLL)), pause);
  }

  /** @param {string} words @param {number} done @param {number} total */
  function show(words, done, total) {
    const bar = /** @type {HTMLProgressElement} */ (place("bar"));
    bar.max = total;
    if (done) bar.value = done;
    else bar.removeAttribute("value"); // unknown: an indeterminate bar
    place("progress-words").textContent = words;
  }

  /** @param {boolean} is */
  function busy(is) {
    place("progress").hidden = !is;
    place("compare").hidden = is;
    place("pairs").hidden = is;
    place("failure").hidden = true;
    /** @type {HTMLFieldSetElement} */ (place("choices")).disabled = is;
    if (is) place("cancel").focus();
  }

  /** @param {string} line */
  function fail(line) {
    job = null;
    busy(false);
    place("failure").textContent = line;
    place("failure").hidden = false;
    place("failure").focus();
  }

  function cancel() {
    sending?.abort();
    sending = null;
    if (job !== null) {
      const headers = { "Content-Type": "application/json", "X-Imgdiff-Token": token };
      void fetch(`/api/jobs/${job}/remove`, { method: "POST", headers, body: "{}" });
      job = null;
    }
    busy(false);
    place("compare").focus();
  }

  /** Enable the list of metrics only for a manual selection, and a limit only for a selected metric. */
  function enable() {
    const byHand = new FormData(form).get("policy") === "chosen";
    place("metrics").classList.toggle("is-off", !byHand);
    for (const box of /** @type {NodeListOf<HTMLInputElement>} */ (form.querySelectorAll('input[name="metric"]'))) {
      box.disabled = !byHand || "unavailable" in box.dataset;
      const limit = /** @type {HTMLInputElement} */ (place(`limit-${box.value}`));
      limit.disabled = box.disabled || !box.checked;
    }
    /** @type {HTMLButtonElement} */ (place("choose-all")).disabled = !byHand;
    check();
  }

  function chooseAll() {
    const boxes = /** @type {NodeListOf<HTMLInputElement>} */ (form.querySelectorAll('input[name="metric"]:not(:disabled)'));
    const all = [...boxes].every((box) => box.checked);
    boxes.forEach((box) => { box.checked = !all; });
    enable();
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (pairing().wrong === null) send();
  });
  form.addEventListener("input", enable);
  place("choose-all").addEventListener("click", chooseAll);
  place("cancel").addEventListener("click", cancel);
  upload.onChange(check);
  window.addEventListener("pageshow", () => { busy(false); enable(); }); // also after a return from a report
})();
