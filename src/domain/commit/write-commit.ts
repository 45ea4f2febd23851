import { messageOf } from '#base/gitaly-error';
import { formatCommit, withSignature } from '#git/objects/write/format-commit';
import {
  calendarDate,
  cleanIdent,
  formatIdent,
  type Ident,
  isCommitDate,
} from '#git/objects/write/format-ident';
import type { ObjectWriter } from '#git/objects/write/write-objects';

export interface NewCommit {
  readonly treeOid: string;
  /** Full ids of commits, in order. Not checked. */
  readonly parentOids: readonly string[];
  readonly author: Ident;
  readonly committer: Ident;
  /** Stored unchanged: no line feed is added. */
  readonly message: Uint8Array;
  /** Encoding of the message, copied from another commit. */
  readonly encoding?: Uint8Array | undefined;
  /**
   * Signs the commit, at the time of its author; `undefined` for a commit without signature.
   * Resolves to the text of the signature; one line feed at its end is not stored.
   */
  readonly sign?: ((commit: Buffer, atSeconds: bigint) => Promise<Buffer>) | undefined;
}

/** git would refuse a name that is empty after cleaning. */
export class DisallowedCharactersError extends Error {
  override readonly name = 'DisallowedCharactersError';

  constructor() {
    super('disallowed characters');
  }
}

/**
 * Writes a commit as `git commit-tree -F -` does with names and dates in its environment, and
 * refuses what git refuses.
 *
 * @returns its id; it is on disk when the writer has finished.
 * @throws {Error} `missing tree`, `missing author name`, `missing committer name`; git's errors:
 *   `commit-tree: exit status 128: fatal: invalid date format: …`,
 *   `commit-tree: exit status 1: error: gpg failed to sign the data:…`;
 *   {@link DisallowedCharactersError}.
 */
export async function writeCommit(writer: ObjectWriter, commit: NewCommit): Promise<string> {
  const text = commitText(commit);
  const signature = await commit.sign?.(text, commit.author.seconds).catch((error: unknown) => {
    throw refused(1, `error: gpg failed to sign the data:\n${messageOf(error)}\n`, error);
  });
  return await writer.write('commit', signature ? withSignature(text, signature, writer.objectFormat) : text);
}

function commitText({ treeOid, parentOids, author, committer, message, encoding }: NewCommit): Buffer {
  if (treeOid === '') throw new Error('missing tree');
  if (author.name.length === 0) throw new Error('missing author name');
  if (committer.name.length === 0) throw new Error('missing committer name');
  if ([author, committer].some(({ name, email }) => name.includes(0) || email.includes(0))) {
    throw new Error('commit-tree: a name or an address holds a NUL byte');
  }
  if (message.includes(0)) throw refused(1, 'error: a NUL byte in commit log message not allowed.');
  const lines = { author: identLine(author), committer: identLine(committer) };
  return formatCommit({ treeOid, parentOids, message, encoding, ...lines });
}

function identLine(ident: Ident): Buffer {
  const name = cleanIdent(ident.name);
  if (name.length === 0) throw new DisallowedCharactersError();
  if (!isCommitDate(ident)) throw refused(128, `fatal: invalid date format: ${calendarDate(ident)}`);
  return formatIdent({ ...ident, name, email: cleanIdent(ident.email) });
}

/**
 * Returns the error that clients get from a failing `git commit-tree`: exit code, standard error, a
 * space, and an empty standard output.
 */
function refused(exitCode: number, stderr: string, cause?: unknown): Error {
  return new Error(`commit-tree: exit status ${exitCode}: ${stderr}\n `, { cause });
}
