// Dialogs.
(() => {
  "use strict";

  const { element } = imgdiff;
  const LONGEST_COMMENT = 4000;

  /**
   * @param {string} title
   * @param {(Node | null)[]} content
   * @param {(HTMLButtonElement | null)[]} buttons
   */
  function open(title, content, buttons) {
    const dialog = element(
      "dialog",
      { class: "decide-dialog", "aria-labelledby": "decide-title" },
      element("header", {}, element("h2", { id: "decide-title" }, title)),
      element("div", { class: "content" }, ...content),
      element("div", { class: "buttons" }, ...buttons),
    );
    dialog.addEventListener("close", () => dialog.remove());
    dialog.addEventListener("click", (event) => {
      if (event.target === dialog) dialog.close(); // a click outside
    });
    document.body.append(dialog);
    dialog.showModal();
    return dialog;
  }

  /** @param {string} label @param {() => void} does @param {string} [kind] */
  function button(label, does, kind = "") {
    const made = element("button", { type: "button", class: kind || null }, label);
    made.addEventListener("click", does);
    return made;
  }

  /** Close first: the focus returns to an element that the action may redraw. @param {DialogChoice} choice @param {() => HTMLDialogElement} dialog */
  const closing = (choice, dialog) =>
    button(
      choice.label,
      () => {
        dialog().close();
        choice.does();
      },
      "primary",
    );

  /** @type {Imgdiff["dialogs"]["confirm"]} */
  function confirm(title, words, choice) {
    const accept = closing(choice, () => dialog);
    const dialog = open(title, [element("p", {}, words)], [button("Cancel", () => dialog.close()), accept]);
    accept.focus();
  }

  /** @type {Imgdiff["dialogs"]["comment"]} */
  function comment(title, before, save) {
    const field = element("textarea", { rows: 4, maxlength: LONGEST_COMMENT, "aria-labelledby": "decide-title" });
    field.value = before;
    const keep = closing({ label: "Save comment", does: () => save(field.value) }, () => dialog);
    field.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) keep.click();
    });
    const hint = element("p", { class: "small" }, element("kbd", {}, "Ctrl + Enter"), " saves, ", element("kbd", {}, "Esc"), " cancels");
    const dialog = open(title, [field, hint], [button("Cancel", () => dialog.close()), keep]);
    field.focus();
  }

  /** @type {Imgdiff["dialogs"]["tell"]} */
  function tell(title, lines, command) {
    const list = element("ul", { class: "lines", tabindex: lines.length > 8 ? 0 : null, "aria-label": title });
    for (const line of lines) list.append(element("li", {}, line));
    const copied = command === undefined ? null : element("p", { class: "command" }, element("code", {}, command), copyButton(command));
    const dialog = open(title, [lines.length ? list : null, copied], [button("Close", () => dialog.close(), "primary")]);
  }

  /** @param {string} text */
  function copyButton(text) {
    const made = button("Copy", async () => {
      const done = await copied(text, made);
      made.textContent = done ? "Copied" : "Select it and press Ctrl + C";
      imgdiff.keys.say(made.textContent);
    });
    return made;
  }

  /** Pages over plain HTTP have no clipboard, but can copy a selection. @param {string} text @param {HTMLElement} beside */
  async function copied(text, beside) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      const field = element("textarea", { class: "visually-hidden", readonly: true });
      field.value = text;
      beside.after(field);
      field.select();
      const done = document.execCommand("copy");
      field.remove();
      beside.focus();
      return done;
    }
  }

  imgdiff.dialogs = { confirm, comment, tell, copied, copyButton };
})();
