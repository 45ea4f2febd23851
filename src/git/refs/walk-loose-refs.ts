import { type Dirent, readdirSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { systemErrorCode } from '#base/system-error';
import { readLooseRef } from './loose-ref.ts';
import { OddReferencesError } from './odd-references.ts';
import type { ResolvedRef } from './resolved-refs.ts';
import { validateReference } from './validate-reference.ts';

/** After so many the event loop gets a turn (some 5 ms). */
const ENTRIES_PER_TURN = 200;

const SLASH = Buffer.from('/');
const ANY_LETTER = Buffer.from('x');
const LOCK = Buffer.from('.lock');
const DOT = 0x2e;

/** A loose reference, symbolic ones followed. */
export interface LooseRef {
  readonly name: Buffer;
  /** `undefined` for a symbolic reference that leads nowhere: no reference, but it hides the packed one of its name. */
  readonly oid: string | undefined;
  /** Of a symbolic reference: the name at the end of the chain. */
  readonly symbolicTarget: Buffer | undefined;
}

export interface WalkOptions {
  /** Only names that begin with it; it begins with `refs/`. */
  readonly prefix: Buffer;
  /** Where a symbolic reference leads: an id, `undefined` when to nothing. */
  readonly resolve: (name: Buffer) => ResolvedRef | 'odd' | undefined;
  /** Whether files whose names git does not allow are passed over, as `for-each-ref` does; else they are odd. */
  readonly skipsBadNames: boolean;
  /** Files and directories that are looked at before git is asked instead: it is faster then. */
  readonly maxEntries: number;
}

/**
 * Reads the loose references that begin with a prefix, in the order of names. Hidden files and locks are no
 * references.
 *
 * @throws {OddReferencesError} at a file that git has to judge, and when there are very many.
 */
export async function walkLooseRefs(gitDirectory: string, options: WalkOptions): Promise<LooseRef[]> {
  const { prefix, resolve } = options;
  const refs: LooseRef[] = [];
  // Such a prefix may even lead out of the repository.
  if (isBadName(Buffer.concat([prefix, ANY_LETTER]), options)) return refs;
  const waiting = [prefix.subarray(0, prefix.lastIndexOf(SLASH) + 1)];
  let seen = 0;
  for (let directory = waiting.pop(); directory !== undefined; directory = waiting.pop()) {
    for (const entry of entriesOf(gitDirectory, directory)) {
      if (++seen > options.maxEntries) throw new OddReferencesError('there are very many loose references');
      if (seen % ENTRIES_PER_TURN === 0) await setImmediate();
      const name = Buffer.concat([directory, entry.name]);
      if (isIgnored(entry.name)) continue;
      if (entry.isDirectory()) {
        const below = Buffer.concat([name, SLASH]);
        const shared = Math.min(below.length, prefix.length);
        if (below.compare(prefix, 0, shared, 0, shared) === 0) waiting.push(below);
      } else if (beginsWith(name, prefix) && !isBadName(name, options)) {
        const ref = readRef(gitDirectory, name, resolve);
        if (ref !== undefined) refs.push(ref);
      }
    }
  }
  return refs.sort((a, b) => Buffer.compare(a.name, b.name));
}

function isBadName(name: Buffer, { skipsBadNames }: WalkOptions): boolean {
  const isBad = validateReference(name) !== undefined;
  if (isBad && !skipsBadNames) throw new OddReferencesError('a name that git does not allow');
  return isBad;
}

/** Git does not look at them, whatever they are. */
function isIgnored(entry: Buffer): boolean {
  return entry[0] === DOT || entry.subarray(-LOCK.length).equals(LOCK);
}

function readRef(gitDirectory: string, name: Buffer, resolve: WalkOptions['resolve']): LooseRef | undefined {
  const raw = readLooseRef(gitDirectory, name);
  if (raw === undefined) return undefined;
  if (raw !== 'odd' && raw.oid !== undefined) return { name, oid: raw.oid, symbolicTarget: undefined };
  const end = raw === 'odd' ? raw : resolve(name);
  if (end === 'odd') throw new OddReferencesError(`${name.toString()} is no plain reference`);
  return { name, oid: end?.oid, symbolicTarget: end?.name };
}

function entriesOf(gitDirectory: string, directory: Buffer): Dirent<Buffer>[] {
  try {
    return readdirSync(Buffer.concat([Buffer.from(`${gitDirectory}/`), directory]), { withFileTypes: true, encoding: 'buffer' });
  } catch (error) {
    // Git removes directories that become empty.
    if (systemErrorCode(error) === 'ENOENT' || systemErrorCode(error) === 'ENOTDIR') return [];
    throw new OddReferencesError('a directory of references cannot be read', { cause: error });
  }
}

function beginsWith(bytes: Buffer, beginning: Buffer): boolean {
  return bytes.length >= beginning.length && beginning.compare(bytes, 0, beginning.length) === 0;
}
