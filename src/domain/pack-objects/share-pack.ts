import type { StreamWriter } from '#storage/cache/streams/shared-stream';
import type { Produce, StreamCache } from '#storage/cache/streams/stream-cache';
import type { StreamReader } from '#storage/cache/streams/stream-reader';
import type { Repository } from '#storage/repository';
import type { ServiceResult } from '../git-service/service-streams.ts';
import { TraceFile } from '../git-service/trace-file.ts';
import type { PackLimits, PackRequester } from './pack-limits.ts';
import type { PackTraceObserver } from './pack-trace.ts';

/** Notified of shared packs, for metrics. */
export interface SharedPackObserver extends PackTraceObserver {
  looked(result: 'hit' | 'miss'): void;
  generated(bytes: number): void;
  served(bytes: number): void;
}

export interface SharedPacksOptions {
  readonly streams: StreamCache<ServiceResult>;
  readonly limits: PackLimits;
  readonly observer: SharedPackObserver;
  /** True if packs are kept: then each call logs its lookup. */
  readonly isCacheEnabled: boolean;
  /** For the traces of git. */
  readonly traceDirectory: string;
}

/** A pack for one caller. */
export interface SharedPack {
  readonly key: string;
  readonly requester: PackRequester;
  readonly signal: AbortSignal;
  /** Writes the pack if it is not there. */
  readonly make: Produce<ServiceResult>;
  /** Reports whether a complete pack may be kept. */
  readonly isLasting: (result: ServiceResult) => boolean;
}

/**
 * Sends a pack, which is there or is made now. @param send reads it.
 *
 * @throws errors of `make` and of `send`.
 */
export async function sharePack<T>(
  { isCacheEnabled, observer, streams }: SharedPacksOptions,
  { key, requester, signal, make, isLasting }: SharedPack,
  send: (reader: StreamReader<ServiceResult>) => Promise<T>,
): Promise<T> {
  for (;;) {
    const { isHit, reader, stream } = streams.open(key, make, isLasting);
    using _ = reader;
    observer.looked(isHit ? 'hit' : 'miss');
    try {
      return await send(reader);
    } catch (error) {
      // It may be the first caller's: a refusal, or an abort before git had started.
      if (!isHit || reader.bytes > 0 || signal.aborted) throw error;
    } finally {
      observer.served(reader.bytes);
      if (isHit || isCacheEnabled)
        requester.log.add({
          'pack_objects_cache.key': key,
          'pack_objects_cache.hit': String(isHit),
          'pack_objects_cache.served_bytes': reader.bytes,
          ...(!isHit && !signal.aborted && { 'pack_objects_cache.generated_bytes': stream.bytes }),
        });
    }
  }
}

/** A pack that may be made now. */
export interface PackTurn {
  readonly writer: Pick<StreamWriter, 'write'>;
  /** For git. */
  readonly trace: TraceFile;
  readonly signal: AbortSignal;
}

/**
 * Makes a pack when it is its turn, and counts its bytes.
 *
 * @throws {LimitRefusal}; the signal's reason; errors of `make`.
 */
export async function makeInTurn<T>(
  { limits, observer, traceDirectory }: SharedPacksOptions,
  { repository, requester }: { readonly repository: Repository; readonly requester: PackRequester },
  { stream, signal }: { readonly stream: StreamWriter; readonly signal: AbortSignal },
  make: (turn: PackTurn) => Promise<T>,
): Promise<T> {
  const release = await limits.acquire(requester, {
    repository: repository.path,
    isHeldUp: () => stream.isHeldUp,
    signal,
  });
  await using trace = new TraceFile(traceDirectory);
  let generated = 0;
  const writer: PackTurn['writer'] = {
    write(bytes, recycle) {
      generated += bytes.length;
      return stream.write(bytes, recycle);
    },
  };
  try {
    return await make({ writer, trace, signal });
  } finally {
    observer.generated(generated);
    release();
  }
}
