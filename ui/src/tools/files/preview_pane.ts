import { copyButton } from "../../dom/clipboard";
import { button, h } from "../../dom/elements";
import { focusedNear } from "../../dom/focus";
import { bytes } from "../../format/bytes";
import type { Preview } from "../../protocol/files";

/** A file beside the folder: its text, or its image. */
export class PreviewPane {
  readonly element = h("section", { class: "rl-preview", "aria-label": "Preview", hidden: true });
  private image = ""; // the address of what is shown

  constructor(
    private readonly say: (sentence: string) => void,
    private readonly onClose: () => void,
  ) {
    this.element.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.onClose();
    });
  }

  get isOpen(): boolean {
    return !this.element.hidden;
  }

  update(preview: Preview): void {
    this.forgetImage();
    this.element.hidden = false;
    this.element.replaceChildren(this.bar(preview));
    const { kind, name, text, remark } = preview;
    if (remark) this.element.append(h("div", { class: "rl-preview-remark" }, remark));
    if (kind === "text") {
      this.element.append(h("pre", { class: "rl-preview-text", tabindex: "0", "aria-label": name }, text));
    }
    if (kind === "image") this.element.append(this.picture(preview));
  }

  /** Show nothing; true if it had the keyboard, which somebody else gets then. */
  clear(): boolean {
    const hadFocus = this.element.contains(focusedNear(this.element));
    this.forgetImage();
    this.element.hidden = true;
    this.element.replaceChildren();
    return hadFocus;
  }

  close(): void {
    this.forgetImage();
  }

  private bar({ name, path, size, kind, text }: Preview): HTMLElement {
    return h(
      "div",
      { class: "rl-preview-bar" },
      h("span", { class: "rl-tool-heading", title: path }, name),
      h("span", { class: "rl-entry-size" }, bytes(size)),
      h("span", { class: "rl-spring" }),
      kind === "text" && copyButton("Copy the text", () => text, this.say),
      button("", () => this.onClose(), { shape: "cross", kind: "rl-flat", title: "Close the preview (Escape)" }),
    );
  }

  private picture({ image, mime, name }: Preview): HTMLElement {
    this.image = URL.createObjectURL(new Blob([image as Uint8Array<ArrayBuffer>], { type: mime }));
    return h("div", { class: "rl-preview-image" }, h("img", { src: this.image, alt: name }));
  }

  private forgetImage(): void {
    if (this.image) URL.revokeObjectURL(this.image);
    this.image = "";
  }
}
