// The cleanup dialog: a retention policy, a preview of what it deletes, and the deletion of exactly those files.
import { post } from "./api.js";
import { consequences } from "./consequences.js";
import { messageOf, openDialog, run, typedNumber } from "./dialog.js";
import { el } from "./dom.js";
import { bytes, count } from "./format.js";
import { reasonTable } from "./report.js";

/** @import { ChangeList } from "./dialog.js" */
/** @import { Child } from "./dom.js" */
/** @import { DryRun, GeminiFile, Policy, Shown } from "./types.js" */

/**
 * Number fields: name in the policy, label, unit of the label in units of the policy, limits.
 *
 * @type {[name: "max_age_finished" | "max_age" | "high_watermark" | "low_watermark", string, number, object][]}
 */
const NUMBERS = [
  ["max_age_finished", "Max age, finished runs (h)", 1, { min: 0, step: "any", placeholder: "No limit of its own" }],
  ["max_age", "Max age, all files (h)", 1, { min: 0, step: "any" }],
  ["high_watermark", "High watermark (%)", 100, { min: 1, max: 100, step: "any" }],
  ["low_watermark", "Low watermark (%)", 100, { min: 1, max: 100, step: "any" }],
];

/** @type {[name: "include_shared" | "include_foreign", string][]} */
const CHECKBOXES = [
  ["include_shared", "Include files shared by all runs"],
  ["include_foreign", "Include files of other tools and deployments"],
];

const EXPLANATION =
  "Deletes files that are older than their maximum age. If usage is above the high watermark, more files are deleted " +
  "until it is at the low watermark. Files of active runs, and of runs whose state is not known, are always kept.";

/**
 * Open the dialog.
 *
 * @param {Shown} shown
 * @param {string} connection
 * @param {(files: GeminiFile[], heading: string, detail: (file: GeminiFile) => Child) => ChangeList<GeminiFile>} listOf
 * @param {() => void} refresh - Called after files have been deleted.
 */
export function openCleanup({ files, policy }, connection, listOf, refresh) {
  const byName = new Map(files.map((file) => [file.name, file]));
  const { form, read } = policyForm(policy, onPreview);
  const plan = el("div", { class: "plan" });
  const status = el("p", { class: "words", role: "status" });
  const cancel = el("button", { type: "button", onclick: () => dialog.close() }, "Cancel");
  const preview = el("button", { class: "primary" }, "Preview");
  const footer = el("footer", {}, cancel, preview);
  preview.setAttribute("form", form.id);
  const dialog = openDialog("Clean up files", el("p", { class: "words" }, EXPLANATION), form, status, plan, footer);

  /** @param {SubmitEvent} event */
  async function onPreview(event) {
    event.preventDefault();
    preview.disabled = true;
    const body = { policy: read() };
    try {
      showPreview(await post(connection, "dry-run", body), body);
    } catch (error) {
      status.replaceChildren(el("span", { class: "warning" }, messageOf(error)));
      plan.replaceChildren();
      footer.replaceChildren(cancel, preview);
    }
    preview.disabled = false;
  }

  /**
   * @param {DryRun} dryRun
   * @param {{policy: Policy}} body
   */
  function showPreview({ deletions, others, freed_bytes, kept }, body) {
    const reasons = new Map(deletions);
    const due = [...reasons.keys(), ...others].map((name) => byName.get(name) ?? unlisted(name));
    const list = listOf(due, "Reason", (file) => el("small", {}, reasons.get(file.name)));
    const confirm = el(
      "button",
      { type: "button", class: "danger", onclick: onConfirm },
      `Delete ${count(due.length, "file")}`,
    );
    const summary = due.length
      ? `${count(due.length, "file")} to delete (${bytes(freed_bytes)}).`
      : "Nothing to delete.";
    preview.textContent = "Update preview";
    preview.className = "";
    status.replaceChildren(el("b", {}, summary), due.length ? ` ${consequences(due)}` : "");
    const details = el("details", { open: true }, el("summary", {}, "Files to keep, by reason"), reasonTable(kept));
    const typed = typedNumber(due.length, confirm);
    plan.replaceChildren(due.length ? list.element : "", list.more, details, list.status, typed ?? "");
    footer.replaceChildren(list.progress, cancel, preview, ...(due.length ? [confirm] : []));

    async function onConfirm() {
      confirm.remove();
      typed?.remove();
      preview.remove();
      for (const input of form.querySelectorAll("input")) input.disabled = true;
      await run(list, dialog, cancel, (names) => post(connection, "cleanup", { ...body, names }));
      refresh();
    }
  }
}

/**
 * Return the form of a policy and a function that reads it.
 *
 * @param {Policy} policy
 * @param {(event: SubmitEvent) => void} onsubmit
 */
function policyForm(policy, onsubmit) {
  const numbers = NUMBERS.map(([name, label, unit, limits]) => {
    const value = policy[name];
    const given = value === null ? {} : { required: true, value: value * unit };
    const input = el("input", { type: "number", ...given, ...limits });
    return { name, unit, input, label: el("label", {}, label, input) };
  });
  const checkboxes = CHECKBOXES.map(([name, label]) => {
    const input = el("input", { type: "checkbox", checked: policy[name] });
    return { name, input, label: el("label", { class: "box" }, input, ` ${label}`) };
  });
  const labels = [...numbers, ...checkboxes].map(({ label }) => label);
  const form = el("form", { id: "cleanup-form", onsubmit }, el("div", { class: "fields" }, labels));

  /** @returns {Policy} */
  function read() {
    // An empty field is no limit of its own.
    const given = numbers.map(({ name, unit, input }) => [name, input.value ? Number(input.value) / unit : null]);
    const checked = checkboxes.map(({ name, input }) => [name, input.checked]);
    return { ...policy, ...Object.fromEntries([...given, ...checked]) };
  }
  return { form, read };
}

/**
 * Return a file that the API server has listed after the page did.
 *
 * @param {string} name
 * @returns {GeminiFile}
 */
function unlisted(name) {
  const unknown = { owner: null, type: null, created: null, expires: null, source: null, error: null };
  return { ...unknown, name, label: "", shared: false, size: 0, counted: 0, state: "", kind: "foreign", text: name };
}
