import type { TokenScope } from '#tokens/scope';

/** How a user logged in, for the log: never the secret. */
export interface Credential {
  readonly kind: 'password' | 'token' | 'key';
  /** The id of a token, the fingerprint of a key; empty for a password. */
  readonly name: string;
}

/** The user of a request, as Gitaly's hooks identify people. */
export interface Identity {
  /** `user-<number>`, `username-<name>` or `key-<number>`; never empty, or pushes are refused. */
  readonly glId: string;
  readonly username: string;
  /** Number of the SSH key used for the login, if any. */
  readonly keyId?: number;
  readonly credential?: Credential;
  /** Scope of the token used for the login, if any. */
  readonly scope?: TokenScope;
}

/** Reports whether a user may create repositories by a push: with a token only as administrator. */
export function mayCreate({ scope }: Identity): boolean {
  return scope === undefined || scope.access === 'admin';
}
