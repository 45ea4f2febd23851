import type { MessageInitShape } from '@bufbuild/protobuf';
import type { Commit } from '#git/objects/parse/parse-commit';
import type { Signature } from '#git/objects/parse/parse-ident';
import type { Trailer } from '#git/objects/parse/parse-trailers';
import type { SignatureType as SignatureTypeName } from '#git/objects/parse/signature-type';
import { type CommitAuthorSchema, type GitCommitSchema, SignatureType } from '#wire/gen/shared_pb';

/** Longest body in bytes; a longer one is truncated, and `body_size` gives its full length. */
const MAX_BODY_BYTES = 10 * 1024;

export const SIGNATURE_TYPES: Readonly<Record<SignatureTypeName, SignatureType>> = {
  none: SignatureType.NONE,
  pgp: SignatureType.PGP,
  x509: SignatureType.X509,
  ssh: SignatureType.SSH,
};

export type CommitMessage = MessageInitShape<typeof GitCommitSchema>;

/** Facts about a commit, in addition to its object, that some calls return. */
export interface CommitExtras {
  readonly trailers?: readonly Trailer[];
  readonly shortStats?: {
    readonly additions: number;
    readonly deletions: number;
    readonly changedFiles: number;
  };
  /** Full names of the references to the commit. */
  readonly referencedBy?: readonly Buffer[];
}

/** Converts a commit to its message. Its texts are git's bytes; only the body may be truncated. */
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

/**
 * Converts an author or committer. A line without a date gives none; dates are whole seconds and
 * may be outside of calendars.
 */
export function toAuthorMessage({
  name,
  email,
  seconds,
  timezone,
}: Signature): MessageInitShape<typeof CommitAuthorSchema> {
  return { name, email, timezone, ...(seconds !== undefined && { date: { seconds } }) };
}
