import { button } from "./elements";
import { icon } from "./icons";

/** Put a text into the clipboard. */
export async function copyText(content: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(content);
  } catch {
    copyBySelection(content); // no clipboard here, or not for this page: the old way works in most of these
  }
}

function copyBySelection(content: string): void {
  const area = document.createElement("textarea");
  area.style.cssText = "position:fixed;opacity:0";
  area.value = content;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

/** A button that copies what `content()` gives, shows for a moment that it did, and tells it by `say`. */
export function copyButton(title: string, content: () => string, say: (sentence: string) => void): HTMLButtonElement {
  const copy = async ({ currentTarget }: MouseEvent) => {
    const pressed = currentTarget as HTMLButtonElement; // `renew` may have given the handler to another one
    await copyText(content());
    pressed.replaceChildren(icon("tick", "ok"));
    say("Copied.");
    setTimeout(() => pressed.replaceChildren(icon("copy")), 1500);
  };
  return button("", copy, { shape: "copy", kind: "rl-flat", title });
}
