import { createHash } from 'node:crypto';
import type { Slots } from '#gateway/slots';
import { isTokenText } from '#tokens/token-verifier';
import { parseCredentials, secretIn } from '../auth/credentials.ts';
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
    // A token is the password of any name, so names do not count.
    const secret = secretIn(parseCredentials(headers.authorization))?.reveal();
    const key =
      secret === undefined
        ? remoteAddress
        : createHash('sha256').update(withoutSignature(secret)).digest('base64url');
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

/** Returns what identifies a token: a signature can be written in several ways. */
function withoutSignature(secret: string): string {
  return isTokenText(secret) ? secret.slice(0, secret.lastIndexOf('.')) : secret;
}
