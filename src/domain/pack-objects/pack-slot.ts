import type { StreamWriter } from '#storage/cache/streams/shared-stream';
import type { Repository } from '#storage/repository';
import { TraceFile } from '../git-service/trace-file.ts';
import type { PackLimits, PackRequester } from './pack-limits.ts';

/** The right to compute a pack, with a file for git's trace. Disposing gives it back. */
export interface PackSlot extends AsyncDisposable {
  readonly trace: TraceFile;
}

export interface PackSlotOptions {
  readonly limits: PackLimits;
  /** Directory of the trace. */
  readonly traceDirectory: string;
}

/**
 * Waits until the pack of a stream may be computed.
 *
 * @throws {LimitRefusal}; the signal's reason.
 */
export async function takePackSlot(
  { limits, traceDirectory }: PackSlotOptions,
  { repository, requester }: { readonly repository: Repository; readonly requester: PackRequester },
  writer: StreamWriter,
  signal: AbortSignal,
): Promise<PackSlot> {
  const release = await limits.acquire(requester, {
    repository: repository.path,
    isHeldUp: () => writer.isHeldUp,
    signal,
  });
  const trace = new TraceFile(traceDirectory);
  return {
    trace,
    async [Symbol.asyncDispose]() {
      release();
      await trace[Symbol.asyncDispose]();
    },
  };
}
