// What can be done with the files, by who may: delete those that are selected, or sweep.
import { change } from "./api.js";
import { open, Worklist } from "./dialog.js";
import { el } from "./dom.js";
import { total } from "./files.js";
import { bytes, count } from "./format.js";
import { openSweep } from "./sweep.js";
import { owner } from "./table.js";

/** Return what stands beside the search. */
export function actions(table, connection, reread) {
  if (!table.mayChange)
    return [
      el("span", { class: "note", title: "Changing files needs the right to edit the connection." }, "Read only"),
    ];
  const chosen = table.chosen();
  return [
    el("button", { type: "button", onclick: () => openSweep(table, connection, reread) }, "Sweep…"),
    el(
      "button",
      {
        type: "button",
        class: "delete",
        disabled: chosen.length === 0,
        onclick: () => openDelete(chosen, connection, reread),
      },
      chosen.length ? `Delete ${chosen.length.toLocaleString("en")}…` : "Delete…",
    ),
  ];
}

function openDelete(files, connection, reread) {
  const list = new Worklist(files, owner);
  const busy = files.filter((file) => file.kind === "running").length;
  const cancel = el("button", { type: "button", onclick: () => dialog.close() }, "Cancel");
  const confirm = el(
    "button",
    { type: "button", class: "danger", onclick: go },
    `Delete ${count(files.length, "file")}`,
  );
  const dialog = open(
    `Delete ${count(files.length, "file")}, ${bytes(total(files))}?`,
    el("p", { class: "words" }, "What is deleted cannot be brought back. A retry of the task uploads it again."),
    busy
      ? el("p", { class: "words soon" }, `${count(busy, "file")} of runs that have not ended: their tasks may fail.`)
      : null,
    list.element,
    list.more,
    list.said,
    el("footer", {}, list.progress, cancel, confirm),
  );
  cancel.focus();

  async function go() {
    confirm.remove();
    await finish(list, dialog, cancel, (names) => change(connection, "delete", { names }), reread);
  }
}

/** Carry a list out; its dialog stays until it is closed, so that what became of each file can be read. */
export async function finish(list, dialog, close, send, reread) {
  close.disabled = true;
  // Escape would leave the rest going on unseen.
  const stay = (event) => event.preventDefault();
  dialog.addEventListener("cancel", stay);
  await list.run(send);
  dialog.removeEventListener("cancel", stay);
  close.disabled = false;
  close.textContent = "Close";
  close.focus();
  reread();
}
