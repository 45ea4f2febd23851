import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { chunkBySize } from '#base/chunk-by-size';
import type { Commit } from '#git/objects/parse-commit';
import type { Signature } from '#git/objects/parse-ident';
import type { Trailer } from '#git/objects/parse-trailers';
import type { SignatureType as SignatureTypeName } from '#git/objects/signature-type';
import { type CommitAuthorSchema, GitCommitSchema, SignatureType } from '#wire/gen/shared_pb';

/** A longer message is cut; `body_size` tells its full length. */
const MAX_BODY_BYTES = 10 * 1024;

export const SIGNATURE_TYPES: Readonly<Record<SignatureTypeName, SignatureType>> = {
  none: SignatureType.NONE,
  pgp: SignatureType.PGP,
  x509: SignatureType.X509,
  ssh: SignatureType.SSH,
};

export type CommitMessage = MessageInitShape<typeof GitCommitSchema>;

/** What some calls tell of a commit besides its object. */
export interface CommitExtras {
  readonly trailers?: readonly Trailer[];
  readonly shortStats?: { readonly additions: number; readonly deletions: number; readonly changedFiles: number };
  /** Full names of the references that lead to the commit. */
  readonly referencedBy?: readonly Buffer[];
}

/** A commit as clients see it. Its texts are git's bytes; only the body may be cut. */
export function toCommitMessage(commit: Commit, extras: CommitExtras = {}): CommitMessage {
  const { body } = commit;
  return {
    id: commit.oid,
    subject: commit.subject,
    body: body.length > MAX_BODY_BYTES ? body.subarray(0, MAX_BODY_BYTES) : body,
    bodySize: BigInt(body.length),
    parentIds: [...commit.parentOids],
    treeId: commit.treeOid,
    signatureType: SIGNATURE_TYPES[commit.signatureType],
    encoding: commit.encoding.toString(),
    ...(commit.author && { author: toAuthorMessage(commit.author) }),
    ...(commit.committer && { committer: toAuthorMessage(commit.committer) }),
    ...(extras.trailers && { trailers: extras.trailers.map(({ key, value }) => ({ key, value })) }),
    ...(extras.shortStats && { shortStats: extras.shortStats }),
    ...(extras.referencedBy && { referencedBy: [...extras.referencedBy] }),
  };
}

/** Who and when. A line without a date has none; dates are whole seconds and may be beyond what calendars know. */
export function toAuthorMessage({ name, email, seconds, timezone }: Signature): MessageInitShape<typeof CommitAuthorSchema> {
  return { name, email, timezone, ...(seconds !== undefined && { date: { seconds } }) };
}

/** Collects commits into messages of less than 1 MiB, as {@link chunkBySize} does. */
export function chunkCommits(commits: AsyncIterable<CommitMessage>): AsyncGenerator<CommitMessage[]> {
  return chunkBySize(commits, { sizeOf: commitSize, upperBound: commitSizeBound });
}

/** Encoded size of a commit in bytes. */
export function commitSize(commit: CommitMessage): number {
  return toBinary(GitCommitSchema, create(GitCommitSchema, commit)).length;
}

/** A number that {@link commitSize} never exceeds, and that is cheap to tell. Every field counts with more than its tag and length need. */
export function commitSizeBound(commit: CommitMessage): number {
  let bytes = 256 + 3 * (commit.encoding?.length ?? 0) + (commit.subject?.length ?? 0) + (commit.body?.length ?? 0);
  bytes += 72 * (commit.parentIds?.length ?? 0);
  for (const person of [commit.author, commit.committer]) {
    bytes += 48 + (person?.name?.length ?? 0) + (person?.email?.length ?? 0) + (person?.timezone?.length ?? 0);
  }
  for (const { key, value } of commit.trailers ?? []) bytes += 24 + (key?.length ?? 0) + (value?.length ?? 0);
  for (const name of commit.referencedBy ?? []) bytes += 8 + name.length;
  return bytes;
}
