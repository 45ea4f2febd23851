import { GitExitError } from '#git/command/process/exit-error';
import { isZeroOid } from '#git/names/object-id';
import { MAX_SYMBOLIC_DEPTH } from '#git/refs/storage/follow-ref';
import type { GitRepository } from '#git/repository';
import { type PushChange, type PushChanges, RuleRefusal } from './push-changes.ts';

/** The reference that git changes for a pushed name. */
export interface MovedReference {
  readonly reference: string;
  /** For messages: also the pushed name, if that is a symbolic reference. */
  readonly shown: string;
}

/**
 * Returns the references whose rules apply to a change: the one that git changes, and of a deletion
 * also the one that it names. A call deletes a symbolic reference itself, and a push deletes what
 * is behind it, so that it leads to nothing.
 *
 * @throws {RuleRefusal} as `movedReference`.
 */
export async function ruledReferences(
  push: PushChanges,
  change: PushChange,
): Promise<readonly MovedReference[]> {
  const moved = await movedReference(push, change);
  const own = change.reference.toString();
  if (!isZeroOid(change.newOid) || moved.reference === own) return [moved];
  return [moved, { reference: own, shown: own }];
}

/**
 * Returns the reference that git changes: the end of symbolic references, even if that does not
 * exist.
 *
 * @throws {RuleRefusal} for more symbolic references than git follows.
 */
export async function movedReference(
  { repository, signal }: PushChanges,
  { reference: pushed }: PushChange,
): Promise<MovedReference> {
  const moved = (await endOf(repository, pushed, signal)).toString();
  const name = pushed.toString();
  return { reference: moved, shown: moved === name ? moved : `${moved} (through ${name})` };
}

async function endOf(repository: GitRepository, pushed: Buffer, signal: AbortSignal): Promise<Buffer> {
  let at = pushed;
  for (let depth = 0; depth < MAX_SYMBOLIC_DEPTH; depth++) {
    const target = (await readReference(repository, at, signal))?.symbolicTarget;
    if (target === undefined) return at;
    at = target;
  }
  throw refusal(pushed.toString(), 'it is a symbolic reference to too many others');
}

async function readReference(repository: GitRepository, name: Buffer, signal: AbortSignal) {
  try {
    return await repository.refs.read(name, { signal });
  } catch (error) {
    if (!(error instanceof GitExitError)) throw error;
    throw refusal(name.toString(), 'git cannot read it (its name may be too long): push to another name');
  }
}

/** Returns the refusal of the change of a reference. */
export function refusal(shown: string, reason: string): RuleRefusal {
  return new RuleRefusal(`${shown}: ${reason}`);
}
