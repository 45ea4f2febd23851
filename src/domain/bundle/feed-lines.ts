import { writeChunk } from '#base/streams/copy-stream';
import type { GitProcess } from '#git/command/process/git-process';
import { type BundleHeader, type BundleReference, isBelowRefs } from './bundle-header.ts';

/** Size of the pieces that are written. */
const PIECE_BYTES = 32 * 1024;
const LINE_FEED = Buffer.from('\n');

/**
 * Writes a line for each reference of a bundle, HEAD apart, to a process, and ends its input. A
 * process that ends before it has read all is no error: its exit code explains it.
 */
export async function feedLines(
  { stdin }: GitProcess,
  header: BundleHeader,
  lineOf: (reference: BundleReference) => Buffer,
): Promise<void> {
  try {
    let pieces: Buffer[] = [];
    let bytes = 0;
    for (const reference of header.references()) {
      if (!isBelowRefs(reference)) continue;
      const line = lineOf(reference);
      pieces.push(line, LINE_FEED);
      bytes += line.length + 1;
      if (bytes < PIECE_BYTES) continue;
      await writeChunk(stdin, Buffer.concat(pieces));
      pieces = [];
      bytes = 0;
    }
    await writeChunk(stdin, Buffer.concat(pieces));
  } catch {
    return; // the pipe is closed
  }
  stdin.end();
}
