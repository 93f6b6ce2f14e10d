// The sweep: a policy, what it would delete, and then the deletion of just that.
import { finish } from "./actions.js";
import { change } from "./api.js";
import { open, Worklist } from "./dialog.js";
import { el } from "./dom.js";
import { bytes, count } from "./format.js";
import { reasons } from "./report.js";

const FIELDS = [
  ["max_age_finished", "Of ended runs, older than (hours)", 1, { min: 0, step: "any" }],
  ["max_age", "Any, older than (hours)", 1, { min: 0, step: "any" }],
  ["high_watermark", "Make room from (% used)", 100, { min: 1, max: 100, step: "any" }],
  ["low_watermark", "down to (% used)", 100, { min: 1, max: 100, step: "any" }],
];
const BOXES = [
  ["include_shared", "Files that all runs share"],
  ["include_foreign", "Files of other tools"],
];

export function openSweep({ files, policy }, connection, reread) {
  const byName = new Map(files.map((file) => [file.name, file]));
  const inputs = {};
  const fields = FIELDS.map(([name, label, unit, limits]) =>
    el(
      "label",
      {},
      label,
      (inputs[name] = el("input", { type: "number", required: true, value: policy[name] * unit, ...limits })),
    ),
  );
  const boxes = BOXES.map(([name, label]) =>
    el(
      "label",
      { class: "box" },
      (inputs[name] = el("input", { type: "checkbox", checked: policy[name] })),
      ` ${label}`,
    ),
  );
  const plan = el("div", { class: "plan" });
  const said = el("p", { class: "words", role: "status" });
  const cancel = el("button", { type: "button", onclick: () => dialog.close() }, "Cancel");
  const preview = el("button", { class: "primary" }, "Show what would be deleted");
  const footer = el("footer", {}, cancel, preview);
  const form = el("form", { onsubmit: look }, el("div", { class: "fields" }, fields, boxes));
  const words = el(
    "p",
    { class: "words" },
    "Deletes files of runs that have ended, and old ones; files of runs that have not ended always stay. Nothing is deleted before you have seen it.",
  );
  preview.setAttribute("form", (form.id = "sweep-form"));
  const dialog = open("Sweep", words, form, said, plan, footer);

  function options() {
    const given = {};
    for (const [name, , unit] of FIELDS) given[name] = Number(inputs[name].value) / unit;
    for (const [name] of BOXES) given[name] = inputs[name].checked;
    return { policy: given };
  }

  async function look(event) {
    event.preventDefault();
    preview.disabled = true;
    try {
      show(await change(connection, "dry-run", options()), options());
    } catch (error) {
      said.replaceChildren(el("span", { class: "soon" }, error.message));
      plan.replaceChildren();
      footer.replaceChildren(cancel, preview);
    }
    preview.disabled = false;
  }

  function show({ deletions, freed_bytes, kept }, asked) {
    const why = new Map(deletions.map(([name, , words]) => [name, words]));
    const going = deletions.map(([name]) => byName.get(name) ?? { name, label: "", size: 0 });
    const list = new Worklist(going, (file) => el("small", {}, why.get(file.name)));
    const confirm = el(
      "button",
      { type: "button", class: "danger", onclick: go },
      `Delete ${count(going.length, "file")}`,
    );
    preview.textContent = "Look again";
    preview.className = "";
    said.replaceChildren(
      el(
        "b",
        {},
        going.length
          ? `${count(going.length, "file")} would be deleted, ${bytes(freed_bytes)}.`
          : "Nothing would be deleted.",
      ),
    );
    plan.replaceChildren(
      going.length ? list.element : "",
      list.more,
      el("details", {}, el("summary", {}, "Why the others stay"), reasons(kept)),
      list.said,
    );
    footer.replaceChildren(list.progress, cancel, preview, ...(going.length ? [confirm] : []));

    async function go() {
      confirm.remove();
      preview.remove();
      for (const input of form.elements) input.disabled = true;
      await finish(list, dialog, cancel, (names) => change(connection, "sweep", { ...asked, names }), reread);
    }
  }
}
