import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf';
import { bytes, nothing, object, oneOf } from '#base/shape';
import { MessageQueue } from '#base/streams/message-queue';
import type { ArchiveCalls } from '#services/archives/index';
import { ArchiveService } from '#wire/gen/gitalyts/archives/v1/archives_pb';
import type { Desk } from '#workers/desk';
import type { Link } from '#workers/link';
import { answer, asked, protocol, remote } from '#workers/protocol';

const METHODS = ArchiveService.method;

/** Calls about the archives, which the supervisor writes. Messages are those of the service. */
const ARCHIVES = protocol('archives', {
  /** Each response is a note. */
  call: asked(
    object({
      name: oneOf('getStatus', 'listRepositories', 'listGenerations', 'prune', 'restore'),
      request: bytes,
    }),
    nothing,
    bytes,
  ),
});

/** Returns the calls for a worker. */
export function remoteArchives(link: Link): ArchiveCalls {
  const { call } = remote(link, ARCHIVES);
  async function* ask<I extends DescMessage, O extends DescMessage>(
    name: Parameters<typeof call>[0]['name'],
    { input, output }: { readonly input: I; readonly output: O },
    [request, signal]: readonly [MessageShape<I>, AbortSignal?],
  ): AsyncGenerator<MessageShape<O>> {
    const responses = new MessageQueue<Uint8Array>();
    const onNote = (response: Uint8Array): void => responses.push(response);
    const asking = call({ name, request: toBinary(input, request) }, { onNote, ...(signal && { signal }) });
    const ended = asking.finally(() => responses.end());
    ended.catch(() => {}); // it is thrown after the responses
    for await (const response of responses) yield fromBinary(output, response);
    await ended;
  }
  return {
    async getStatus(...given) {
      const [status] = await Array.fromAsync(ask('getStatus', METHODS.getStatus, given));
      return status ?? {};
    },
    async prune(...given) {
      const [pruned] = await Array.fromAsync(ask('prune', METHODS.prune, given));
      return pruned ?? {};
    },
    listRepositories: (...given) => ask('listRepositories', METHODS.listRepositories, given),
    listGenerations: (...given) => ask('listGenerations', METHODS.listGenerations, given),
    restore: (...given) => ask('restore', METHODS.restore, given),
  };
}

/** Answers the calls of workers. */
export function answerForArchives(desk: Desk, calls: ArchiveCalls): void {
  answer(desk, ARCHIVES, {
    async call({ name, request }, { note, signal }) {
      async function send<O extends DescMessage>(
        { output }: { readonly output: O },
        responses: AsyncIterable<MessageInitShape<O>>,
      ): Promise<void> {
        for await (const response of responses) note(toBinary(output, create(output, response)));
      }
      const read = <I extends DescMessage>({ input }: { readonly input: I }) => fromBinary(input, request);
      switch (name) {
        case 'getStatus': {
          const { getStatus } = METHODS;
          const status = create(getStatus.output, await calls.getStatus(read(getStatus)));
          return note(toBinary(getStatus.output, status));
        }
        case 'prune': {
          const pruned = create(METHODS.prune.output, await calls.prune(read(METHODS.prune)));
          return note(toBinary(METHODS.prune.output, pruned));
        }
        case 'listRepositories':
          return await send(
            METHODS.listRepositories,
            calls.listRepositories(read(METHODS.listRepositories), signal),
          );
        case 'listGenerations':
          return await send(
            METHODS.listGenerations,
            calls.listGenerations(read(METHODS.listGenerations), signal),
          );
        default:
          return await send(METHODS.restore, calls.restore(read(METHODS.restore), signal));
      }
    },
  });
}
