/** An output stream that may be a terminal. */
export interface TerminalOutput {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

const REDRAW_MS = 100;
const CLEAR_LINE = '\r\u001b[K';

/** A line on a terminal that shows progress, below all lines that are printed; elsewhere nothing. */
export class ProgressLine implements Disposable {
  readonly #terminal: TerminalOutput;
  readonly #format: (columns: number) => string;
  readonly #timer: NodeJS.Timeout | undefined;

  /** Starts to draw. @param format returns the line, cut to the width of the terminal. */
  constructor(terminal: TerminalOutput, format: (columns: number) => string) {
    this.#terminal = terminal;
    this.#format = format;
    if (terminal.isTTY === true) this.#timer = setInterval(() => this.#draw(), REDRAW_MS);
  }

  /** Prints text above the line. */
  print(output: TerminalOutput, text: string): void {
    if (this.#timer !== undefined) this.#terminal.write(CLEAR_LINE);
    output.write(text);
    if (this.#timer !== undefined) this.#draw();
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    if (this.#timer !== undefined) this.#terminal.write(CLEAR_LINE);
  }

  #draw(): void {
    this.#terminal.write(`${CLEAR_LINE}${this.#format(this.#terminal.columns ?? 80)}`);
  }
}
