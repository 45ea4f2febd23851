import type { CallersLimit } from './limit.ts';

/** Returns the fields of Gitaly's log for a caller that has waited for its turn. */
export function limitFields(
  limit: CallersLimit,
  { key, type, waitedMs }: { readonly key: string; readonly type: string; readonly waitedMs: number },
): Readonly<Record<string, unknown>> {
  const { holders, waiting } = limit.callers(key);
  return {
    'limit.limiting_type': type,
    'limit.limiting_key': key,
    'limit.concurrency_in_progress': holders,
    // As in Gitaly, where those in progress keep their place in the queue.
    'limit.concurrency_queue_length': holders + waiting,
    'limit.concurrency_queue_ms': Math.floor(waitedMs),
  };
}
