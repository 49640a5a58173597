import { button, h, setText, text } from "../../dom/elements";
import { renew } from "../../dom/renew";
import type { Transfer } from "../../protocol/files";
import { transferAmount, transferPart } from "./transfer_amounts";

/** Files on their way, and how far they are. */
export class TransferList {
  readonly element = h("div", {
    class: "rl-transfers",
    role: "group",
    "aria-label": "Files on their way",
    hidden: true,
  });

  constructor(private readonly onCancel: (key: string) => void) {}

  update(transfers: readonly Transfer[]): void {
    this.element.hidden = !transfers.length;
    renew(
      this.element,
      transfers.map((transfer) => this.row(transfer)),
    );
  }

  private row(transfer: Transfer): HTMLElement {
    const { key, name, doing } = transfer;
    const title = `${doing} ${name}`;
    const progress = h("progress", { max: "1", value: transferPart(transfer), "aria-label": title });
    const amount = text();
    amount.className = "rl-entry-size";
    setText(amount, transferAmount(transfer));
    const cancel = button("", () => this.onCancel(key), { shape: "cross", kind: "rl-flat", title: `Cancel ${name}` });
    return h(
      "div",
      { class: "rl-transfer", "data-key": key },
      h("span", { class: "rl-entry-name" }, title),
      progress,
      amount,
      cancel,
    );
  }
}
