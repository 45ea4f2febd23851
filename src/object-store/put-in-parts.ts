import { type PartsOptions, partsOf } from './parts.ts';

export interface PutInPartsOptions extends Omit<PartsOptions, 'sent'> {
  putWhole(content: Buffer): Promise<void>;
  /** @param sent receives parts that were sent, whose memory is reused. */
  putParts(parts: AsyncIterable<Buffer>, sent: Buffer[]): Promise<void>;
  /** Converts an error of the service to the one that is thrown. */
  toError(error: unknown): unknown;
}

/** Stores an object: in one request if it is smaller than a part, otherwise in parts. */
export async function putInParts(
  pieces: AsyncIterable<Uint8Array>,
  { putParts, putWhole, toError, ...options }: PutInPartsOptions,
): Promise<void> {
  const sent: Buffer[] = [];
  const parts = partsOf(pieces, { ...options, sent });
  try {
    const first = await parts.next();
    const start = first.value ?? Buffer.alloc(0);
    if (start.length < options.partBytes) await putWhole(start);
    else await putParts(following(start, parts), sent);
  } catch (error) {
    throw toError(error);
  } finally {
    await parts.return(undefined);
  }
}

/** Yields the parts again after the first of them has been taken. */
async function* following(first: Buffer, rest: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  yield first;
  yield* rest;
}
