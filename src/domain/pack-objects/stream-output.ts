import { BufferPool } from '#base/buffer-pool';
import { noteBulkBytes } from '#base/bulk-memory';
import { type BulkPipe, READ_BYTES } from '#git/command/process/bulk-pipe';
import type { GitProcess } from '#git/command/process/git-process';
import type { StreamWriter } from '#storage/cache/streams/shared-stream';

/** 8 MiB of buffers wait for the next pack. */
const POOL = new BufferPool({ size: READ_BYTES, maxFree: 32 });
/** Smaller pieces would waste the rest of their buffer. */
const SMALL_PIECE_BYTES = READ_BYTES / 4;

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
  await output.passOn(POOL.take, (bytes) => {
    if (bytes.length >= SMALL_PIECE_BYTES) return writer.write(bytes, POOL.give);
    const copy = Buffer.from(bytes);
    POOL.give(bytes);
    return writer.write(copy);
  });
}
