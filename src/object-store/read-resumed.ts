import type { Readable } from 'node:stream';
import { noteBulkBytes } from '#base/memory/bulk-memory';
import type { ByteStream } from '#base/streams/byte-stream';
import type { GetOptions, ReadFacts } from './object-store.ts';
import { type NoteRetry, waitBeforeRetry } from './retry.ts';

/** Broken connections in a row, without a byte between them, after which a read fails. */
const MAX_RESUMES = 4;
/** Time without any byte from the service, after which a connection counts as broken. */
const IDLE_TIMEOUT_MS = 60_000;

export interface ReadState {
  position: number;
  readonly end: number;
  /** Version in the first response: later ones must be of the same object. */
  version: string | undefined;
  /** Version that is not read, in the first request. */
  readonly unlessVersion: string | undefined;
  readonly onFacts: (facts: ReadFacts) => void;
}

/** The response to one request of a read. */
export interface OpenedRead {
  readonly body: Readable;
  /** Header `Content-Range`; `undefined` for a whole object. */
  readonly contentRange: string | undefined;
}

export interface ResumedRead {
  /** Starts a read at a position; `undefined` if the object ends before it. */
  readonly open: (state: ReadState) => Promise<OpenedRead | undefined>;
  readonly onRetry: NoteRetry;
  /** Returns the error of a connection that breaks again and again. */
  readonly toError: (error: unknown) => Error;
}

/** Reads an object of a service, and continues where a connection broke. */
export async function* readResumed(
  { range, signal, unlessVersion, onFacts }: GetOptions,
  { open, onRetry, toError }: ResumedRead,
): AsyncGenerator<Buffer, void, undefined> {
  const { start = 0, length = Number.POSITIVE_INFINITY } = range ?? {};
  if (length === 0) return;
  let isReported = false;
  const state: ReadState = {
    position: start,
    end: start + length,
    version: undefined,
    unlessVersion,
    onFacts: (facts) => {
      if (!isReported) onFacts?.(facts);
      isReported = true;
    },
  };
  for (let failures = 0; ; failures++) {
    const before = state.position;
    const opened = await open(state);
    if (opened === undefined) return;
    const { body, contentRange } = opened;
    if (startOf(contentRange) !== before) {
      body.destroy();
      const error = new Error('the response is not the requested part of the object');
      throw toError(Object.assign(error, { code: 'BadResponse' }));
    }
    try {
      yield* counted(body, state);
      return;
    } catch (error) {
      signal.throwIfAborted();
      if (state.position >= state.end) return;
      if (state.position > before) failures = 0;
      if (failures >= MAX_RESUMES) throw toError(error);
    }
    onRetry('get');
    await waitBeforeRetry(failures, signal);
  }
}

/**
 * Returns the value of the header `Range` for the rest of a read; `undefined` for a whole object.
 */
export function rangeHeader({ position, end }: ReadState): string | undefined {
  if (position === 0 && end === Number.POSITIVE_INFINITY) return undefined;
  return `bytes=${position}-${Number.isFinite(end) ? end - 1 : ''}`;
}

/** Returns the position at which a response starts: a cache or a proxy may ignore ranges. */
function startOf(contentRange = 'bytes 0-'): number {
  return Number(/^bytes (\d+)-/i.exec(contentRange)?.[1] ?? Number.NaN);
}

/** Yields the pieces of a response up to the end of the read, and counts them. */
async function* counted(body: ByteStream, state: ReadState): AsyncGenerator<Buffer, void, undefined> {
  let isWaiting = true; // for the service, not for the reader
  const timer = setTimeout(() => {
    if (isWaiting) body.destroy(Object.assign(new Error('the service sent nothing'), { code: 'ETIMEDOUT' }));
  }, IDLE_TIMEOUT_MS);
  try {
    for await (const piece of body) {
      if (state.position === state.end) return;
      const bytes = piece.subarray(0, state.end - state.position);
      state.position += bytes.length;
      noteBulkBytes(bytes.length);
      isWaiting = false;
      yield bytes;
      isWaiting = true;
      timer.refresh();
    }
  } finally {
    clearTimeout(timer);
  }
}
