import { connect, type Socket } from 'node:net';
import { basename } from 'node:path';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { waitAtMost } from '#base/async/wait-at-most';
import { GitalyError, invalidArgument, messageOf, wrap, wrapped } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import { systemErrorText } from '#base/go/system-error';
import { isError } from '#base/is-error';
import { BAND, readSideBand } from '#base/pkt-line/side-band';
import { decodeHooksPayload } from '#domain/hooks/payload';
import { parsePackObjectsRequest } from '#domain/pack-objects/pack-objects-request';
import { SIDECHANNEL_SOCKET } from '#rpc/common/header-names';
import { withLimitError } from '#rpc/common/limit-error';
import type { HandlerContext } from '#rpc/server/handler';
import { bytesOf, openRequests } from '#services/convert/request/first-request';
import { packRequesterOf } from '#services/convert/request/pack-requester';
import { clientBytes, closeSidechannel } from '#services/convert/request/sidechannel';
import { respondInChunks, streamResponses } from '#services/convert/response/stream-responses';
import type { PackObjectsHookResponseSchema, PackObjectsHookWithSidechannelRequest } from '#wire/gen/hook_pb';
import type { Handlers } from './dependencies.ts';

type Response = MessageInitShape<typeof PackObjectsHookResponseSchema>;

/** Makes the pack of a fetch within gRPC, as hooks of Gitaly 15 request it. */
export const packObjectsHook: Handlers['packObjectsHook'] = async function* (requests, context, deps) {
  const { first, rest } = await openRequests(requests);
  const repository = deps.storages.open(first.repository);
  const request = parsePackObjectsRequest(first.args);

  yield* streamResponses<Response>(context.signal, async (respond, signal) => {
    const requested = {
      repository,
      request,
      facts: [first.args, ''],
      input: bytesOf(rest, ({ stdin }) => stdin),
      requester: packRequesterOf(context),
      signal,
    };
    await deps.packs
      .serve(requested, async (reader) => {
        for await (const { band, data } of readSideBand(reader.chunks(signal))) {
          if (band === BAND.stdout) await respondInChunks(data, respond, (stdout) => ({ stdout }));
          else await respondInChunks(data, respond, (stderr) => ({ stderr }));
        }
      })
      .catch((error: unknown) => {
        throw wrap(withLimitError(error), 'pack objects hook');
      });
  });
};

/** Makes the pack of a fetch for upload-pack's hook. */
export const packObjectsHookWithSidechannel: Handlers['packObjectsHookWithSidechannel'] = async (
  request,
  context,
  deps,
) => {
  const repository = deps.storages.open(request.repository);
  const pack = parsePackObjectsRequest(request.args);
  const sidechannel = await dialHookSidechannel(context);
  try {
    requirePayload(request);
    const { signal } = context;
    const requested = {
      repository,
      request: pack,
      facts: [request.args, request.gitProtocol],
      input: clientBytes(sidechannel),
      requester: packRequesterOf(context, request.remoteIp),
      signal,
    };
    await deps.packs
      .serve(requested, async (reader) => {
        await reader.copyTo(sidechannel, { isDirect: true, signal }).catch((error: unknown) => {
          throw sidechannel.destroyed ? brokenPipe(context, error) : error;
        });
      })
      .catch((error: unknown) => {
        throw wrap(withLimitError(error), 'pack objects hook');
      });
    await closeSidechannel(sidechannel).catch(wrapped('close side-channel'));
    return {};
  } finally {
    sidechannel.destroy();
  }
};

function requirePayload(request: PackObjectsHookWithSidechannelRequest): void {
  try {
    decodeHooksPayload(request.environmentVariables);
  } catch (error) {
    throw new Error(`hook payload from env: ${messageOf(error)}`, { cause: error });
  }
}

const DIAL_TIMEOUT_MS = 1000; // the hook listens before it calls
const SOCKET_NAME = 'sidechannel';

/**
 * Connects to the socket on which a hook program waits for us. It sends its input raw and half
 * closes.
 *
 * @throws {GitalyError} INVALID_ARGUMENT `invalid side channel address: "…"`, INTERNAL
 *   `get side-channel: dial unix <path>: …`
 */
async function dialHookSidechannel(context: HandlerContext): Promise<Socket> {
  const address = context.headers.get(SIDECHANNEL_SOCKET) ?? '';
  if (basename(address) !== SOCKET_NAME) {
    throw invalidArgument(`invalid side channel address: ${quote(address)}`);
  }
  const socket = connect({ path: address, allowHalfOpen: true });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const late = (): never => {
    throw new Error('i/o timeout');
  };
  // This listener is kept: readers and writers receive an error through their call, and there is no
  // other listener.
  socket.on('error', reject);
  socket.once('connect', resolve);
  try {
    await waitAtMost(promise, DIAL_TIMEOUT_MS, late);
    return socket;
  } catch (error) {
    socket.destroy();
    throw new GitalyError('INTERNAL', `get side-channel: dial unix ${address}: ${connectText(error)}`, {
      cause: error,
    });
  }
}

/** Returns the error of a hook that has ended while we write to it, in Go's words. */
function brokenPipe(context: HandlerContext, cause: unknown): GitalyError {
  const address = context.headers.get(SIDECHANNEL_SOCKET) ?? '';
  return new GitalyError('CANCELLED', `write unix @->${address}: write: broken pipe`, { cause });
}

function connectText(error: unknown): string {
  const text = systemErrorText(error);
  return isError(error) && 'syscall' in error ? `${error.syscall}: ${text}` : text;
}
