import { Problem } from '../problems.ts';

/**
 * Where a page of a list by name begins. Tokens of calls are texts: behind a name that is not
 * UTF-8, none begins, so a position counts from an earlier token.
 */
export interface ListPosition {
  /** The token of the call; empty at the start of the list. */
  readonly token: string;
  /** Number of items behind the token that earlier pages have shown. */
  readonly skip: number;
}

/**
 * Matches a position. The number is limited because the server reads the items that it skips, which
 * are those with names that are not UTF-8.
 */
const POSITION = /^(\d{1,7}) (.*)$/s;

/** Reads the result of {@link formatPosition}. @throws {Problem} */
export function parsePosition(text: string | undefined): ListPosition {
  if (text === undefined) return { token: '', skip: 0 };
  const [, skip, token] = POSITION.exec(text) ?? [];
  if (skip === undefined || token === undefined)
    throw new Problem('invalid-request', 400, 'The cursor is not one of this list.');
  return { token, skip: Number(skip) };
}

/**
 * Returns the position behind a page, as text.
 *
 * @param count items of the page.
 * @param token begins behind its last item; `undefined` if none does.
 */
export function formatPosition(page: ListPosition, count: number, token: string | undefined): string {
  return token === undefined ? `${page.skip + count} ${page.token}` : `0 ${token}`;
}
