import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf';
import { assertNever } from '#base/assert-never';
import { ArchiveService } from '#wire/gen/gitalyts/archives/v1/archives_pb';
import type { ArchiveCalls } from './index.ts';

const METHODS = ArchiveService.method;

/** The calls by their names in {@link ArchiveCalls}. */
export const ARCHIVE_CALLS = [
  'getStatus',
  'listRepositories',
  'listGenerations',
  'prune',
  'restore',
  'verify',
] as const;
export type ArchiveCall = (typeof ARCHIVE_CALLS)[number];

/** Sends an encoded request to another process, and yields the encoded responses. */
export type AskEncoded = (
  name: ArchiveCall,
  request: Uint8Array,
  signal: AbortSignal | undefined,
) => AsyncIterable<Uint8Array>;

/** Returns the calls that another process answers. */
export function encodedCalls(askEncoded: AskEncoded): ArchiveCalls {
  async function* ask<I extends DescMessage, O extends DescMessage>(
    name: ArchiveCall,
    { input, output }: { readonly input: I; readonly output: O },
    [request, signal]: readonly [MessageShape<I>, AbortSignal?],
  ): AsyncGenerator<MessageShape<O>> {
    for await (const response of askEncoded(name, toBinary(input, request), signal))
      yield fromBinary(output, response);
  }
  return {
    getStatus: async (...given) => (await first(ask('getStatus', METHODS.getStatus, given))) ?? {},
    prune: async (...given) => (await first(ask('prune', METHODS.prune, given))) ?? {},
    listRepositories: (...given) => ask('listRepositories', METHODS.listRepositories, given),
    listGenerations: (...given) => ask('listGenerations', METHODS.listGenerations, given),
    restore: (...given) => ask('restore', METHODS.restore, given),
    verify: (...given) => ask('verify', METHODS.verify, given),
  };
}

async function first<T>(responses: AsyncIterable<T>): Promise<T | undefined> {
  const [one] = await Array.fromAsync(responses);
  return one;
}

/** Answers an encoded request. Yields the encoded responses. */
export function answerEncoded(
  calls: ArchiveCalls,
  { name, request }: { readonly name: ArchiveCall; readonly request: Uint8Array },
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  async function* encode<I extends DescMessage, O extends DescMessage>(
    { input, output }: { readonly input: I; readonly output: O },
    call: (request: MessageShape<I>) => AsyncIterable<MessageInitShape<O>> | Promise<MessageInitShape<O>>,
  ): AsyncGenerator<Uint8Array> {
    const answered = call(fromBinary(input, request));
    const responses = 'then' in answered ? [await answered] : answered;
    for await (const response of responses) yield toBinary(output, create(output, response));
  }
  switch (name) {
    case 'getStatus':
      return encode(METHODS.getStatus, (given) => calls.getStatus(given));
    case 'prune':
      return encode(METHODS.prune, (given) => calls.prune(given));
    case 'listRepositories':
      return encode(METHODS.listRepositories, (given) => calls.listRepositories(given, signal));
    case 'listGenerations':
      return encode(METHODS.listGenerations, (given) => calls.listGenerations(given, signal));
    case 'restore':
      return encode(METHODS.restore, (given) => calls.restore(given, signal));
    case 'verify':
      return encode(METHODS.verify, (given) => calls.verify(given, signal));
    default:
      return assertNever(name);
  }
}
