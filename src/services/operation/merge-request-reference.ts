import { GitalyError } from '#base/gitaly-error';
import { quote } from '#base/quote';
import { updateReference } from '#domain/ref-update/update-reference';
import { ZERO_OID } from '#git/objects/object-id';
import type { HandlerContext } from '#rpc/server/handler';
import type { Repository } from '#storage/repository';
import type { OperationRooms } from './index.ts';
import { expectedOid } from './request-parts.ts';

const NAMESPACE = 'refs/merge-requests';

/** Whether a name begins as the references do that merges may be stored in. */
export function isMergeRequestReference(name: Uint8Array): boolean {
  return Buffer.from(name).toString('latin1').startsWith(NAMESPACE);
}

/**
 * What a reference must have when it is written: what the client says, else what it has now; zeros for nothing.
 *
 * @throws {GitalyError} FAILED_PRECONDITION for a symbolic reference; INVALID_ARGUMENT where it stands for others, or others are below it, and for what the client says.
 */
export async function oldTarget(repository: Repository, name: Buffer, expected: string, signal: AbortSignal): Promise<string> {
  const given = await expectedOid(repository, expected, { signal, allowZero: true });
  if (given !== undefined) return given;
  const raw = await repository.refs.read(name, { signal });
  if (raw?.oid !== undefined) return raw.oid;
  if (raw !== undefined) throw new GitalyError('FAILED_PRECONDITION', `target reference is symbolic: ${quote(name)}`);
  // The name goes to git as a pattern: one that stands for others is as much of a conflict as one with others below it.
  for await (const [other] of repository.refs.list({ patterns: [name], limit: 1 }, { signal })) {
    if (other === undefined) break;
    const conflict = `reference is ambiguous: conflicts with ${quote(other.name)}`;
    throw new GitalyError('INVALID_ARGUMENT', `target reference is ambiguous: ${conflict}`);
  }
  return ZERO_OID[repository.git.objectFormat(repository)];
}

/** Stores a merge, without hooks of users; the cluster votes. @throws {GitalyError} FAILED_PRECONDITION `<could> update <name>. …` */
export async function writeMergeRequestReference(
  rooms: OperationRooms,
  context: HandlerContext,
  update: { readonly repository: Repository; readonly name: Buffer; readonly oldOid: string; readonly newOid: string },
  could: string,
): Promise<void> {
  const { repository, name, oldOid, newOid } = update;
  const options = { hooks: rooms.transactionHooks(context, repository), signal: context.signal };
  await updateReference(repository, name, { newOid, oldOid }, options).catch((error: unknown) => {
    throw new GitalyError('FAILED_PRECONDITION', `${could} update ${name}. Please refresh and try again`, { cause: error });
  });
}
