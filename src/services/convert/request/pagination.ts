import { toJson } from '#base/go/encoding/json';
import { JsonFields } from '#base/json-fields';
import type { PaginationParameter } from '#wire/gen/shared_pb';

/** Requested part of a list. */
export interface PageBounds {
  /** Maximum number of items; infinite without a limit. */
  readonly limit: number;
  /** The name of the last item of the page before; empty from the start. */
  readonly after: Buffer;
}

/** Some items of a page. */
export interface PagePart<T> {
  readonly items: readonly T[];
  /** Set with the last part: true if the list continues after the page. */
  readonly hasMore?: boolean;
}

/**
 * Thrown when a page starts after an item that is not in the list. Each call chooses the message
 * for its clients.
 */
export class MissingPageTokenError extends Error {
  override readonly name = 'MissingPageTokenError';

  constructor() {
    super('could not find page token');
  }
}

/**
 * Returns the page of a list of references that a request selects. A limit of 0 means an empty
 * page; a negative or absent limit means everything.
 */
export function pageOf(parameter: PaginationParameter | undefined): PageBounds {
  if (parameter === undefined) return { limit: Number.POSITIVE_INFINITY, after: Buffer.alloc(0) };
  const { limit, pageToken } = parameter;
  return { limit: limit < 0 ? Number.POSITIVE_INFINITY : limit, after: Buffer.from(pageToken) };
}

/**
 * Cuts a page out of a list of references, which comes in batches. The list is read no further than
 * one item behind the page, and not at all for an empty one.
 *
 * @throws {MissingPageTokenError} for a page that begins behind an item that is not in the list.
 */
export async function* cutPage<T extends { readonly name: Buffer }>(
  batches: AsyncIterable<readonly T[]>,
  { limit, after }: PageBounds,
): AsyncGenerator<PagePart<T>, void> {
  if (limit === 0) {
    if (after.length > 0) throw new MissingPageTokenError();
    return;
  }
  let isInside = after.length === 0;
  let left = limit;
  for await (const batch of batches) {
    let start = 0;
    if (!isInside) {
      const found = batch.findIndex(({ name }) => name.equals(after));
      if (found === -1) continue;
      isInside = true;
      start = found + 1;
    }
    const items = batch.slice(start, start + left);
    const hasMore = batch.length > start + items.length;
    if (hasMore || items.length > 0) yield { items, ...(hasMore && { hasMore }) };
    if (hasMore) return;
    left -= items.length;
  }
  if (!isInside) throw new MissingPageTokenError();
}

/** Yields the items of a page alone. */
export async function* itemsOf<T>(parts: AsyncIterable<PagePart<T>>): AsyncGenerator<readonly T[], void> {
  for await (const { items } of parts) yield items;
}

/** Items of one message of the reference lists. @see Gitaly: lines.ItemsPerMessage */
export const ITEMS_PER_MESSAGE = 20;

/** Some items that travel in one message. */
export interface Line<T> {
  readonly items: readonly T[];
  /** The page ends here, and the list continues. */
  readonly hasMore: boolean;
}

/**
 * Collects the items of a page into messages of {@link ITEMS_PER_MESSAGE}. No items, no message.
 */
export async function* inLines<T>(parts: AsyncIterable<PagePart<T>>): AsyncGenerator<Line<T>, void> {
  let held: readonly T[] = [];
  for await (const { items, hasMore = false } of parts) {
    const all = held.length === 0 ? items : [...held, ...items];
    let start = 0;
    // A full message is held back until it is known whether it is the last one.
    for (; all.length - start > ITEMS_PER_MESSAGE; start += ITEMS_PER_MESSAGE) {
      yield { items: all.slice(start, start + ITEMS_PER_MESSAGE), hasMore: false };
    }
    held = all.slice(start);
    if (hasMore && held.length > 0) {
      yield { items: held, hasMore };
      return;
    }
  }
  if (held.length > 0) yield { items: held, hasMore: false };
}

/**
 * Encodes a page token that holds an object: base64 of JSON in Go's format. Bytes that are not
 * UTF-8 are lost.
 */
export function encodeCursor(fields: Readonly<Record<string, string>>): string {
  return Buffer.from(toJson(fields).replaceAll('\ufffd', String.raw`\ufffd`)).toString('base64');
}

/** Reads the result of {@link encodeCursor}; `undefined` if the token is something else. */
export function decodeCursor(token: string): JsonFields | undefined {
  const bytes = Buffer.from(token, 'base64');
  return bytes.toString('base64') === token ? JsonFields.parse(bytes.toString()) : undefined;
}
