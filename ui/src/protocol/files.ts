// Made from runloop_jupyter/widgets/protocol by scripts/protocol_types.py: change the classes, then `make ui`.

import type { Ack, Alive, BinaryFields, Bye, Ended, HelloWanted, Problem } from "./common";

/** One entry of a folder; `size` is in bytes, `changed` in milliseconds since 1970, `target` where a link points. */
export type Entry = [name: string, kind: string, size: number, changed: number, target: string];

/** A file on its way: bytes `received` from the page, and `done` of `total` moved since; `total` is 0 if unknown. */
export interface Transfer {
  key: string;
  name: string;
  doing: string;
  done: number;
  total: number;
  received: number;
}

/** As every widget's. */
export interface Hello {
  op: "hello";
  protocol: number;
  visible: boolean;
}

/** Show a folder: a path, absolute, from the folder that is shown, or from `~`. */
export interface OpenFolder {
  op: "open_folder";
  path: string;
}

/** Open an entry of the folder that is shown: a folder, or a preview of a file. */
export interface OpenEntry {
  op: "open_entry";
  name: string;
}

/** Close the preview. */
export interface ClosePreview {
  op: "close_preview";
}

/** Make a folder in the one that is shown. */
export interface MakeFolder {
  op: "make_folder";
  name: string;
}

/** Delete an entry, with all that it has. */
export interface Remove {
  op: "remove";
  name: string;
}

/** Download an entry beside the notebook; the page calls the transfer `key`. */
export interface Download {
  op: "download";
  key: string;
  name: string;
}

/** A file of `size` bytes is to come into the folder that is shown; one of this name is kept without `replace`. */
export interface Upload {
  op: "upload";
  key: string;
  name: string;
  size: number;
  replace?: boolean;
}

/** The next piece of a file. */
export interface UploadPart {
  op: "upload_part";
  key: string;
  data: Uint8Array;
}

/** All of a file was sent. */
export interface UploadEnd {
  op: "upload_end";
  key: string;
}

/** End a transfer. */
export interface Cancel {
  op: "cancel";
  key: string;
}

/** The folder that is shown, `path` empty before the first; `more` of its entries are left out. */
export interface Listing {
  op: "listing";
  path: string;
  entries: readonly Entry[];
  more: number;
}

/** A file as it is shown beside the folder; `remark` says what is not shown, `image` are the bytes of an image. */
export interface Preview {
  op: "preview";
  name: string;
  path: string;
  size: number;
  kind: "text" | "image" | "none";
  text: string;
  mime: string;
  remark: string;
  image: Uint8Array;
}

/** No preview is shown. */
export interface PreviewClosed {
  op: "preview_closed";
}

/** Something was asked for and is not there yet, or no more. */
export interface Busy {
  op: "busy";
  on: boolean;
}

/** A sentence about what was done. */
export interface Told {
  op: "told";
  text: string;
}

/** The folder was made. */
export interface FolderMade {
  op: "folder_made";
  name: string;
}

/** There is a file of this name: the page asks whether it is to be replaced. */
export interface UploadExists {
  op: "upload_exists";
  key: string;
  name: string;
}

/** The kernel waits for the pieces of this file. */
export interface UploadWanted {
  op: "upload_wanted";
  key: string;
}

/** All transfers, as they are now. */
export interface Transfers {
  op: "transfers";
  transfers: readonly Transfer[];
}

export type Request =
  | Hello
  | Alive
  | Bye
  | OpenFolder
  | OpenEntry
  | ClosePreview
  | MakeFolder
  | Remove
  | Download
  | Upload
  | UploadPart
  | UploadEnd
  | Cancel;

export type Event =
  | Ack
  | HelloWanted
  | Problem
  | Ended
  | Listing
  | Preview
  | PreviewClosed
  | Busy
  | Told
  | FolderMade
  | UploadExists
  | UploadWanted
  | Transfers;

export const BINARY: BinaryFields = {
  upload_part: ["data"],
  preview: ["image"],
};
