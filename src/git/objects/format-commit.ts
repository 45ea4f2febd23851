import type { ObjectFormatName } from '../object-format.ts';
import { repairUtf8 } from './repair-utf8.ts';

export interface CommitFields {
  readonly treeOid: string;
  readonly parentOids: readonly string[];
  /** Whole lines without their key, as of `formatIdent`. */
  readonly author: Uint8Array;
  readonly committer: Uint8Array;
  /** As it is: no line feed is added. */
  readonly message: Uint8Array;
  /** Of the text, as the commit it was taken from says; absent or empty for UTF-8. */
  readonly encoding?: Uint8Array | undefined;
}

/**
 * The contents of a commit object as `git commit-tree` writes them: a parent counts once, and text that is not UTF-8 is repaired. With an
 * `encoding` the text stays as it is.
 */
export function formatCommit({ treeOid, parentOids, author, committer, message, encoding }: CommitFields): Buffer {
  const parents = [...new Set(parentOids)].map((oid) => `parent ${oid}\n`).join('');
  const isEncoded = encoding !== undefined && encoding.length > 0;
  const commit = Buffer.concat([
    Buffer.from(`tree ${treeOid}\n${parents}author `),
    author,
    Buffer.from('\ncommitter '),
    committer,
    ...(isEncoded ? [Buffer.from('\nencoding '), encoding] : []),
    Buffer.from('\n\n'),
    message,
  ]);
  return isEncoded ? commit : repairUtf8(commit);
}

/** Puts a signature behind the last header of a commit. It covers the commit without it. */
export function withSignature(commit: Buffer, signature: Buffer, objectFormat: ObjectFormatName): Buffer {
  const key = objectFormat === 'sha1' ? 'gpgsig' : 'gpgsig-sha256';
  const at = commit.indexOf('\n\n') + 1;
  const lines = signature.toString('latin1').replace(/\n$/, '').split('\n');
  const header = Buffer.from(`${key} ${lines.join('\n ')}\n`, 'latin1');
  return Buffer.concat([commit.subarray(0, at), header, commit.subarray(at)]);
}
