import type { Dirent } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { ignoreMissing } from '#base/files/ignore-missing';
import { alternateDirectory, readAlternates } from '#storage/alternates';
import { isInside } from '#storage/relative-path';
import type { Repository } from '#storage/repository';
import { realPath } from '#storage/symlink-guard';
import type { SnapshotEntry } from './snapshot-entry.ts';

const LOOSE_DIRECTORY = /^[0-9a-f]{2}$/;
const LOOSE_OBJECT = /^(?:[0-9a-f]{38}|[0-9a-f]{62})$/;
const PACK_FILE = /^pack-(?:[0-9a-f]{40}|[0-9a-f]{64})\.(?:pack|idx)$/;
/** git's own limit of alternates of alternates. */
const MAX_DEPTH = 5;

/**
 * Yields the files of a repository that make a copy of it, in Gitaly's order: references, then
 * objects, those of pools too. So an object of a reference is found even if both are new. Missing
 * files are left out, and so are symbolic links.
 *
 * @param onSkipped is called for alternates that are not followed.
 */
export async function* snapshotFiles(
  repository: Repository,
  onSkipped: (reason: string) => void,
): AsyncGenerator<SnapshotEntry> {
  const { path } = repository;
  const file = (name: string): SnapshotEntry => ({ name, path: `${path}/${name}`, type: 'file' });
  yield file('HEAD');
  yield file('packed-refs');
  yield { ...file('config'), filter: filterConfig };
  for (const name of ['refs', 'reftable', 'branches']) yield* tree(`${path}/${name}`, `${name}/`);
  yield* objectFiles(`${path}/objects`);
  yield file('shallow');
  yield* objectsOfAlternates(repository, path, 1, onSkipped);
}

async function* objectsOfAlternates(
  repository: Repository,
  path: string,
  depth: number,
  onSkipped: (reason: string) => void,
): AsyncGenerator<SnapshotEntry> {
  const alternates = await readAlternates(path).catch((error: unknown) => {
    onSkipped(`alternates cannot be read: ${error}`);
    return undefined;
  });
  for (const line of alternates?.objectDirectories ?? []) {
    const directory = alternateDirectory(path, line);
    const real = realPath(directory);
    const root = realPath(repository.storagePath) ?? repository.storagePath;
    if (real === undefined) continue;
    if (depth > MAX_DEPTH || !isInside(repository.storagePath, directory) || !isInside(root, real)) {
      onSkipped('an alternate is outside the storage, or one of too many');
      continue;
    }
    yield* objectFiles(directory);
    yield* objectsOfAlternates(repository, directory.replace(/\/objects$/, ''), depth + 1, onSkipped);
  }
}

async function* tree(path: string, name: string): AsyncGenerator<SnapshotEntry> {
  const entries = await entriesOf(path);
  if (entries === undefined) return;
  yield { name, path, type: 'directory' };
  for (const entry of entries) {
    const inner = `${path}/${entry.name}`;
    if (entry.isDirectory()) yield* tree(inner, `${name}${entry.name}/`);
    else if (entry.isFile()) yield { name: `${name}${entry.name}`, path: inner, type: 'file' };
  }
}

async function* objectFiles(directory: string): AsyncGenerator<SnapshotEntry> {
  for (const { name: prefix } of (await entriesOf(directory)) ?? []) {
    if (!LOOSE_DIRECTORY.test(prefix)) continue;
    yield* filesIn(directory, prefix, (name) => LOOSE_OBJECT.test(name));
  }
  // A repack may replace packs and loose objects in the meantime.
  const sent = new Set<string>();
  const isNew = (name: string): boolean => PACK_FILE.test(name) && !sent.has(name);
  for (let before = -1; sent.size > before; ) {
    before = sent.size;
    for await (const entry of filesIn(directory, 'pack', isNew)) {
      sent.add(entry.name.slice('objects/pack/'.length));
      yield entry;
    }
  }
}

async function* filesIn(
  directory: string,
  inner: string,
  isWanted: (name: string) => boolean,
): AsyncGenerator<SnapshotEntry> {
  for (const entry of (await entriesOf(`${directory}/${inner}`)) ?? []) {
    if (!entry.isFile() || !isWanted(entry.name)) continue;
    yield {
      name: `objects/${inner}/${entry.name}`,
      path: `${directory}/${inner}/${entry.name}`,
      type: 'file',
    };
  }
}

/** Returns the entries in the order of their names; `undefined` for a missing directory. */
async function entriesOf(path: string): Promise<Dirent[] | undefined> {
  const entries = await readdir(path, { withFileTypes: true }).catch(ignoreMissing);
  return entries?.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/**
 * Returns what a copy needs of a `config` file: the version of the repository's format and its
 * extensions. All else, such as the URLs of remotes, may be secret. The rules, also that the rest
 * after the last line feed counts as a line, are Gitaly's.
 */
function filterConfig(content: Buffer): Buffer {
  let section = '';
  const kept = content
    .toString('latin1')
    .split('\n')
    .filter((line) => {
      const text = line.trim();
      if (text.startsWith('[')) section = text.toLowerCase();
      if (section === '[extensions]') return true;
      if (section !== '[core]') return false;
      return text.startsWith('[') || /^repositoryformatversion\b/i.test(text);
    });
  return Buffer.from(kept.map((line) => `${line}\n`).join(''), 'latin1');
}
