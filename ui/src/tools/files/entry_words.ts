import { bytes } from "../../format/bytes";
import { counted } from "../../format/words";
import type { Entry } from "../../protocol/files";

const KINDS: Record<string, string> = { directory: "Folder", file: "File", symlink: "Link", other: "Special file" };

export function entrySize([, kind, size]: Entry): string {
  return kind === "file" ? bytes(size) : "";
}

export function entryTime([, , , changed]: Entry): string {
  return new Date(changed).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
}

/** An entry as it is read aloud. */
export function spokenEntry(entry: Entry): string {
  const [name, kind, , , target] = entry;
  return [name, KINDS[kind], target && `to ${target}`, entrySize(entry), entryTime(entry)].filter(Boolean).join(", ");
}

/** The line below a folder. */
export function folderSummary(shown: number, hidden: number, more: number): string {
  const parts = [
    counted(shown, "entry", "entries"),
    hidden && `${hidden.toLocaleString()} hidden`,
    more && `${more.toLocaleString()} more are not shown`,
  ];
  return parts.filter(Boolean).join(" · ");
}

/** The sentence in a folder that shows nothing. */
export function emptyFolder(hidden: number): string {
  return hidden
    ? `Only hidden files here (${hidden}). The eye button shows them.`
    : "This folder is empty. Drop files here to upload them.";
}

/** The question before something is deleted. */
export function removal([name, kind]: Entry, folder: string): { title: string; text: string } {
  const path = `${folder === "/" ? "" : folder}/${name}`;
  const text =
    kind === "directory"
      ? `The folder ${path} goes with all that it has. It cannot be brought back.`
      : `${path} cannot be brought back.`;
  return { title: `Delete ${name}?`, text };
}

/** The last name of a path. */
export function lastName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
