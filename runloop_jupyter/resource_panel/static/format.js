// Values as people read them. Times are milliseconds since 1970, as the kernel's clock has them.

const STATUS = {
  running: ["disc", "ok"],
  suspended: ["pause", "warn"],
  shutdown: ["ring", "quiet", "shut down"],
  failure: ["cross", "bad", "failed"],
  build_complete: ["tick", "ok", "built"],
  failed: ["cross", "bad"],
  read_only: ["tick", "ok", "ready"],
  error: ["cross", "bad"],
  deleted: ["ring", "quiet"],
};
const CHANGING = new Set([
  "scheduled", "queued", "provisioning", "initializing", "suspending", "resuming", "building", "awaiting_upload", "uploading",
]);

/** The icon's shape, its tone and the words of a status; one that nobody knows is shown as it is. */
function statusLook(status) {
  const [shape, tone, label] = STATUS[status] || (CHANGING.has(status) ? ["spin", "info"] : ["ask", "quiet"]);
  return { shape, tone, label: label || String(status).replaceAll("_", " ") };
}

function span(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86400)} d ${Math.floor((seconds % 86400) / 3600)} h`;
}

/** The same in one unit, rounded up. */
function roughSpan(ms) {
  const minutes = Math.ceil(ms / 60000);
  if (minutes < 60) return `${minutes} min`;
  return minutes < 2880 ? `${Math.ceil(minutes / 60)} h` : `${Math.ceil(minutes / 1440)} d`;
}

function exactSpan(ms) {
  if (ms < 10000) return `${(Math.max(0, ms) / 1000).toFixed(1)} s`;
  return ms < 3600000 && ms >= 60000 ? `${Math.floor(ms / 60000)} min ${Math.floor((ms % 60000) / 1000)} s` : span(ms);
}

function relative(ms, now) {
  if (ms === null || ms === undefined) return "";
  const past = now - ms;
  if (Math.abs(past) < 3000) return "just now";
  return past > 0 ? `${span(past)} ago` : `in ${span(-past)}`;
}

/** A time that has been: a clock that is ahead does not make it one to come. */
function past(ms, now) {
  return ms === null || ms === undefined ? ms : Math.min(ms, now);
}

function exactTime(ms) {
  return ms === null || ms === undefined ? "" : new Date(ms).toLocaleString();
}

function bytes(size) {
  if (size === null || size === undefined) return "";
  const units = ["B", "kB", "MB", "GB", "TB"];
  const at = size < 1000 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(size) / 3));
  const value = size / 1000 ** at;
  return `${at && value < 100 ? value.toFixed(1) : Math.round(value)} ${units[at]}`;
}

function plural(count, singular) {
  const many = singular.endsWith("y") ? `${singular.slice(0, -1)}ies` : `${singular}${singular.endsWith("x") ? "es" : "s"}`;
  return `${count.toLocaleString()} ${count === 1 ? singular : many}`;
}
