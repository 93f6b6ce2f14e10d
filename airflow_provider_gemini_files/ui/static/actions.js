// The buttons beside the search, for users who may edit the connection: clean up, and delete the selected files.
import { post } from "./api.js";
import { ownerCell } from "./cells.js";
import { openCleanup } from "./cleanup.js";
import { DeletionList, openDialog, run } from "./dialog.js";
import { el } from "./dom.js";
import { total } from "./files.js";
import { bytes, count } from "./format.js";

/** @import { GeminiFile, Shown } from "./types.js" */

/**
 * Return the content of the toolbar's right side.
 *
 * @param {Shown} shown
 * @param {GeminiFile[]} selected
 * @param {string} connection
 * @param {() => void} refresh - Called after files have been deleted.
 */
export function actions(shown, selected, connection, refresh) {
  if (!shown.can_edit) {
    const title = "Deleting files requires permission to edit the connection.";
    return [el("span", { class: "note", title }, "Read only")];
  }
  return [
    el("button", { type: "button", onclick: () => openCleanup(shown, connection, refresh) }, "Clean up"),
    el(
      "button",
      {
        type: "button",
        disabled: selected.length === 0,
        onclick: () => openDelete(selected, connection, refresh),
      },
      selected.length ? `Delete selected (${selected.length.toLocaleString("en")})` : "Delete selected",
    ),
  ];
}

/**
 * @param {GeminiFile[]} files
 * @param {string} connection
 * @param {() => void} refresh
 */
function openDelete(files, connection, refresh) {
  const list = new DeletionList(files, "Owner", ownerCell);
  const active = files.filter((file) => file.kind === "running").length;
  const registered = files.filter((file) => file.source === "REGISTERED").length;
  const cancel = el("button", { type: "button", onclick: () => dialog.close() }, "Cancel");
  const confirm = el(
    "button",
    { type: "button", class: "danger", onclick: onConfirm },
    `Delete ${count(files.length, "file")}`,
  );
  const warning =
    active > 0 &&
    `${count(active, "file")} ${active === 1 ? "belongs" : "belong"} to active runs. Tasks that use them may fail.`;
  const dialog = openDialog(
    `Delete ${count(files.length, "file")} (${bytes(total(files))})`,
    el("p", { class: "words" }, "Deleted files cannot be restored. A task has to upload them again."),
    registered > 0 && el("p", { class: "words" }, "The objects of registered files stay in Cloud Storage."),
    warning && el("p", { class: "words warning" }, warning),
    list.element,
    list.more,
    list.status,
    el("footer", {}, list.progress, cancel, confirm),
  );
  cancel.focus();

  async function onConfirm() {
    confirm.remove();
    await run(list, dialog, cancel, (names) => post(connection, "delete", { names }));
    refresh();
  }
}
