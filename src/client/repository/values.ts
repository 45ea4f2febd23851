import { dateOfSeconds } from '#base/date-of-seconds';
import {
  type CommitAuthor,
  type GitCommit,
  SignatureType,
  type Tag as TagMessage,
} from '#wire/gen/shared_pb';
import type { LocalBranch } from '../content/collect/local-branches.ts';

/** Text, or bytes: in git, names and contents need not be UTF-8. */
export type TextOrBytes = string | Uint8Array;

/** A person and an instant. */
export interface Signature {
  readonly name: string;
  readonly email: string;
  readonly date: Date;
  /** `+0200` and similar. */
  readonly timezone: string;
}

export interface Commit {
  readonly id: string;
  readonly parents: readonly string[];
  readonly tree: string;
  /** First line of the message. */
  readonly subject: string;
  /** The whole message; servers cut it at 10 KiB. */
  readonly message: string;
  readonly isMessageCut: boolean;
  readonly messageBytes: Buffer;
  readonly author: Signature;
  readonly committer: Signature;
  /** Kind of its cryptographic signature, which is not verified; `undefined` without one. */
  readonly signatureType: 'PGP' | 'SSH' | 'X509' | undefined;
}

export interface Branch {
  /** Without `refs/heads/`. */
  readonly name: string;
  readonly nameBytes: Buffer;
  readonly commit: Commit;
}

export interface Tag {
  /** Without `refs/tags/`. */
  readonly name: string;
  readonly nameBytes: Buffer;
  /** Id of the tag object of an annotated tag; for any other tag, the id of its target. */
  readonly id: string;
  /** `undefined` if the tag does not point to a commit. */
  readonly commit: Commit | undefined;
  /** Empty for a tag without annotation. */
  readonly message: string;
  readonly tagger: Signature | undefined;
}

const SIGNATURES: Readonly<Record<SignatureType, Commit['signatureType']>> = {
  [SignatureType.NONE]: undefined,
  [SignatureType.PGP]: 'PGP',
  [SignatureType.SSH]: 'SSH',
  [SignatureType.X509]: 'X509',
};
const HEADS = Buffer.from('refs/heads/');

/** Returns text as bytes in UTF-8, and bytes as they are. */
export function toBytes(value: TextOrBytes): Uint8Array {
  return typeof value === 'string' ? Buffer.from(value) : value;
}

/** Returns bytes as text. Bytes that are not UTF-8 become U+FFFD. */
export function decodeText(bytes: Uint8Array): string {
  return bufferOf(bytes).toString();
}

/** Returns bytes as a Buffer on the same memory. */
export function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export function commitOf(message: GitCommit): Commit {
  const { id, parentIds, treeId, subject, body, bodySize, author, committer, signatureType } = message;
  return {
    id,
    parents: parentIds,
    tree: treeId,
    subject: decodeText(subject),
    message: decodeText(body),
    isMessageCut: bodySize > body.length,
    messageBytes: bufferOf(body),
    author: signatureOf(author),
    committer: signatureOf(committer),
    signatureType: SIGNATURES[signatureType],
  };
}

export function branchOf({ name, targetCommit }: Pick<LocalBranch, 'name' | 'targetCommit'>): Branch {
  const full = bufferOf(name);
  const nameBytes = full.subarray(0, HEADS.length).equals(HEADS) ? full.subarray(HEADS.length) : full;
  if (targetCommit === undefined) throw new TypeError(`branch ${nameBytes} without a commit`);
  return { name: nameBytes.toString(), nameBytes, commit: commitOf(targetCommit) };
}

export function tagOf({ name, id, targetCommit, message, tagger }: TagMessage): Tag {
  return {
    name: decodeText(name),
    nameBytes: bufferOf(name),
    id,
    commit: targetCommit && commitOf(targetCommit),
    message: decodeText(message),
    tagger: tagger && signatureOf(tagger),
  };
}

function signatureOf(author: CommitAuthor | undefined): Signature {
  return {
    name: decodeText(author?.name ?? new Uint8Array()),
    email: decodeText(author?.email ?? new Uint8Array()),
    date: dateOfSeconds(author?.date?.seconds ?? 0n),
    timezone: decodeText(author?.timezone ?? new Uint8Array()),
  };
}

/** Returns a time to the second, as Gitaly's clients send it; now by default. */
export function timestamp(date: Date = new Date()): { readonly seconds: bigint } {
  return { seconds: BigInt(Math.floor(date.getTime() / 1000)) };
}
