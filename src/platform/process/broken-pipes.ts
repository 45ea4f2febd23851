/**
 * Keeps a program whose reader left (`… | head`) from ending with a stack trace: later writes fail, or are dropped, and the program ends
 * in its own way.
 */
export function tolerateBrokenPipes(): void {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
}
