import { type Dirent, readdirSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { systemErrorCode } from '#base/system-error';
import type { ListedRef } from './listed-ref.ts';
import { readLooseRef } from './loose-ref.ts';
import { OddReferencesError } from './odd-references.ts';
import { validateReference } from './validate-reference.ts';

/** Files and directories that are looked at before git is asked instead: it is faster then. */
const MAX_ENTRIES = 5_000;
/** After so many the event loop gets a turn (some 5 ms). */
const ENTRIES_PER_TURN = 200;

const SLASH = Buffer.from('/');

export interface WalkOptions {
  /** Only names that begin with it; it begins with `refs/`. */
  readonly prefix: Buffer;
  /** Where a symbolic reference leads: an id, `undefined` when to nothing. */
  readonly resolve: (name: Buffer) => { readonly oid: string } | 'odd' | undefined;
}

/**
 * Reads the loose references that begin with a prefix, in the order of names. What git passes over is left out: names that it does
 * not allow, symbolic references that lead nowhere.
 *
 * @throws {OddReferencesError} at a file that git has to judge, and when there are very many.
 */
export async function walkLooseRefs(gitDirectory: string, { prefix, resolve }: WalkOptions): Promise<ListedRef[]> {
  const refs: ListedRef[] = [];
  const waiting = [prefix.subarray(0, prefix.lastIndexOf(SLASH) + 1)];
  let seen = 0;
  for (let directory = waiting.pop(); directory !== undefined; directory = waiting.pop()) {
    for (const entry of entriesOf(gitDirectory, directory)) {
      if (++seen > MAX_ENTRIES) throw new OddReferencesError('there are very many loose references');
      if (seen % ENTRIES_PER_TURN === 0) await setImmediate();
      const name = Buffer.concat([directory, entry.name]);
      if (entry.isDirectory()) {
        const below = Buffer.concat([name, SLASH]);
        const shared = Math.min(below.length, prefix.length);
        if (below.compare(prefix, 0, shared, 0, shared) === 0) waiting.push(below);
      } else if (beginsWith(name, prefix) && validateReference(name) === undefined) {
        const oid = readOid(gitDirectory, name, resolve);
        if (oid !== undefined) refs.push({ name, oid, peeledOid: undefined, isPeelKnown: false });
      }
    }
  }
  return refs.sort((a, b) => Buffer.compare(a.name, b.name));
}

function readOid(gitDirectory: string, name: Buffer, resolve: WalkOptions['resolve']): string | undefined {
  const raw = readLooseRef(gitDirectory, name);
  const end = raw !== 'odd' && raw?.symbolicTarget !== undefined ? resolve(name) : raw;
  if (end === 'odd') throw new OddReferencesError(`${name.toString()} is no plain reference`);
  return end?.oid;
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
