import { lstat, readdir } from 'node:fs/promises';
import { ignoreMissing } from '#base/files/ignore-missing';
import { QUARANTINE } from '../quarantine/stale-quarantines.ts';

/** Start of this process, in milliseconds since 1970. */
export const OWN_START_MS = Date.now() - process.uptime() * 1000;

/** Files and directories that git and we make under another name first, by their directory. */
const PLACES: readonly { readonly directory: string; readonly name: RegExp }[] = [
  { directory: '', name: /\.lock$|^packed-refs\.new$/ },
  { directory: 'gitlab-worktree', name: /^am-/ },
  { directory: 'info', name: /\.lock$/ },
  { directory: 'objects', name: QUARANTINE },
  { directory: 'objects', name: /^(?:tmp_obj_|merge-)/ },
  { directory: 'objects/info', name: /\.lock$/ },
  { directory: 'objects/info/commit-graphs', name: /\.lock$|^tmp_/ },
  { directory: 'objects/pack', name: /^(?:tmp_|\.tmp-)|\.lock$/ },
  { directory: 'reftable', name: /\.lock$|^\.tmp/ },
  { directory: 'worktrees', name: /^am-/ },
];
const FAN_OUT = /^[0-9a-f]{2}$/;

/**
 * Lists what interrupted changes may have left in a repository, absolute: locks, temporary files
 * and quarantines that were made before `bornBeforeMs`. Whether somebody else uses them the caller
 * has to know.
 */
export async function* repositoryLeftovers(
  repositoryPath: string,
  bornBeforeMs: number,
): AsyncGenerator<string> {
  for (const { directory, name } of PLACES)
    yield* oldIn(`${repositoryPath}/${directory}`, name, bornBeforeMs);
  for (const entry of await namesIn(`${repositoryPath}/objects`))
    if (FAN_OUT.test(entry)) yield* oldIn(`${repositoryPath}/objects/${entry}`, /^tmp_obj_/, bornBeforeMs);
  const references = await readdir(`${repositoryPath}/refs`, { recursive: true, encoding: 'utf8' }).catch(
    ignoreMissing,
  );
  for (const reference of references ?? []) {
    const path = `${repositoryPath}/refs/${reference}`;
    if (reference.endsWith('.lock') && (await isOld(path, bornBeforeMs))) yield path;
  }
}

async function* oldIn(directory: string, name: RegExp, bornBeforeMs: number): AsyncGenerator<string> {
  for (const entry of await namesIn(directory)) {
    const path = `${directory.replace(/\/$/, '')}/${entry}`;
    if (name.test(entry) && (await isOld(path, bornBeforeMs))) yield path;
  }
}

/** A file system that does not know when a file was made says when it was changed instead. */
async function isOld(path: string, bornBeforeMs: number): Promise<boolean> {
  const stats = await lstat(path).catch(ignoreMissing);
  return stats !== undefined && (stats.birthtimeMs || stats.ctimeMs) < bornBeforeMs;
}

async function namesIn(directory: string): Promise<readonly string[]> {
  return (await readdir(directory).catch(ignoreMissing)) ?? [];
}
