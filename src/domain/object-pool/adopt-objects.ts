import { randomUUID } from 'node:crypto';
import { copyFile, link, lstat, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { posix } from 'node:path';
import { ignoreMissing } from '#base/files/ignore-missing';
import { syncPath } from '#base/files/sync-path';
import { systemErrorCode } from '#base/go/system-error';
import { DIRECTORY_MODE } from '#storage/storage-layout';

/**
 * Limit of repetitions when files disappear, which happens only while the pool is repacked: each
 * repack moves all its objects to files with other names.
 */
const MAX_PASSES = 10;

/** Order of the files of a pack: an index that a reader finds has its pack. */
const SUFFIXES = ['.pack', '.rev', '.idx'];

/**
 * Adds all files of one object directory to another, as hard links or, from another file system, as
 * copies. Existing files are kept: their names are hashes of their content. Indexes over several
 * packs, and everything in `info/`, belong to one directory and are left out.
 */
export async function adoptObjects(from: string, to: string, signal: AbortSignal): Promise<void> {
  for (let pass = 1; ; pass++) {
    const isComplete = await adoptOnce(from, to, signal);
    if (isComplete) return;
    if (pass === MAX_PASSES) throw new Error('the objects of the pool keep changing');
  }
}

/** @returns false if a file disappeared meanwhile, so that its objects are in another one now. */
async function adoptOnce(from: string, to: string, signal: AbortSignal): Promise<boolean> {
  let isComplete = true;
  const made = new Set<string>();
  const changed = new Set<string>();
  const existing = new Set(await filesBelow(to));
  for (const name of (await filesBelow(from)).sort(byOrderOfUse)) {
    signal.throwIfAborted();
    if (existing.has(name)) continue;
    const directory = posix.dirname(`${to}/${name}`);
    if (!made.has(directory)) await mkdir(directory, { recursive: true, mode: DIRECTORY_MODE });
    made.add(directory);
    const outcome = await adoptFile(`${from}/${name}`, `${to}/${name}`);
    if (outcome === 'gone') isComplete = false;
    if (outcome === 'added') changed.add(directory);
  }
  for (const directory of changed) await syncPath(directory);
  return isComplete;
}

async function adoptFile(source: string, target: string): Promise<'added' | 'there' | 'gone'> {
  try {
    await link(source, target);
    return 'added';
  } catch (error) {
    const code = systemErrorCode(error);
    if (code === 'EEXIST') return 'there';
    if (code === 'ENOENT') return 'gone';
    if (code !== 'EXDEV' && code !== 'EMLINK' && code !== 'EPERM') throw error;
  }
  return await adoptCopy(source, target);
}

/** A copy gets its name when it is complete. Others may make the same copy at the same time. */
async function adoptCopy(source: string, target: string): Promise<'added' | 'there' | 'gone'> {
  if ((await lstat(target).catch(ignoreMissing)) !== undefined) return 'there';
  const draft = `${posix.dirname(target)}/tmp_obj_${randomUUID()}`;
  try {
    await copyFile(source, draft);
    await syncPath(draft);
    await rename(draft, target);
    return 'added';
  } catch (error) {
    await rm(draft, { force: true });
    if (systemErrorCode(error) === 'ENOENT') return 'gone';
    throw error;
  }
}

const LOOSE_DIRECTORY = /^[0-9a-f]{2}$/;

/**
 * Lists objects and packs, relative to the directory; temporary files of git are none. Packs come
 * last: loose objects that are packed meanwhile are found there.
 */
async function filesBelow(directory: string): Promise<string[]> {
  const loose = (await readdir(directory)).filter((name) => LOOSE_DIRECTORY.test(name));
  const files: string[] = [];
  for (const shard of [...loose, 'pack']) {
    const names = (await readdir(`${directory}/${shard}`).catch(ignoreMissing)) ?? [];
    for (const name of names) if (isObjectFile(shard, name)) files.push(`${shard}/${name}`);
  }
  return files;
}

/** A `.keep` file belongs to the process that made it, which removes only its own. */
function isObjectFile(directory: string, name: string): boolean {
  return directory === 'pack' ? /^pack-.*(?<!\.keep|\.lock)$/.test(name) : !name.startsWith('tmp_');
}

function orderOf(name: string): number {
  if (!name.startsWith('pack/')) return 0;
  const at = SUFFIXES.findIndex((suffix) => name.endsWith(suffix));
  // Bitmaps and modification times come before the index that makes git search for them.
  return at === -1 ? 1 : at + 2;
}

function byOrderOfUse(a: string, b: string): number {
  return orderOf(a) - orderOf(b) || (a < b ? -1 : 1);
}
