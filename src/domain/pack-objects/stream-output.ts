import { bulkBuffers, withoutWaste } from '#base/memory/bulk-buffers';
import { noteBulkBytes } from '#base/memory/bulk-memory';
import type { BulkPipe } from '#git/command/process/bulk-pipe';
import type { GitProcess } from '#git/command/process/git-process';
import type { StreamWriter } from '#storage/cache/streams/shared-stream';

/**
 * Writes the output of a process to a shared stream.
 *
 * @param output the process's standard output, if it is not the process's own stream.
 */
export async function streamOutput(
  process: GitProcess,
  output: BulkPipe | undefined,
  writer: Pick<StreamWriter, 'write'>,
): Promise<void> {
  if (output === undefined) {
    for await (const chunk of process.stdout) {
      noteBulkBytes(chunk.length);
      await writer.write(chunk);
    }
    return;
  }
  // A small chunk has separate memory, which does not go back to the pool.
  await output.passOn((bytes) => writer.write(withoutWaste(bytes), bulkBuffers.give));
}
