import { bytes } from "../../format/bytes";
import type { Transfer } from "../../protocol/files";

/** How much of a file has moved: from 0 to 1, or null where its size is not known. An upload moves twice. */
export function transferPart({ doing, done, received, total }: Transfer): number | null {
  if (!total) return null;
  const part = doing === "Uploading" ? (received + done) / (2 * total) : done / total;
  return Math.min(part, 1);
}

/** The same in words. */
export function transferAmount(transfer: Transfer): string {
  const part = transferPart(transfer);
  return part === null ? bytes(transfer.done) : `${Math.round(part * 100)} % of ${bytes(transfer.total)}`;
}
