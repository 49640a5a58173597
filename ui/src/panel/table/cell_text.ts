import { bytes } from "../../format/bytes";
import { exactSpan, exactTime, past, relative, roughSpan } from "../../format/times";
import type { Row } from "../../protocol/panel";
import type { Column, ResourceKind } from "../kinds";
import type { Store } from "../store";

/** The texts of a table's cells. */
export class CellTexts {
  constructor(
    private readonly kind: ResourceKind,
    private readonly store: Pick<Store, "now" | "sourceName">,
  ) {}

  /** The text in the cell of a row. */
  text(column: Column, row: Row): string {
    const { kind } = this;
    const now = this.store.now();
    switch (column.form) {
      case "time": {
        const time = kind.number(row, column.key);
        return relative(column.key === "expires" ? time : past(time, now), now);
      }
      case "bytes":
        return bytes(kind.number(row, column.key));
      case "span":
        return this.span(row, column.key, now);
      case "ending":
        return this.end(row, column.key, now);
      case "source":
        return this.store.sourceName(kind.text(row, column.key));
      default:
        return String(row[column.at] ?? "");
    }
  }

  /** What a cell tells to the mouse: the exact time, and all of a text that is cut off. */
  title(column: Column, row: Row): string {
    if (column.form === "time") return exactTime(this.kind.number(row, column.key));
    const text = this.text(column, row);
    if (column.form !== "ending") return text;
    const end = this.kind.number(row, column.key) ?? this.kind.number(row, "until");
    return [exactTime(end), text].filter(Boolean).join(" · ");
  }

  /** True if the text changes as time goes on. */
  static isTimed({ form }: Column): boolean {
    return form === "time" || form === "ending" || form === "span";
  }

  private span(row: Row, key: string, now: number): string {
    const created = this.kind.number(row, "created");
    const end = this.kind.number(row, key);
    if (created === null) return "";
    if (end !== null) return exactSpan(end - created);
    return this.kind.hasSettled(row) ? "" : `${exactSpan(now - created)} so far`;
  }

  /** When it ends, or did, and why. */
  private end(row: Row, key: string, now: number): string {
    const { kind } = this;
    const ended = kind.number(row, key);
    if (ended !== null) return [relative(past(ended, now), now), kind.text(row, "reason")].filter(Boolean).join(": ");
    const until = kind.number(row, "until");
    return kind.text(row, "with_kernel") || (until === null ? "" : `in ${roughSpan(Math.max(0, until - now))}`);
  }
}
