export interface DropOptions {
  onFiles: (files: File[]) => void;
  onFolders: (names: string[]) => void;
  /** False while files are not wanted: the front end may have its own use for them. */
  accepts?: () => boolean;
}

/** Let files be dropped on an element. Folders cannot be read by a page: `onFolders` gets their names. */
export function onDrop(element: HTMLElement, { onFiles, onFolders, accepts = () => true }: DropOptions): void {
  const mark = (on: boolean) => element.classList.toggle("rl-dropping", on);
  element.addEventListener("dragover", (event) => {
    if (!carriesFiles(event) || !accepts()) return;
    event.preventDefault();
    event.stopPropagation();
    mark(true);
  });
  element.addEventListener("dragleave", (event) => {
    if (!element.contains(event.relatedTarget as Node | null)) mark(false);
  });
  element.addEventListener("drop", (event) => {
    mark(false);
    if (!carriesFiles(event) || !accepts()) return;
    event.preventDefault();
    event.stopPropagation();
    const items = [...(event.dataTransfer?.items ?? [])];
    const folders = items.flatMap((item) =>
      item.webkitGetAsEntry?.()?.isDirectory ? [item.webkitGetAsEntry()?.name ?? ""] : [],
    );
    if (folders.length) onFolders(folders);
    const files = [...(event.dataTransfer?.files ?? [])].filter((file) => !folders.includes(file.name));
    if (files.length) onFiles(files);
  });
}

function carriesFiles(event: DragEvent): boolean {
  return [...(event.dataTransfer?.types ?? [])].includes("Files");
}
