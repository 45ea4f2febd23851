import type { Duplex } from 'node:stream';
import { messageOf } from '#base/gitaly-error';
import { limitedSignal } from '#base/limited-signal';
import { quote } from '#base/quote';
import { SIDECHANNEL_MAGIC } from './connection-magic.ts';
import { readUpTo } from './read-up-to.ts';
import { SidechannelStream } from './sidechannel-stream.ts';

/** How long the set-up may take on either side: it runs on a connection that is already there. */
const SETUP_TIMEOUT_MS = 5000;

const CONFIRMATION = Buffer.from('ok');

/** A sidechannel could not be set up. Without a status code: the two RPC families that use it answer differently. */
export class SidechannelError extends Error {
  override readonly name = 'SidechannelError';
  /** The connection failed us, not the client's request: the whole call may be tried again. */
  readonly isRetryable: boolean;

  constructor(message: string, options: ErrorOptions & { isRetryable?: boolean } = {}) {
    super(message, options);
    this.isRetryable = options.isRetryable ?? false;
  }
}

/** What opening needs of a multiplexed connection. */
export interface StreamOpener {
  open(options: { signal?: AbortSignal }): Promise<Duplex>;
}

/**
 * The id in a call's metadata. Of several values the last counts (a proxy appends its own); what is no number counts as 0.
 * @throws {SidechannelError} when there is none.
 */
export function parseSidechannelId(values: readonly string[]): bigint {
  const value = values.at(-1);
  if (value === undefined) throw new SidechannelError('sidechannel: sidechannel-id not found in incoming metadata');
  if (!/^[+-]?[0-9]+$/.test(value)) return 0n;
  const id = BigInt(value.replace(/^\+/, ''));
  const limit = 2n ** 63n;
  return id >= limit ? limit - 1n : id < -limit ? -limit : id;
}

/**
 * Server side: opens a stream to the client and says which of the client's callbacks it is for. The result reads the client's
 * bytes without their frames and ends at its half close; it writes raw bytes.
 *
 * @param session the multiplexed connection; `undefined` when the call came over a plain one
 * @throws {SidechannelError} texts of transport spec 3; retryable unless the client answered something else than `ok`
 */
export async function openSidechannel(
  session: StreamOpener | undefined,
  id: bigint,
  options: { signal?: AbortSignal; timeoutMs?: number } = {},
): Promise<SidechannelStream> {
  if (session === undefined) throw new SidechannelError('sidechannel: fail to extract mux session: non-multiplexed connection');
  using limited = limitedSignal(options.timeoutMs ?? SETUP_TIMEOUT_MS, options.signal);
  const { signal } = limited;
  const stream = await retryable('open stream', session.open({ signal }));
  try {
    const request = Buffer.alloc(SIDECHANNEL_MAGIC.length + 8);
    request.write(SIDECHANNEL_MAGIC, 'latin1');
    request.writeBigInt64BE(id, SIDECHANNEL_MAGIC.length);
    await retryable('write magic bytes', write(stream, request, signal));
    const answer = await retryable('receive confirmation', readExactly(stream, CONFIRMATION.length, signal));
    if (!answer.equals(CONFIRMATION)) throw new SidechannelError(`sidechannel: expected ok, got ${quote(answer)}`);
    return new SidechannelStream(stream, 'server');
  } catch (error) {
    stream.destroy();
    throw error;
  }
}

/**
 * Client side, after the magic was read from a stream that the server opened: the id of the callback it is for.
 * @throws {SidechannelError} when the stream ends or fails before.
 */
export async function readSidechannelId(stream: Duplex, options: { signal?: AbortSignal } = {}): Promise<bigint> {
  try {
    return (await readExactly(stream, 8, options.signal)).readBigInt64BE();
  } catch (error) {
    throw new SidechannelError(`sidechannel: fail to extract sidechannel ID: ${messageOf(error)}`, { cause: error });
  }
}

/**
 * Client side, after the callback was found: answers `ok`. The result reads raw bytes and writes framed ones; its `end()` is the
 * half close, its `destroy()` ends the stream. (For an unknown id: end the stream and answer nothing.)
 *
 * @throws when the stream fails or takes nothing for 5 s
 */
export async function confirmSidechannel(stream: Duplex): Promise<SidechannelStream> {
  using limited = limitedSignal(SETUP_TIMEOUT_MS);
  await write(stream, CONFIRMATION, limited.signal);
  return new SidechannelStream(stream, 'client');
}

async function retryable<T>(doing: string, result: Promise<T>): Promise<T> {
  try {
    return await result;
  } catch (error) {
    const isTimeout = error instanceof DOMException && error.name === 'TimeoutError';
    const message = isTimeout ? 'i/o deadline reached' : messageOf(error);
    throw new SidechannelError(`sidechannel: ${doing}: ${message}`, { cause: error, isRetryable: true });
  }
}

async function readExactly(stream: Duplex, count: number, signal: AbortSignal | undefined): Promise<Buffer> {
  const bytes = await readUpTo(stream, count, signal === undefined ? {} : { signal });
  if (bytes.length < count) throw new Error(bytes.length === 0 ? 'EOF' : 'unexpected EOF');
  return bytes;
}

async function write(stream: Duplex, bytes: Buffer, signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const onAbort = () => reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  stream.write(bytes, (error) => (error ? reject(error) : resolve()));
  try {
    await promise;
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
