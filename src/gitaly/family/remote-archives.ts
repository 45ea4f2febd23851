import { bytes, nothing, object, oneOf } from '#base/shape';
import { MessageQueue } from '#base/streams/message-queue';
import { ARCHIVE_CALLS, answerEncoded, encodedCalls } from '#services/archives/encoded-calls';
import type { ArchiveCalls } from '#services/archives/index';
import type { Desk } from '#workers/desk';
import type { Link } from '#workers/link';
import { answer, asked, protocol, remote } from '#workers/protocol';

/** Calls about the archives, which the supervisor writes. Messages are those of the service. */
const ARCHIVES = protocol('archives', {
  /** Each response is a note. */
  call: asked(object({ name: oneOf(...ARCHIVE_CALLS), request: bytes }), nothing, bytes),
});

/** Returns the calls for a worker. */
export function remoteArchives(link: Link): ArchiveCalls {
  const { call } = remote(link, ARCHIVES);
  return encodedCalls(async function* (name, request, signal) {
    const responses = new MessageQueue<Uint8Array>();
    const onNote = (response: Uint8Array): void => responses.push(response);
    const ended = call({ name, request }, { onNote, ...(signal && { signal }) }).finally(() =>
      responses.end(),
    );
    ended.catch(() => {}); // it is thrown after the responses
    yield* responses;
    await ended;
  });
}

/** Answers the calls of workers. */
export function answerForArchives(desk: Desk, calls: ArchiveCalls): void {
  answer(desk, ARCHIVES, {
    async call(asking, { note, signal }) {
      for await (const response of answerEncoded(calls, asking, signal)) note(response);
    },
  });
}
