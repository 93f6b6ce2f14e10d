// The files as data: decoded, filtered, sorted.

/** Whose a file is, in the order in which they are shown. */
export const KINDS = {
  running: "Runs under way",
  ended: "Runs that have ended",
  shared: "Shared by all runs",
  foreign: "Other tools",
};
const RUN_KINDS = { running: "running", unknown: "running", finished: "ended", gone: "ended" };

/** Return a file of a row, as `reading.py` writes it. */
export function decode([name, label, owner, shared, type, size, state, created, expires, source, error]) {
  const [dag, run, task, map, runState] = owner ?? [];
  const kind = owner ? RUN_KINDS[runState] : shared ? "shared" : "foreign";
  const text = [name, label, dag, run, task, type, state, source].filter(Boolean).join("\n").toLowerCase();
  return {
    name,
    label,
    type,
    size,
    state,
    created,
    expires,
    source,
    error,
    shared,
    kind,
    text,
    owner: owner && { dag, run, task, map, state: runState },
    // Registered files stay in Cloud Storage; the quota does not count them.
    counted: source === "REGISTERED" ? 0 : size,
  };
}

const KEYS = {
  label: (file) => (file.label || file.name).toLowerCase(),
  owner: (file) =>
    file.owner ? `${file.owner.dag}\n${file.owner.run}\n${file.owner.task}` : file.shared ? "\uffff1" : "\uffff2",
  type: (file) => file.type ?? "",
  size: (file) => file.size,
  state: (file) => file.state,
  created: (file) => -(file.created ?? 0),
  expires: (file) => file.expires ?? Infinity,
  source: (file) => file.source ?? "",
};

/** Return the files that are wanted, those of a link first. */
export function select(files, { text, state, kind }, { key, descending }, linked) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const wanted = files.filter(
    (file) =>
      (!state || file.state === state) &&
      (!kind || file.kind === kind) &&
      words.every((word) => file.text.includes(word)),
  );
  const by = KEYS[key];
  const sign = descending ? -1 : 1;
  const keyed = wanted.map((file) => [linked.has(file.name) ? 0 : 1, by(file), file]);
  keyed.sort(([l1, k1], [l2, k2]) => l1 - l2 || (k1 < k2 ? -sign : k1 > k2 ? sign : 0));
  return keyed.map(([, , file]) => file);
}

export function total(files) {
  return files.reduce((sum, file) => sum + file.counted, 0);
}
