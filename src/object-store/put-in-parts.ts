import { type PartsOptions, partsOf } from './parts.ts';

export interface PutInPartsOptions extends Omit<PartsOptions, 'sent'> {
  /** @returns the version of the stored object, as all do. */
  putWhole(content: Buffer): Promise<string>;
  /** @param sent receives parts that were sent, whose memory is reused. */
  putParts(parts: AsyncIterable<Buffer>, sent: Buffer[]): Promise<string>;
  /** Converts an error of the service to the one that is thrown. */
  toError(error: unknown): unknown;
}

/** Stores an object: in one request if it is smaller than a part, otherwise in parts. */
export async function putInParts(
  pieces: AsyncIterable<Uint8Array>,
  { putParts, putWhole, toError, ...options }: PutInPartsOptions,
): Promise<string> {
  const sent: Buffer[] = [];
  const parts = partsOf(pieces, { ...options, sent });
  try {
    const first = await parts.next();
    const start = first.value ?? Buffer.alloc(0);
    if (start.length < options.partBytes) return await putWhole(start);
    return await putParts(following(start, parts), sent);
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
