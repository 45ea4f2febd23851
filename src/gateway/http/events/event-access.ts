import type { IncomingHttpHeaders } from 'node:http';
import { BoundedMap } from '#base/memory/bounded-map';
import type { Identity } from '#gateway/identity';
import { checkRepositoryPath } from '#gateway/repository-path';
import { WRONG_CREDENTIALS } from '../auth/challenge.ts';
import type { Authenticator } from '../authentication.ts';
import { HttpRefusal } from '../refusal.ts';
import type { ProxyPeer } from '../trusted-proxies.ts';

/** A revoked right is noticed within this time. */
const REMEMBERED_MS = 1000;
const MAX_REMEMBERED = 1000;
const PROBE = 'events.git';

export interface EventReader {
  readonly headers: IncomingHttpHeaders;
  readonly peer: ProxyPeer;
}

/** The rights of one reader of events, which are those to read the repositories with git. */
export class EventAccess {
  readonly #authenticator: Authenticator;
  readonly #reader: EventReader;
  readonly #known = new BoundedMap<string, boolean>({ maxEntries: MAX_REMEMBERED, maxAgeMs: REMEMBERED_MS });
  #identity: Identity | undefined;

  constructor(authenticator: Authenticator, reader: EventReader) {
    this.#authenticator = authenticator;
    this.#reader = reader;
  }

  /**
   * Asks for any repository, to learn of wrong credentials. Returns the user, if the authenticator
   * names one. @throws as {@link mayRead}
   */
  async checkCredentials(): Promise<Identity | undefined> {
    await this.mayRead(PROBE);
    return this.#identity;
  }

  /**
   * Reports whether the reader may read a repository.
   *
   * @throws {HttpRefusal} if the credentials are wrong, or no longer valid; as the authenticator.
   */
  async mayRead(relativePath: string): Promise<boolean> {
    const known = this.#known.get(relativePath);
    if (known !== undefined) return known;
    const mayRead = await this.#ask(relativePath);
    this.#known.set(relativePath, mayRead);
    return mayRead;
  }

  async #ask(relativePath: string): Promise<boolean> {
    const path = checkRepositoryPath(relativePath.split('/'));
    if (typeof path !== 'string') return false;
    const { headers, peer } = this.#reader;
    const admission = await this.#authenticator.authenticate({
      headers,
      remoteAddress: peer.address,
      scheme: peer.scheme,
      path,
      operation: 'read',
    });
    this.#identity = 'answer' in admission ? admission.identity : admission;
    if (!('answer' in admission)) return true;
    if (admission.answer.status === WRONG_CREDENTIALS.status) throw new HttpRefusal(admission.answer);
    return false;
  }
}
