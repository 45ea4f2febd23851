import { createHash } from 'node:crypto';
import type { Slots } from '#gateway/slots';
import type { AccessClient } from '../authentication.ts';
import { Problem } from './problems.ts';

const WINDOW_MS = 60_000;
const RETRY_AFTER_SECONDS = 10;

/**
 * Bounds the requests of each token or password in a minute, and without one those of each address:
 * a request holds its slot that long.
 */
export class RequestRate {
  readonly #slots: Slots;

  /** @param slots those of all processes of a server. */
  constructor(slots: Slots) {
    this.#slots = slots;
  }

  /** Counts a request whose credentials are right. @throws {Problem} if there are too many. */
  async count({ headers, remoteAddress }: AccessClient): Promise<void> {
    const { authorization } = headers;
    const key =
      authorization === undefined
        ? remoteAddress
        : createHash('sha256').update(authorization).digest('base64url');
    const slot = await this.#slots.take(key);
    if (typeof slot !== 'string') {
      setTimeout(() => slot[Symbol.dispose](), WINDOW_MS).unref();
      return;
    }
    throw new Problem('too-many-requests', 429, 'You have sent too many requests in this minute.', {
      headers: { 'Retry-After': String(RETRY_AFTER_SECONDS) },
    });
  }
}
