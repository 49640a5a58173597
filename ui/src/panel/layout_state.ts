import type { Model } from "../model";
import type { Sort } from "./table/arrangement";
import type { Widths } from "./table/columns";

/** How the user has arranged the panel, which the notebook keeps. */
interface Layout {
  tab: string;
  widths: Readonly<Record<string, Widths>>;
  sorts: Readonly<Record<string, Sort>>;
}

export class LayoutState {
  private layout: Layout;

  constructor(private readonly model: Model) {
    const kept = (model.get("layout_state") ?? {}) as Partial<Layout>;
    this.layout = { tab: "", widths: {}, sorts: {}, ...kept };
  }

  get tab(): string {
    return this.layout.tab;
  }

  set tab(tab: string) {
    this.keep({ tab });
  }

  widths(kind: string): Widths {
    return this.layout.widths[kind] ?? {};
  }

  setWidths(kind: string, widths: Widths): void {
    this.keep({ widths: { ...this.layout.widths, [kind]: widths } });
  }

  sort(kind: string): Sort | undefined {
    return this.layout.sorts[kind];
  }

  setSort(kind: string, sort: Sort): void {
    this.keep({ sorts: { ...this.layout.sorts, [kind]: sort } });
  }

  private keep(change: Partial<Layout>): void {
    this.layout = { ...this.layout, ...change };
    this.model.set("layout_state", { ...this.layout });
    this.model.save_changes();
  }
}
