import { bytes, maybe, number, object, oneOf } from '#base/shape';
import { ARCHIVE_CALLS, answerEncoded, encodedCalls } from '#services/archives/encoded-calls';
import type { ArchiveCalls } from '#services/archives/index';
import type { Desk } from '#workers/desk';
import type { Link } from '#workers/link';
import { answer, asked, held, protocol, remote } from '#workers/protocol';

/**
 * Calls about the archives, which the supervisor writes. Messages are those of the service. A
 * worker asks for each response, so that none waits for a client that reads slowly.
 */
const ARCHIVES = protocol('archives', {
  /** Begins a call, which ends when the number is given back. */
  begin: held(object({ name: oneOf(...ARCHIVE_CALLS), request: bytes }), number),
  /** Returns the next response of a call; `undefined` at its end. */
  next: asked(number, maybe(bytes)),
});

export function remoteArchives(link: Link): ArchiveCalls {
  const { begin, next } = remote(link, ARCHIVES);
  return encodedCalls(async function* (name, request, signal) {
    const { release, value: call } = await begin({ name, request }, { signal });
    try {
      for (;;) {
        const response = await next(call, { signal });
        if (response === undefined) return;
        yield response;
      }
    } finally {
      release();
    }
  });
}

export function answerForArchives(desk: Desk, calls: ArchiveCalls): void {
  const running = new Map<number, AsyncGenerator<Uint8Array>>();
  let last = 0;
  answer(desk, ARCHIVES, {
    begin(asking) {
      const call = ++last;
      const ending = new AbortController();
      const responses = answerEncoded(calls, asking, ending.signal);
      running.set(call, responses);
      const release = (): void => {
        running.delete(call);
        ending.abort();
        responses.return(undefined).catch(() => {}); // nobody waits for its end
      };
      return { value: call, release };
    },
    async next(call) {
      const result = await running.get(call)?.next();
      return result === undefined || result.done === true ? undefined : result.value;
    },
  });
}
