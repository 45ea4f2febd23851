/**
 * Keeps a program whose reader has left (`… | head`) from ending with a stack trace. Later writes
 * fail or are dropped, and the program ends normally.
 */
export function tolerateBrokenPipes(): void {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
}
