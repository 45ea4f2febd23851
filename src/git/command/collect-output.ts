import { GitalyError } from '#base/gitaly-error';
import type { GitProcess } from './process/git-process.ts';

/**
 * Feeds a process, reads all its output and waits for its success. The process has ended afterwards
 * in any case.
 *
 * @throws {GitExitError} when it fails; {GitalyError} RESOURCE_EXHAUSTED when it prints more than
 *   `maxBytes`.
 */
export async function collectOutput(
  run: GitProcess,
  options: { maxBytes: number; input?: Uint8Array | string },
): Promise<Buffer> {
  await using process = run;
  // The exit code explains a process that fails before it has read its input, not the broken pipe.
  if (options.input !== undefined) process.stdin.end(options.input);
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const bytes of process.stdout) {
      length += bytes.length;
      if (length > options.maxBytes)
        throw new GitalyError(
          'RESOURCE_EXHAUSTED',
          `output of ${process.title} exceeds ${options.maxBytes} bytes`,
        );
      chunks.push(bytes);
    }
  } catch (error) {
    // An abort closes the stream under the reader; the exit of the process describes it better.
    if (!process.isEnding) throw error;
  }
  await process.succeeded();
  return Buffer.concat(chunks, length);
}
