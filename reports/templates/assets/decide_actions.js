// The actions of keys and buttons: decide, announce it, and confirm first if it affects many.
(() => {
  "use strict";

  const { counted, thousands } = imgdiff;
  const COMMAND = "pytest-imgdiff accept imgdiff-decisions.json";
  const DONE = { accept: "accepted", alternative: "accepted as an alternative", reject: "rejected", none: "undecided" };
  const VERB = { accept: "Accept", alternative: "Accept as an alternative", reject: "Reject", none: "Undecide" };

  /** The command that accepts. A page from a file knows its report's folder, unless it is a self-contained file. */
  function command() {
    if (location.protocol !== "file:" || ![...document.scripts].some(({ src }) => src)) return COMMAND;
    const page = decodeURIComponent(location.pathname).replace(/^\/(?=[A-Za-z]:)/, "");
    const folder = page.slice(0, page.lastIndexOf("/")) || "/";
    const word = /^[\w@%+=:,./-]+$/.test(folder) ? folder : `'${folder.replaceAll("'", `'"'"'`)}'`;
    return `${COMMAND} --report ${word}`;
  }

  let message = "";
  /** @type {(() => void)[]} */
  const listeners = [];

  /** @param {string} text */
  function tell(text) {
    message = text;
    imgdiff.keys.say(text);
    listeners.forEach((listener) => listener());
  }

  function current() {
    const open = imgdiff.viewer?.current() ?? -1;
    return open >= 0 ? [open] : imgdiff.list.current();
  }

  /** @param {number[]} indices */
  const named = (indices) => (indices.length === 1 ? imgdiff.run.rows[indices[0]].name : counted(indices.length, "comparison"));

  /** What accepting also replaces: files of several frames or pages are replaced completely. @param {number[]} indices */
  function replaced(indices) {
    const several = indices.map((index) => imgdiff.run.rows[index].frames).filter((frames) => frames > 1);
    if (!several.length) return "";
    const frames = several.reduce((sum, one) => sum + one, 0);
    return `this replaces all ${thousands(frames)} frames of ${several.length === 1 ? "the file" : `${thousands(several.length)} files`}`;
  }

  /** @param {number} index @param {Decision["decision"]} [decision] */
  function reason(index, decision = "accept") {
    const row = imgdiff.run.rows[index];
    if (decision === "alternative" && row.acceptable) return "Only an image that a test compared with a stored baseline can be an alternative.";
    if (row.verdict === "unmatched") return "There is no actual image to accept.";
    if (row.verdict === "broken") return "A comparison with an error cannot be accepted.";
    if (row.outcome === "passed" && !row.pixels) return "It passed: there is nothing to accept.";
    return "The report does not contain the image for a baseline, or the expected image is not a stored baseline.";
  }

  /** The same as a separate sentence. @param {number[]} indices */
  function also(indices) {
    const words = replaced(indices);
    return words && ` ${words[0].toUpperCase()}${words.slice(1)}.`;
  }

  /** @param {number[]} indices @param {Decision["decision"]} decision */
  function decide(indices, decision) {
    if (!indices.length) return;
    const usable = indices.filter((index) => imgdiff.decisions.allows(index, decision));
    if (!usable.length) {
      tell(indices.length === 1 ? reason(indices[0], decision) : "None of these can be accepted in this report.");
      return;
    }
    imgdiff.decisions.set(usable, { decision });
    const left = indices.length - usable.length;
    const more = indices.length === 1 ? alikeAndOpen(indices[0]) : 0;
    const words = [`${named(usable)} ${DONE[decision]}`];
    if (decision === "accept" && replaced(usable)) words.push(replaced(usable));
    if (left) words.push(`${thousands(left)} cannot be accepted in this report`);
    if (more && decision !== "none") words.push(`${thousands(more)} more with the same change to decide`);
    tell(words.join("; "));
  }

  /** The number of other undecided comparisons with the same change. @param {number} index */
  function alikeAndOpen(index) {
    const { rows } = imgdiff.run;
    const { change } = rows[index];
    if (change === null) return 0;
    return rows.filter((row, other) => row.change === change && imgdiff.decisions.of(other).decision === "none").length;
  }

  /** @param {number[]} indices */
  function comment(indices) {
    if (!indices.length) return;
    const { of, set } = imgdiff.decisions;
    const first = of(indices[0]).comment;
    const before = indices.every((index) => of(index).comment === first) ? first : "";
    imgdiff.dialogs.comment(`Comment on ${named(indices)}`, before, (text) => {
      if (set(indices, { comment: text.trim() })) tell(text.trim() ? `Comment on ${named(indices)} saved` : `Comment on ${named(indices)} removed`);
    });
  }

  /** @param {Decision["decision"]} decision */
  function decideShown(decision) {
    const shown = imgdiff.list.shown();
    const usable = shown.filter((index) => imgdiff.decisions.allows(index, decision));
    if (!usable.length) {
      tell(shown.length ? "None of the shown comparisons can be accepted in this report." : "Nothing is shown.");
      return;
    }
    const left = shown.length - usable.length;
    const words = `The list shows ${counted(shown.length, "comparison")}${left ? `; ${thousands(left)} cannot be accepted in this report` : ""}.${also(decision === "accept" ? usable : [])} You can undo this.`;
    imgdiff.dialogs.confirm(`${VERB[decision]} ${counted(usable.length, "comparison")}?`, words, {
      label: `${VERB[decision]} ${thousands(usable.length)}`,
      does: () => decide(shown, decision),
    });
  }

  function commentShown() {
    const shown = imgdiff.list.shown();
    if (shown.length) comment(shown);
    else tell("Nothing is shown.");
  }

  const undo = () => tell(imgdiff.decisions.undo() ? "Undone" : "Nothing to undo");
  const redo = () => tell(imgdiff.decisions.redo() ? "Redone" : "Nothing to redo");

  function clear() {
    const all = [...imgdiff.decisions.all().keys()];
    if (!all.length) return;
    imgdiff.dialogs.confirm("Clear all decisions?", `Decisions and comments on ${counted(all.length, "comparison")} are deleted. You can undo this while the page is open.`, {
      label: "Clear",
      does: () => {
        imgdiff.decisions.set(all, { decision: "none", comment: "" });
        tell("All decisions cleared");
      },
    });
  }

  async function exportAll() {
    tell("Collecting decisions …");
    try {
      const manifest = await imgdiff.manifests.build();
      imgdiff.manifests.download(manifest);
      const accepted = manifest.decisions.filter(({ decision }) => imgdiff.decisions.writes(decision)).length;
      tell(`${counted(manifest.decisions.length, "decision")} exported`);
      const lines = accepted
        ? [`${counted(accepted, "image")} will replace baselines, or be added as alternatives, when you run this command with the path of the saved file, in any folder of the project. It first verifies that neither image nor baseline has changed; --dry-run does only that.`]
        : ["Nothing is accepted, so no file will be written. The command lists rejections and comments."];
      imgdiff.dialogs.tell("imgdiff-decisions.json was saved in the downloads folder", lines, command());
    } catch (error) {
      failed(error);
    }
  }

  /** @param {unknown} error */
  function failed(error) {
    const words = error instanceof Error ? error.message : String(error);
    tell(words);
    imgdiff.dialogs.tell("Error", [words]);
  }

  /** @param {File} file */
  async function importFrom(file) {
    try {
      const { decisions, unknown, other } = await imgdiff.manifests.read(await file.text());
      imgdiff.decisions.put(decisions);
      const parts = [`${counted(decisions.size, "decision")} imported`];
      if (unknown) parts.push(`${counted(unknown, "comparison")} ${unknown === 1 ? "is" : "are"} not in this report`);
      if (other) parts.push(`${counted(other, "image")} accepted elsewhere ${other === 1 ? "differs" : "differ"} here, so ${other === 1 ? "it is" : "they are"} still undecided`);
      tell(parts.join("; "));
    } catch (error) {
      failed(error);
    }
  }

  /** @param {number[]} [indices] */
  async function acceptNow(indices) {
    if (indices) decide(indices.filter((index) => imgdiff.decisions.of(index).decision !== "alternative"), "accept");
    try {
      const accepted = await acceptedOf(indices);
      if (accepted.length === 1) await write(accepted);
      else if (accepted.length) {
        const all = [...imgdiff.decisions.all()].filter(([, { decision }]) => imgdiff.decisions.writes(decision)).map(([index]) => index);
        const words = also(all.filter((index) => imgdiff.decisions.of(index).decision === "accept" && (!indices || indices.includes(index))));
        imgdiff.dialogs.confirm(`Write ${counted(accepted.length, "baseline")} now?`, `The server writes them immediately; you can restore the old ones from version control.${words}`, {
          label: `Write ${thousands(accepted.length)}`,
          does: () => void write(accepted),
        });
      }
    } catch (error) {
      failed(error);
    }
  }

  /** The accepted decisions of the manifest for these rows, or for all. @param {number[]} [indices] */
  async function acceptedOf(indices) {
    const all = [...imgdiff.decisions.all()].filter(([, { decision }]) => imgdiff.decisions.writes(decision)).map(([index]) => index);
    return imgdiff.manifests.decisionsOn(indices ? all.filter((index) => indices.includes(index)) : all);
  }

  /** @param {ManifestDecision[]} accepted */
  async function write(accepted) {
    try {
      const lines = (await imgdiff.server?.carryOut(accepted)) ?? [];
      imgdiff.decisions.settle();
      tell(lines.length === 1 ? lines[0] : `${counted(lines.length, "decision")} applied; see the result of each`);
      imgdiff.dialogs.tell("Results", [...lines, "Undo does not restore baselines: restore the replaced ones from version control."]);
    } catch (error) {
      failed(error);
    }
  }

  imgdiff.actions = {
    current,
    decide,
    comment,
    decideShown,
    commentShown,
    undo,
    redo,
    clear,
    exportAll,
    importFrom,
    acceptNow,
    reason,
    get message() {
      return message;
    },
    onMessage: (listener) => listeners.push(listener),
  };
})();
