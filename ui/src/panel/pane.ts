/** What can stand beside the table. */
export interface Pane {
  readonly element: HTMLElement;
  /** Called when it goes. */
  close(): void;
}
