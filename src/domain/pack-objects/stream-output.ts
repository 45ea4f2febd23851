import { bulkBuffers, PIECE_BYTES } from '#base/bulk-buffers';
import { noteBulkBytes } from '#base/bulk-memory';
import type { BulkPipe } from '#git/command/process/bulk-pipe';
import type { GitProcess } from '#git/command/process/git-process';
import type { StreamWriter } from '#storage/cache/streams/shared-stream';

/** Smaller pieces would waste the rest of their buffer. */
const SMALL_PIECE_BYTES = PIECE_BYTES / 4;

/**
 * Writes the output of a process to a shared stream.
 *
 * @param output the process's standard output, if it is not the process's own stream.
 */
export async function streamOutput(
  process: GitProcess,
  output: BulkPipe | undefined,
  writer: StreamWriter,
): Promise<void> {
  if (output === undefined) {
    for await (const chunk of process.stdout) {
      // A stream without an encoding yields Buffers.
      const bytes = chunk as Buffer;
      noteBulkBytes(bytes.length);
      await writer.write(bytes);
    }
    return;
  }
  await output.passOn(bulkBuffers.take, (bytes) => {
    if (bytes.length >= SMALL_PIECE_BYTES) return writer.write(bytes, bulkBuffers.give);
    const copy = Buffer.from(bytes);
    bulkBuffers.give(bytes);
    return writer.write(copy);
  });
}
