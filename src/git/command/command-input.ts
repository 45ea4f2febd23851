import { Readable, type Writable } from 'node:stream';

/** Data for the standard input of a command: all of it, or pieces that are made as git reads. */
export type CommandInput = Uint8Array | Iterable<Uint8Array>;

/**
 * Writes a command's standard input and ends it. The exit code explains a command that fails before
 * it has read its input, not the broken pipe.
 */
export function writeInput(stdin: Writable, input: CommandInput): void {
  if (input instanceof Uint8Array) stdin.end(input);
  else Readable.from(input).pipe(stdin);
}
