const REPLAY = 1000; // milliseconds that it takes at most

/**
 * Decides whether what the emulator says goes to the shell. Programs ask the terminal what it can do. What is shown
 * again asks again, but whoever asked has gone on: an answer now would be typed into the shell.
 */
export class ReplayGuard {
  private until = 0;

  constructor(private readonly now: () => number = () => performance.now()) {}

  /** What was printed before is shown again. */
  begin(): void {
    this.until = this.now() + REPLAY;
  }

  /** The user types: from here on it is not the emulator that speaks. */
  end(): void {
    this.until = 0;
  }

  get isReplaying(): boolean {
    return this.now() <= this.until;
  }
}
