/**
 * Holds a change of the layout back while the pointer is pressed on an element, until it is released: what is pressed
 * would move away from under the pointer, and the click would be lost. Of several changes the last one counts.
 */
export class PressGuard {
  private isPressed = false;
  private held: (() => void) | null = null;
  private readonly press = () => {
    this.isPressed = true;
  };
  private readonly release = () => {
    this.isPressed = false;
    setTimeout(() => this.flush()); // after the click, which follows the release
  };

  constructor(private readonly element: HTMLElement) {
    element.addEventListener("pointerdown", this.press, true);
    for (const end of ["pointerup", "pointercancel"]) document.addEventListener(end, this.release, true);
  }

  /** Do it now, or once the pointer is released. */
  apply(change: () => void): void {
    this.held = change;
    if (!this.isPressed) this.flush();
  }

  close(): void {
    this.element.removeEventListener("pointerdown", this.press, true);
    for (const end of ["pointerup", "pointercancel"]) document.removeEventListener(end, this.release, true);
  }

  private flush(): void {
    if (this.isPressed) return;
    const change = this.held;
    this.held = null;
    change?.();
  }
}
