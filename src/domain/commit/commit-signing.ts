import type { Ident } from '#git/objects/write/format-ident';
import type { SigningKeys } from '../signing/signing-keys.ts';
import type { UserChange } from './signature.ts';
import type { NewCommit } from './write-commit.ts';

export interface CommitSigningOptions {
  /** `undefined` if the server has no key; commits are then unsigned. */
  readonly keys: SigningKeys | undefined;
  /** Name of the committer instead of the user, if both are configured. */
  readonly committerName?: string | undefined;
  readonly committerEmail?: string | undefined;
}

/** A change on behalf of a user that creates a commit. */
export interface UserCommit extends UserChange {
  readonly message: Uint8Array;
  /** `undefined` for a commit without signature. */
  readonly signing: CommitSigning | undefined;
}

/** The committer of a commit, and its signing key if there is one. */
export interface CommittedBy {
  readonly committer: Ident;
  readonly sign: NewCommit['sign'];
}

/**
 * Returns the committer and the signer: the user and no signer without `signing`, otherwise as
 * {@link CommitSigning.signed}.
 */
export function committedBy(committer: Ident, signing: CommitSigning | undefined): CommittedBy {
  return signing?.signed(committer) ?? { committer, sign: undefined };
}

/** Signs the commits for which a call requests a signature. */
export class CommitSigning {
  readonly #keys: SigningKeys | undefined;
  readonly #committer: Pick<Ident, 'name' | 'email'> | undefined;

  constructor({ keys, committerName = '', committerEmail = '' }: CommitSigningOptions) {
    this.#keys = keys;
    const isKnown = committerName !== '' && committerEmail !== '';
    this.#committer = isKnown
      ? { name: Buffer.from(committerName), email: Buffer.from(committerEmail) }
      : undefined;
  }

  /**
   * Returns the server as committer instead of the user, at the same time, whether it has a key or
   * not; with a key it signs.
   */
  signed(committer: Ident): CommittedBy {
    const keys = this.#keys;
    return {
      committer: { ...committer, ...this.#committer },
      sign: keys && (async (commit, atSeconds) => (await keys.current()).sign(commit, atSeconds)),
    };
  }
}
