/** The commands that were typed before, and the one that the user has gone back to. */
export class History {
  private commands: readonly string[] = [];
  private at = 0; // the number of commands for the line that is being typed
  private draft = "";

  /** Take the commands that there are, oldest first. */
  reset(commands: readonly string[]): void {
    this.commands = commands;
    this.at = commands.length;
  }

  add(command: string): void {
    this.reset([...this.commands.filter((each) => each !== command), command]);
  }

  /** The line was sent: a new one begins. */
  leave(): void {
    this.at = this.commands.length;
    this.draft = "";
  }

  /** The line so many steps later (earlier for negative ones) than `line`; null where there is none. */
  recall(step: number, line: string): string | null {
    const next = Math.max(0, Math.min(this.commands.length, this.at + step));
    if (next === this.at) return null;
    if (this.at === this.commands.length) this.draft = line;
    this.at = next;
    return this.commands[next] ?? this.draft;
  }
}
