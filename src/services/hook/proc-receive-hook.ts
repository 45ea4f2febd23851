import { messageOf, wrap } from '#base/gitaly-error';
import { FLUSH_PACKET, textPacket } from '#base/pkt-line/packet';
import { PacketSplitter } from '#base/pkt-line/packet-splitter';
import { bytesOf, openRequests } from '#services/convert/request/first-request';
import type { ProcReceiveHookRequest } from '#wire/gen/hook_pb';
import { type HookResponse, payloadOf } from './hook-call.ts';

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

/** Request of git to its proc-receive hook: to execute a push's commands. */
interface ProcReceiveRequest {
  readonly isAtomic: boolean;
  readonly pushOptions: readonly string[];
  readonly commands: readonly {
    readonly oldOid: string;
    readonly newOid: string;
    readonly reference: Buffer;
  }[];
}

/** A packet: its data, or that it is the flush packet. */
type Packet = Buffer | 'flush';

/**
 * Reads the hook's standard input. `answer` gets our side of the negotiation when git has sent its
 * capabilities.
 *
 * @throws {Error} with Gitaly's words (`expected version negotiation: …`, `unsupported version: …`)
 */
async function readProcReceiveRequest(
  input: AsyncIterable<Uint8Array>,
  answer: (features: readonly string[]) => Promise<void>,
): Promise<ProcReceiveRequest> {
  const packets = splitPackets(input);
  const offered = await readVersion(packets);
  const features = ['push-options', 'atomic'].filter((feature) => offered.includes(feature));
  await answer(features);

  const commands = (await readList(packets)).map(parseCommand);
  const pushOptions = features.includes('push-options') ? (await readList(packets)).map(String) : [];
  return { isAtomic: features.includes('atomic'), pushOptions, commands };
}

async function readVersion(packets: AsyncGenerator<Packet>): Promise<readonly string[]> {
  const first = await packets.next().catch((error: unknown) => {
    throw new Error(`expected version negotiation: ${messageOf(error)}`, { cause: error });
  });
  if (first.done === true) throw new Error('expected version negotiation: EOF');
  if (first.value === 'flush') throw new Error('receiving header: flush packets do not have a payload');
  const text = first.value.toString();
  if (!text.startsWith('version=1')) throw new Error(`unsupported version: ${text}`);
  const end = await packets.next();
  if (end.value !== 'flush') throw new Error('expected pkt flush');
  return text
    .slice(text.indexOf('\0') + 1)
    .trim()
    .split(' ');
}

async function readList(packets: AsyncGenerator<Packet>): Promise<Buffer[]> {
  const list: Buffer[] = [];
  for (;;) {
    const next = await packets.next();
    if (next.done === true || next.value === 'flush') return list;
    list.push(next.value);
  }
}

function parseCommand(line: Buffer): ProcReceiveRequest['commands'][number] {
  const first = line.indexOf(' ');
  const second = line.indexOf(' ', first + 1);
  if (first === -1 || second === -1 || line.includes(' ', second + 1)) {
    throw new Error(`parse reference update: unknown ref update format: ${line}`);
  }
  return {
    oldOid: line.toString('latin1', 0, first),
    newOid: line.toString('latin1', first + 1, second),
    reference: line.subarray(second + 1),
  };
}

async function* splitPackets(input: AsyncIterable<Uint8Array>): AsyncGenerator<Packet, undefined> {
  let complete: Packet[] = [];
  let pieces: Buffer[] = [];
  let missing = 0;
  const splitter = new PacketSplitter({
    packet(length) {
      missing = length - 4;
      pieces = [];
      if (length < 4) complete.push('flush');
      else if (missing === 0) complete.push(Buffer.alloc(0));
      return true;
    },
    payload(piece) {
      missing -= piece.length;
      pieces.push(piece);
      if (missing === 0) complete.push(Buffer.concat(pieces));
    },
  });
  for await (const chunk of input) {
    splitter.write(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
    const ready = complete;
    complete = [];
    yield* ready;
  }
  splitter.end();
  return undefined;
}
