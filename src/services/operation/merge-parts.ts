import { create } from '@bufbuild/protobuf';
import type { Timestamp } from '@bufbuild/protobuf/wkt';
import { GitalyError } from '#base/gitaly-error';
import { signatureOf } from '#domain/identity/signature';
import type { MergeConflictError } from '#domain/merge/merge-conflict-error';
import type { Ident } from '#git/objects/format-ident';
import { OID_DIGITS } from '#git/objects/object-id';
import type { Repository } from '#storage/repository';
import { type MergeConflictError as MergeConflictDetail, MergeConflictErrorSchema } from '#wire/gen/errors_pb';
import type { User } from '#wire/gen/shared_pb';

/** How a user signs at the time of a request, or now. @throws {GitalyError} INVALID_ARGUMENT `unknown time zone X`. */
export function signatureOfUser({ name, email, timezone }: User, timestamp: Timestamp | undefined): Ident {
  return signatureOf({ name, email, timezone }, timestamp?.seconds);
}

/** What clients are told of files that cannot be merged. */
export function mergeConflictDetail({ paths }: MergeConflictError, commitOids: readonly string[] = []): MergeConflictDetail {
  return create(MergeConflictErrorSchema, { conflictingFiles: [...paths], conflictingCommitIds: [...commitOids] });
}

/**
 * What a revision names, as `git rev-parse --verify` has it: a full id stands for itself, whether there is such an object or not.
 *
 * @returns `undefined` when it names nothing.
 */
export async function resolveRevision(
  repository: Repository,
  revision: Uint8Array,
  signal: AbortSignal,
): Promise<string | undefined> {
  const text = Buffer.from(revision).toString('latin1');
  const digits = OID_DIGITS[repository.git.objectFormat(repository)];
  if (text.length === digits && /^[0-9a-fA-F]+$/.test(text)) return text.toLowerCase();
  if (text.startsWith('-') || text.includes('\0')) return undefined;
  return (await repository.objects.info(revision, { signal }))?.oid;
}

/** The next message of a stream on which one has to come. @throws {GitalyError} INTERNAL `EOF` when the client has closed its half. */
export async function nextRequest<T>(requests: AsyncIterator<T>): Promise<T> {
  const result = await requests.next();
  if (result.done === true) throw new GitalyError('INTERNAL', 'EOF');
  return result.value;
}
