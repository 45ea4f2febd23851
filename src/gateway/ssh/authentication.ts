import type { Identity } from '../identity.ts';
import type { RepositoryPath } from '../repository-path.ts';
import type { PublicKey } from './public-key.ts';

/** A key that a client offers. That it also has the private half is checked by the door, after the answer. */
export interface SshLogin {
  /** The name in front of the @; by custom everybody is `git`. */
  readonly user: string;
  readonly key: PublicKey;
  /** `SHA256:…` of the key, as `ssh-keygen -l` shows it. */
  readonly fingerprint: string;
  readonly remoteAddress: string | undefined;
}

/**
 * Who is let in: everybody as one user without any key, or those whose key this function knows. It may be asked twice for one login
 * and is asked for each key that an agent has; a failure lets nobody in.
 */
export type SshAccess =
  | { readonly everybody: Identity }
  | { readonly authenticate: (login: SshLogin) => Promise<Identity | undefined> | Identity | undefined };

/** Somebody who is in asks for a repository. */
export interface SshAccessRequest {
  readonly identity: Identity;
  readonly path: RepositoryPath;
  readonly operation: 'read' | 'write';
  readonly remoteAddress: string | undefined;
}
