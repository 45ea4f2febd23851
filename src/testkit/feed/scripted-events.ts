import { GitalyError } from '#base/gitaly-error';
import type { Invoke } from '#client/call/call-types';
import { createClient } from '#client/call/typed-client';
import type { Connection } from '#client/connection';
import { Metadata } from '#rpc/common/metadata';
import { EventService, type WatchRequest, type WatchResponse } from '#wire/gen/gitalyts/events/v1/events_pb';
import { standIn } from '../stand-in.ts';

/** Messages of one call; an error ends it, and `'silent'` keeps it open until it is aborted. */
export type ScriptedCall = Iterable<WatchResponse | Error | 'silent'>;

export interface ScriptedEvents {
  readonly connection: Connection;
  /** The request of each call so far. */
  readonly requests: readonly WatchRequest[];
  /** Start of each call, by the clock of `performance`. */
  readonly startsMs: readonly number[];
}

/** Returns a connection to a feed that answers each call in turn; the last answer repeats. */
export function scriptedEvents(...calls: ScriptedCall[]): ScriptedEvents {
  const requests: WatchRequest[] = [];
  const startsMs: number[] = [];
  const invoke: Invoke = (invocation) => ({
    headers: Promise.resolve(Metadata.from()),
    trailers: Promise.resolve(Metadata.from()),
    cancel: () => {},
    async *[Symbol.asyncIterator]() {
      const answers = calls[Math.min(requests.length, calls.length - 1)] ?? [];
      startsMs.push(performance.now());
      // Watch is the only call.
      for await (const request of invocation.requests) requests.push(request as WatchRequest);
      for (const answer of answers) {
        if (answer instanceof Error) throw answer;
        if (answer === 'silent') await aborted(invocation.options.signal);
        else yield answer;
      }
    },
    [Symbol.asyncDispose]: async () => {},
  });
  const client = createClient(EventService, invoke);
  // Nothing else of the connection is used.
  return { connection: standIn<Connection>({ client: () => client }), requests, startsMs };
}

function aborted(signal: AbortSignal | undefined): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>();
  signal?.addEventListener('abort', () => reject(new GitalyError('CANCELLED', 'context canceled')));
  return promise;
}
