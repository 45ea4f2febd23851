import type { ObjectFormatName } from '#git/repository-files/repository-format';
import { repairUtf8 } from '../parse/repair-utf8.ts';

export interface CommitFields {
  readonly treeOid: string;
  readonly parentOids: readonly string[];
  /** Whole lines without their key, from `formatIdent`. */
  readonly author: Uint8Array;
  readonly committer: Uint8Array;
  /** The unchanged message: no line feed is added. */
  readonly message: Uint8Array;
  /** Encoding of the text, from the original commit; absent or empty for UTF-8. */
  readonly encoding?: Uint8Array | undefined;
}

/**
 * Returns the contents of a commit object as `git commit-tree` writes them: duplicate parents are
 * removed, and text that is not UTF-8 is repaired. With an `encoding` the text is unchanged.
 */
export function formatCommit({
  treeOid,
  parentOids,
  author,
  committer,
  message,
  encoding,
}: CommitFields): Buffer {
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

/** Adds a signature after the last header of a commit. It covers the commit without it. */
export function withSignature(commit: Buffer, signature: Buffer, objectFormat: ObjectFormatName): Buffer {
  const key = objectFormat === 'sha1' ? 'gpgsig' : 'gpgsig-sha256';
  const at = commit.indexOf('\n\n') + 1;
  const lines = signature.toString('latin1').replace(/\n$/, '').split('\n');
  const header = Buffer.from(`${key} ${lines.join('\n ')}\n`, 'latin1');
  return Buffer.concat([commit.subarray(0, at), header, commit.subarray(at)]);
}
