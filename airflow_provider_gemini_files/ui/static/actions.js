// The buttons of the files, for users who may edit the connection: clean up, and delete the selected files.
import { post } from "./api.js";
import { ownerCell } from "./cells.js";
import { openCleanup } from "./cleanup.js";
import { consequences, warningOf } from "./consequences.js";
import { ChangeList, openQuestion } from "./dialog.js";
import { el } from "./dom.js";
import { total } from "./files.js";
import { bytes, count } from "./format.js";

/** @import { Child } from "./dom.js" */
/** @import { ListOptions } from "./dialog.js" */
/** @import { GeminiFile, Shown } from "./types.js" */

/** @type {ListOptions<GeminiFile>["outcomes"]} */
const OUTCOMES = {
  deleted: ["Deleted", true],
  gone: ["Already gone", true],
  kept: ["Kept", false],
  refused: ["Refused by the service", false],
};

/**
 * Return the content of the toolbar's right side.
 *
 * @param {Shown} shown
 * @param {string} connection
 * @param {() => void} refresh - Called after files have been deleted.
 */
export function actions(shown, connection, refresh) {
  if (!shown.can_edit) return [readOnly("Deleting files")];
  const clean = () => openCleanup(shown, connection, deletionList, refresh);
  return [el("button", { type: "button", onclick: clean }, "Clean up")];
}

/**
 * Return the button for the selected files.
 *
 * @param {GeminiFile[]} selected
 * @param {string} connection
 * @param {() => void} refresh - Called after files have been deleted.
 */
export function deleteButton(selected, connection, refresh) {
  return selectionButton("Delete selected", selected.length, () => openDelete(selected, connection, refresh));
}

/**
 * Return the note for users who may not edit the connection.
 *
 * @param {string} change - What requires the permission.
 */
export function readOnly(change) {
  const title = `${change} requires permission to edit the connection.`;
  return el("span", { class: "note", title }, "Read only");
}

/**
 * Return a button for the selected items.
 *
 * @param {string} text
 * @param {number} selected
 * @param {() => void} onclick
 */
export function selectionButton(text, selected, onclick) {
  return el("button", { type: "button", onclick }, `${text} (${selected.toLocaleString("en")})`);
}

/**
 * Return a list of files to delete.
 *
 * @param {GeminiFile[]} files
 * @param {string} heading - The heading of the column with the details.
 * @param {(file: GeminiFile) => Child | Child[]} detail
 */
function deletionList(files, heading, detail) {
  return new ChangeList(files, {
    noun: "file",
    label: "Files to delete",
    columns: [
      { heading: "Size", key: "size", cell: ({ size }) => bytes(size) },
      { heading, key: "detail", cell: detail },
    ],
    outcomes: OUTCOMES,
  });
}

/**
 * @param {GeminiFile[]} files
 * @param {string} connection
 * @param {() => void} refresh
 */
function openDelete(files, connection, refresh) {
  openQuestion({
    title: `Delete ${count(files.length, "file")} (${bytes(total(files))})`,
    words: consequences(files),
    warning: warningOf(files),
    action: `Delete ${count(files.length, "file")}`,
    dismiss: "Cancel",
    list: deletionList(files, "Owner", ownerCell),
    send: (names) => post(connection, "delete", { names }),
    done: refresh,
  });
}
