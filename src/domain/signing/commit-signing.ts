import type { Ident } from '#git/objects/format-ident';
import type { NewCommit } from '../commit/write-commit.ts';
import type { SigningKeys } from './signing-keys.ts';

export interface CommitSigningOptions {
  /** `undefined` when the server has none: commits are left unsigned. */
  readonly keys: SigningKeys | undefined;
  /** Who commits in place of the user, where both are there. */
  readonly committerName?: string | undefined;
  readonly committerEmail?: string | undefined;
}

/** Who commits, and what signs the commit, if anything. */
export interface CommittedBy {
  readonly committer: Ident;
  readonly sign: NewCommit['sign'];
}

/** What a server makes of a commit that it is asked to sign. */
export class CommitSigning {
  readonly #keys: SigningKeys | undefined;
  readonly #committer: Pick<Ident, 'name' | 'email'> | undefined;

  constructor({ keys, committerName = '', committerEmail = '' }: CommitSigningOptions) {
    this.#keys = keys;
    const isKnown = committerName !== '' && committerEmail !== '';
    this.#committer = isKnown ? { name: Buffer.from(committerName), email: Buffer.from(committerEmail) } : undefined;
  }

  /** The server commits in place of the user, at the same time, whether it has a key or not; with a key it signs. */
  signed(committer: Ident): CommittedBy {
    const keys = this.#keys;
    return {
      committer: { ...committer, ...this.#committer },
      sign: keys && (async (commit, atSeconds) => (await keys.current()).sign(commit, atSeconds)),
    };
  }
}
