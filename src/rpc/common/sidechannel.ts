import type { Duplex } from 'node:stream';
import { abortable } from '#base/async/abortable';
import { limitedSignal } from '#base/async/limited-signal';
import { messageOf } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import { SIDECHANNEL_MAGIC } from './connection-magic.ts';
import { readUpTo } from './read-up-to.ts';
import { SidechannelStream } from './sidechannel-stream.ts';

/** Time limit of the handshake on either side; the connection already exists. */
const SETUP_TIMEOUT_MS = 5000;

const CONFIRMATION = Buffer.from('ok');

/**
 * A sidechannel could not be set up. It has no status code, because the two RPC families that use
 * it return different ones.
 */
export class SidechannelError extends Error {
  override readonly name = 'SidechannelError';
  /** True if the connection failed, not the client's request: the whole call may be retried. */
  readonly isRetryable: boolean;

  constructor(message: string, options: ErrorOptions & { isRetryable?: boolean } = {}) {
    super(message, options);
    this.isRetryable = options.isRetryable ?? false;
  }
}

/** The part of a multiplexed connection that opening a stream needs. */
export interface StreamOpener {
  open(options: { signal?: AbortSignal }): Promise<Duplex>;
}

/**
 * Parses the id in a call's metadata. The last of several values is used (a proxy appends its own);
 * an invalid number counts as 0.
 * @throws {SidechannelError} when there is none.
 */
export function parseSidechannelId(values: readonly string[]): bigint {
  const value = values.at(-1);
  if (value === undefined)
    throw new SidechannelError('sidechannel: sidechannel-id not found in incoming metadata');
  if (!/^[+-]?[0-9]+$/.test(value)) return 0n;
  const id = BigInt(value.replace(/^\+/, ''));
  const limit = 2n ** 63n;
  return id >= limit ? limit - 1n : id < -limit ? -limit : id;
}

/**
 * Opens a stream to the client and sends the id of the client's callback (server side). The result
 * reads the client's bytes without their frames and ends at its half close; it writes raw bytes.
 *
 * @param session the multiplexed connection; `undefined` if the call arrived over a plain one
 * @throws {SidechannelError} texts of transport spec 3; retryable unless the client answered
 *   something other than `ok`
 */
export async function openSidechannel(
  session: StreamOpener | undefined,
  id: bigint,
  options: { signal?: AbortSignal; timeoutMs?: number } = {},
): Promise<SidechannelStream> {
  if (session === undefined)
    throw new SidechannelError('sidechannel: fail to extract mux session: non-multiplexed connection');
  using limited = limitedSignal(options.timeoutMs ?? SETUP_TIMEOUT_MS, options.signal);
  const { signal } = limited;
  const stream = await retryable('open stream', session.open({ signal }));
  try {
    const request = Buffer.alloc(SIDECHANNEL_MAGIC.length + 8);
    request.write(SIDECHANNEL_MAGIC, 'latin1');
    request.writeBigInt64BE(id, SIDECHANNEL_MAGIC.length);
    await retryable('write magic bytes', write(stream, request, signal));
    const answer = await retryable('receive confirmation', readExactly(stream, CONFIRMATION.length, signal));
    if (!answer.equals(CONFIRMATION))
      throw new SidechannelError(`sidechannel: expected ok, got ${quote(answer)}`);
    return new SidechannelStream(stream, 'server');
  } catch (error) {
    stream.destroy();
    throw error;
  }
}

/**
 * Reads the callback's id from a stream that the server opened, after its magic (client side).
 * @throws {SidechannelError} when the stream ends or fails before.
 */
export async function readSidechannelId(
  stream: Duplex,
  options: { signal?: AbortSignal } = {},
): Promise<bigint> {
  try {
    return (await readExactly(stream, 8, options.signal)).readBigInt64BE();
  } catch (error) {
    throw new SidechannelError(`sidechannel: fail to extract sidechannel ID: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/**
 * Answers `ok` after the callback was found (client side). The result reads raw bytes and writes
 * framed ones; its `end()` is the half close, its `destroy()` ends the stream. (For an unknown id,
 * end the stream without an answer.)
 *
 * @throws when the stream fails or accepts nothing for 5 s
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
  stream.write(bytes, (error) => (error ? reject(error) : resolve()));
  await abortable(promise, signal);
}
