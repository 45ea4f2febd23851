import { wrap } from '#base/gitaly-error';
import { FLUSH_PACKET, textPacket } from '#base/pkt-line/packet';
import { bytesOf, openRequests } from '#services/convert/request/first-request';
import type { ProcReceiveHookRequest } from '#wire/gen/hook_pb';
import { type HookResponse, payloadOf } from './hook-call.ts';
import { readProcReceiveRequest } from './proc-receive-request.ts';

/**
 * Receives the commands of a push that git delegates, for pushes in a write-ahead transaction. This
 * server has no such transactions, so the commands have no recipient; the protocol is served up to
 * that point.
 */
export async function* procReceiveHook(
  requests: AsyncIterable<ProcReceiveHookRequest>,
): AsyncGenerator<HookResponse> {
  const { first, rest } = await openRequests(requests, 'receiving first request: EOF');

  const answers: HookResponse[] = [];
  let transactionId: number;
  try {
    ({ transactionId } = payloadOf(first));
    if (transactionId === 0) throw new Error('no transaction found in payload');
    await readProcReceiveRequest(
      bytesOf(rest, (request) => request.stdin),
      async (features) => {
        const version = textPacket(`version=1${features.length > 0 ? `\0${features.join(' ')}` : ''}`);
        answers.push({ stdout: version }, { stdout: FLUSH_PACKET });
      },
    );
  } catch (error) {
    throw wrap(error, 'creating handler');
  }
  yield* answers;
  yield {
    stderr: Buffer.from(`transmitting handler: no waiters for id: ${transactionId}`),
    exitStatus: { value: 1 },
  };
}
