import { isError } from '#base/is-error';
import type { Identity } from '../identity.ts';
import { identityOfToken } from '../token-login.ts';
import type { SshAccess } from './authentication.ts';
import { fingerprintOf } from './keys/host-key.ts';
import { weaknessOf } from './keys/public-key.ts';
import type { SshAuthRequest, SshKeyRequest, SshLibrary } from './ssh-library.ts';

export interface LoginOptions {
  readonly library: SshLibrary;
  readonly access: SshAccess;
  readonly remoteAddress: string | undefined;
  readonly maxAuthAttempts: number;
  /** Called when the access function failed. */
  readonly onFailure: ((error: unknown) => void) | undefined;
}

/** Result of a login request. */
export type LoginAnswer =
  | { readonly identity: Identity }
  /** The key is accepted; the client must prove that it owns it. */
  | 'prove'
  | 'refused'
  | 'too many';

/** The authentication of one connection: counts refusals and calls the access function. */
export class Login {
  readonly #options: LoginOptions;
  #refused = 0;

  constructor(options: LoginOptions) {
    this.#options = options;
  }

  async answer(request: SshAuthRequest): Promise<LoginAnswer> {
    const { access, maxAuthAttempts } = this.#options;
    if ('everybody' in access) return { identity: access.everybody };
    if (request.method === 'publickey') {
      const identity = await this.#identityOf(request);
      if (identity !== undefined && request.signature === undefined) return 'prove';
      if (identity !== undefined && this.#isProven(request))
        return { identity: watched(identity, () => this.#identityOf(request)) };
    }
    if (request.method === 'password') {
      const { password } = request;
      const identity = await this.#identityOfToken(password);
      if (identity !== undefined)
        return { identity: watched(identity, () => this.#identityOfToken(password)) };
    }
    // Clients first try the method `none` to get the list of methods, which needs one more attempt.
    return ++this.#refused > maxAuthAttempts ? 'too many' : 'refused';
  }

  /** Returns the methods with which a client may log in. */
  get methods(): ('publickey' | 'password')[] {
    const { access } = this.#options;
    return 'tokens' in access && access.tokens !== undefined ? ['publickey', 'password'] : ['publickey'];
  }

  async #identityOfToken(password: string): Promise<Identity | undefined> {
    const { access, onFailure } = this.#options;
    if (!('tokens' in access) || access.tokens === undefined) return undefined;
    try {
      const identity = await identityOfToken(access.tokens, password);
      return typeof identity === 'string' ? undefined : identity;
    } catch (error) {
      onFailure?.(error);
      return undefined;
    }
  }

  async #identityOf({
    key: { algo: type, data },
    username: user,
  }: SshKeyRequest): Promise<Identity | undefined> {
    const { access, onFailure, remoteAddress } = this.#options;
    if ('everybody' in access || weaknessOf({ type, data }) !== undefined) return undefined;
    try {
      const fingerprint = fingerprintOf(data);
      const identity = await access.authenticate({ user, key: { type, data }, fingerprint, remoteAddress });
      return identity && { credential: { kind: 'key', name: fingerprint }, ...identity };
    } catch (error) {
      onFailure?.(error);
      return undefined;
    }
  }

  #isProven({ blob, hashAlgo, key: { algo, data }, signature }: SshKeyRequest): boolean {
    if (algo === 'ssh-rsa' && hashAlgo === undefined) return false; // a signature with SHA-1
    const key = this.#options.library.utils.parseKey(`${algo} ${data.toString('base64')}`);
    if (isError(key) || blob === undefined || signature === undefined) return false;
    return key.verify(blob, signature, hashAlgo) === true;
  }
}

/** Returns an identity that ends or changes with that of its key or token. */
function watched(identity: Identity, renewed: () => Promise<Identity | undefined>): Identity {
  return identity.rights === undefined ? { ...identity, renewed } : identity;
}
