import { type LargeOutputs, MAX_OUTPUT_BYTES } from '#git/diff/diff-outputs';
import { cacheKey } from '#storage/cache/cache-key';
import type { StreamCacheSettings } from '#storage/cache/streams/open-stream-cache';
import { sharedChunks } from '#storage/cache/streams/shared-chunks';
import type { StreamCache } from '#storage/cache/streams/stream-cache';

/**
 * Settings of the cache of large diffs. A diff is kept when it is asked for again, as long as small
 * ones are; not if its readers leave early, at a limit.
 */
export const LARGE_DIFFS: Omit<StreamCacheSettings, 'directory'> = {
  maxAgeMs: 5 * 60 * 1000,
  minOccurrences: 1,
  hasBackpressure: true,
  endsUnread: true,
  maxBytes: 256 << 20,
  smallBytes: MAX_OUTPUT_BYTES,
};

/**
 * Shares the outputs of git that are under way between identical requests, and keeps large ones in
 * files. `streams` holds whether an output may be kept.
 */
export function sharedDiffs(streams: StreamCache<boolean>): LargeOutputs {
  return {
    async *read(key, askGit, signal) {
      let length = 0;
      const chunks = sharedChunks<boolean>(
        streams,
        cacheKey(['diff', key]),
        async (writer, aborted) => {
          const output = askGit(aborted);
          try {
            for (;;) {
              const { done, value } = await output.next();
              if (done === true) return value;
              length += value.length;
              await writer.write(value);
            }
          } finally {
            await output.return(false);
          }
        },
        { signal, isComplete: (isWhole) => isWhole && length > MAX_OUTPUT_BYTES },
      );
      try {
        for (;;) {
          const { done, value } = await chunks.next();
          if (done === true) return value;
          yield value.bytes;
        }
      } finally {
        await chunks.return(false);
      }
    },
  };
}
