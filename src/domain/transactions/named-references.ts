import { isZeroOid } from '#git/names/object-id';
import type { ReferenceBackend } from '#git/repository-files/repository-format';

/**
 * Full names of the references that a change is about to lock; `undefined` if it may lock more than
 * it names. A cluster then has it wait for all other changes of the repository.
 */
export type NamedReferences = readonly Uint8Array[] | undefined;

/** Waits until references may be locked. */
export type EnterOrder = (references: NamedReferences) => Promise<void>;

/** A change with more names locks all references. */
const MAX_NAMES = 8;
const MAX_NAME_BYTES = 1024;

const PREFIX = Buffer.from('refs/');

export interface NamedChange {
  readonly name: Uint8Array;
  /** Zeros for a deletion. */
  readonly newOid: string;
}

/**
 * Returns the names of references that are locked one by one. These are files, each with its own
 * lock: other storages have one lock for all, and a deletion locks the file of packed references.
 */
export function namedReferences(
  { referenceBackend }: { readonly referenceBackend: ReferenceBackend },
  changes: readonly NamedChange[],
): NamedReferences {
  if (referenceBackend !== 'files' || changes.length === 0 || changes.length > MAX_NAMES) return undefined;
  const isLockedAlone = ({ name, newOid }: NamedChange): boolean =>
    !isZeroOid(newOid) && name.length <= MAX_NAME_BYTES && PREFIX.equals(name.subarray(0, PREFIX.length));
  return changes.every(isLockedAlone) ? changes.map(({ name }) => name) : undefined;
}

const LINE_FEED = 0x0a;

/** Returns the changes of lines `<old> <new> <reference>\n`, as many as have names in a vote. */
export function changesOf(lines: Buffer): NamedChange[] {
  const changes: NamedChange[] = [];
  for (let start = 0; start < lines.length && changes.length <= MAX_NAMES; ) {
    const end = lines.indexOf(LINE_FEED, start);
    const line = lines.subarray(start, end < 0 ? lines.length : end);
    const first = line.indexOf(' ');
    const second = line.indexOf(' ', first + 1);
    changes.push({ name: line.subarray(second + 1), newOid: line.toString('latin1', first + 1, second) });
    start += line.length + 1;
  }
  return changes;
}
