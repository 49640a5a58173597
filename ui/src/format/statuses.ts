import type { IconName } from "../dom/icons";

export interface StatusLook {
  shape: IconName;
  tone: string;
  label: string;
}

const LOOKS: Record<string, [shape: IconName, tone: string, label?: string]> = {
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
const CHANGING = new Set(
  "scheduled queued provisioning initializing suspending resuming building awaiting_upload uploading".split(" "),
);

/** The icon, the tone and the words of a status; one that nobody knows is shown as it is. */
export function statusLook(status: string): StatusLook {
  const [shape, tone, label] = LOOKS[status] ?? (CHANGING.has(status) ? ["spin", "info"] : ["ask", "quiet"]);
  return { shape, tone, label: label ?? status.replaceAll("_", " ") };
}
