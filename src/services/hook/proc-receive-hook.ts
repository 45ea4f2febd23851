import { GitalyError, wrap } from '#base/gitaly-error';
import { FLUSH_PACKET, packetHeader } from '#rpc/common/pkt-line';
import type { ProcReceiveHookRequest } from '#wire/gen/hook_pb';
import { bytesOf, openRequests } from '../convert/first-request.ts';
import { type HookResponse, payloadOf } from './hook-call.ts';
import { readProcReceiveRequest } from './proc-receive-request.ts';

/**
 * Carries out the commands of a push in place of git, for pushes that run in a write-ahead transaction. We have no such
 * transactions, so nobody waits for the commands; the protocol is spoken to that point.
 */
export async function* procReceiveHook(requests: AsyncIterable<ProcReceiveHookRequest>): AsyncGenerator<HookResponse> {
  const { first, rest } = await openRequests(requests);
  if (first === undefined) throw new GitalyError('INTERNAL', 'receiving first request: EOF');

  const answers: HookResponse[] = [];
  let transactionId: number;
  try {
    ({ transactionId } = payloadOf(first));
    if (transactionId === 0) throw new Error('no transaction found in payload');
    await readProcReceiveRequest(
      bytesOf(rest, (request) => request.stdin),
      async (features) => {
        const version = Buffer.from(`version=1${features.length > 0 ? `\0${features.join(' ')}` : ''}`);
        answers.push({ stdout: Buffer.concat([packetHeader(version.length), version]) }, { stdout: FLUSH_PACKET });
      },
    );
  } catch (error) {
    throw wrap(error, 'creating handler');
  }
  yield* answers;
  yield { stderr: Buffer.from(`transmitting handler: no waiters for id: ${transactionId}`), exitStatus: { value: 1 } };
}
