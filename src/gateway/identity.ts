import type { TokenScope } from '#tokens/scope';
import type { Grant, Right } from './rights.ts';

/** How a user logged in, for the log: never the secret. */
export interface Credential {
  readonly kind: 'password' | 'token' | 'key';
  /** The id or name of a token, the name or fingerprint of a key; empty for a password. */
  readonly name: string;
}

/** The rights of a user now; they may change while a connection is open. */
export interface Rights {
  grants(): Promise<readonly Grant[]>;
  /** Returns the right to a repository; `undefined` for none. */
  at(path: string): Promise<Right | undefined>;
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
  /** Rights of a person of a file of people. */
  readonly rights?: Rights;
  /**
   * Returns the user whom the key or token has now, which a connection of SSH may outlive;
   * `undefined` if it is no longer accepted. Default: it is, or {@link rights} has none.
   */
  readonly renewed?: () => Promise<Identity | undefined>;
  /** True for the key of a repository, which belongs to no person. */
  readonly isDeployKey?: boolean;
}

/**
 * Reports whether a user may create repositories by a push: with a token only as administrator,
 * with the key of a repository never.
 */
export function mayCreate({ isDeployKey, scope }: Identity): boolean {
  return isDeployKey !== true && (scope === undefined || scope.access === 'admin');
}
