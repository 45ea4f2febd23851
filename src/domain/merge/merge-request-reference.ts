import { GitalyError, invalidArgument } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import { ZERO_OID } from '#git/names/object-id';
import { Quarantine } from '#storage/quarantine/quarantine';
import type { Repository } from '#storage/repository';
import { updateReference } from '../ref-update/update-reference.ts';
import { expectedOid } from '../revisions/expected-oid.ts';
import type { TransactionHooks } from '../transactions/transaction-hooks.ts';
import { MergeWorkspace } from './merge-workspace.ts';

const NAMESPACE = 'refs/merge-requests';

/** Reports whether merges may be stored in a reference of this name. */
export function isMergeRequestReference(name: Uint8Array): boolean {
  return Buffer.from(name).toString('latin1').startsWith(NAMESPACE);
}

/**
 * Returns the value that a reference must still have when it is written: the one that the client
 * expects, else its current one; zeros if it does not exist.
 *
 * @throws {GitalyError} FAILED_PRECONDITION for a symbolic reference; INVALID_ARGUMENT if the name
 *   is a pattern or a directory of other references, and for the expected value.
 */
export async function requireOldTarget(
  repository: Repository,
  name: Buffer,
  { expected, signal }: { readonly expected: string; readonly signal: AbortSignal },
): Promise<string> {
  const given = await expectedOid(repository, expected, { signal, allowZero: true });
  if (given !== undefined) return given;
  const raw = await repository.refs.read(name, { signal });
  if (raw?.oid !== undefined) return raw.oid;
  if (raw !== undefined)
    throw new GitalyError('FAILED_PRECONDITION', `target reference is symbolic: ${quote(name)}`);
  // git reads the name as a pattern: matches and references below it are both conflicts.
  for await (const [other] of repository.refs.list({ patterns: [name], limit: 1 }, { signal })) {
    if (other === undefined) break;
    const conflict = `reference is ambiguous: conflicts with ${quote(other.name)}`;
    throw invalidArgument(`target reference is ambiguous: ${conflict}`);
  }
  return ZERO_OID[repository.objectFormat];
}

export interface StoreOptions {
  /** Hooks for the vote of the cluster; `undefined` without a cluster. */
  readonly hooks: TransactionHooks | undefined;
  readonly signal: AbortSignal;
}

export interface MergeTarget {
  readonly name: Buffer;
  readonly oldOid: string;
  /** Error text for a reference that cannot be written. */
  readonly refused: string;
}

/**
 * Merges in a quarantine and stores the result in a reference. Only the cluster votes: GitLab and
 * custom hooks are not called.
 *
 * @returns the id that `make` returns.
 * @throws {GitalyError} FAILED_PRECONDITION with the target's text; whatever `make` throws.
 */
export async function storeMerge(
  repository: Repository,
  { name, oldOid, refused }: MergeTarget,
  options: StoreOptions,
  make: (workspace: MergeWorkspace) => Promise<string>,
): Promise<string> {
  const { signal } = options;
  await using quarantine = await Quarantine.create(repository);
  const newOid = await makeIn(quarantine, repository, { signal, make });
  await quarantine.migrate();
  await updateReference(repository, name, { newOid, oldOid }, options).catch((error: unknown) => {
    throw new GitalyError('FAILED_PRECONDITION', refused, { cause: error });
  });
  return newOid;
}

/** Merges in a quarantine. The directories of the workspace are gone then: they would migrate, too. */
async function makeIn(
  { repository: target }: Quarantine,
  repository: Repository,
  {
    make,
    signal,
  }: { readonly make: (workspace: MergeWorkspace) => Promise<string>; readonly signal: AbortSignal },
): Promise<string> {
  await using workspace = new MergeWorkspace({ repository, target, signal });
  const newOid = await make(workspace);
  await workspace.finish();
  return newOid;
}
