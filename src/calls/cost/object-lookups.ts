import type { LookupObserver } from '#git/objects/cat-file/lookup';
import type { ServerCall } from '#rpc/server/server-call';
import { runningCall } from '../running-call.ts';

/** Sums of one call; times in milliseconds. */
interface Sums {
  readonly info: { requested: number; read: number; ms: number };
  readonly object: { requested: number; read: number; ms: number };
}

/**
 * Adds the lookups of objects of a call to its log line, with Gitaly's names of the fields:
 * `catfile.request_object_count`, `catfile.read_object_ms` … Those in process count, too. The
 * shared process gets the lookups of one iteration of the event loop in one write, so each lookup
 * counts as one flush.
 */
export function observeLookups(): LookupObserver {
  const sums = new WeakMap<ServerCall, Sums>();
  return (mode) => {
    const call = runningCall();
    if (call === undefined) return undefined;
    const own = sums.get(call) ?? newSums();
    sums.set(call, own);
    const kind = mode === 'info' ? 'info' : 'object';
    const startedAt = performance.now();
    own[kind].requested++;
    return () => {
      own[kind].read++;
      own[kind].ms += performance.now() - startedAt;
      call.context.log.add(fieldsOf(own));
    };
  };
}

function newSums(): Sums {
  return { info: { requested: 0, read: 0, ms: 0 }, object: { requested: 0, read: 0, ms: 0 } };
}

function fieldsOf({ info, object }: Sums): Record<string, number> {
  return {
    'catfile.duration_ms': Math.round(info.ms + object.ms),
    'catfile.flush_count': info.requested + object.requested,
    'catfile.flush_ms': 0,
    ...(info.requested > 0 && {
      'catfile.read_info_count': info.read,
      'catfile.read_info_ms': Math.round(info.ms),
      'catfile.request_info_count': info.requested,
      'catfile.request_info_ms': 0,
    }),
    ...(object.requested > 0 && {
      'catfile.read_object_count': object.read,
      'catfile.read_object_ms': Math.round(object.ms),
      'catfile.request_object_count': object.requested,
      'catfile.request_object_ms': 0,
    }),
  };
}
