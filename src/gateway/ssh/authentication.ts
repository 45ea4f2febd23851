import type { TokenVerifier } from '#tokens/token-verifier';
import type { Identity } from '../identity.ts';
import type { RepositoryPath } from '../repository-path.ts';
import type { PublicKey } from './keys/public-key.ts';

/**
 * A key that a client offers. The gateway verifies that the client has the private key after the
 * response.
 */
export interface SshLogin {
  /** The name before the @; by convention everybody is `git`. */
  readonly user: string;
  readonly key: PublicKey;
  /** `SHA256:…` of the key, as `ssh-keygen -l` shows it. */
  readonly fingerprint: string;
  readonly remoteAddress: string | undefined;
}

/**
 * Access rule for logins: everybody as one user without a key, or users whose key this function
 * accepts. It is called for each key of an agent, possibly twice per login, and again for each
 * command; a failure refuses the login or command.
 */
export type SshAccess =
  | { readonly everybody: Identity }
  | {
      readonly authenticate: (login: SshLogin) => Promise<Identity | undefined> | Identity | undefined;
      /** Checks tokens, which clients send as passwords. Default: passwords are refused. */
      readonly tokens?: TokenVerifier;
    };

/** A request of a logged-in user for a repository. */
export interface SshAccessRequest {
  readonly identity: Identity;
  readonly path: RepositoryPath;
  readonly operation: 'read' | 'write';
  readonly remoteAddress: string | undefined;
}
