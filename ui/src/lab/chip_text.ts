import { statusLook } from "../format/statuses";
import type { CurrentDevbox } from "../protocol/notebook";

export interface ChipText {
  name: string;
  /** The status that its icon shows; empty for none. */
  status: string;
  title: string;
}

const OPENS = "Open the Runloop panel.";

/** What the chip says about the current devbox; null is for none. */
export function chipOf(devbox: CurrentDevbox | null): ChipText {
  if (!devbox) return { name: "No devbox", status: "", title: `No devbox is chosen. ${OPENS}` };
  const { name } = devbox;
  const status = devbox.status || "unknown";
  const label = devbox.status ? statusLook(status).label : "its status cannot be told now";
  return { name, status, title: `Current devbox: ${name}, ${label}. ${OPENS}` };
}
