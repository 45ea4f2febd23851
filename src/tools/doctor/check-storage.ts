import { constants } from 'node:fs';
import { access, mkdtemp, readdir, rm, stat, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { systemErrorMessage, systemErrorText } from '#base/go/system-error';
import { listLeftovers } from '#storage/leftovers/remove-leftovers';
import type { Storage } from '#storage/repository-target';
import { tempRoot } from '#storage/storage-layout';
import { tempEntriesOfTheDead } from '#storage/temp-directories';
import { type Finding, failure, NOT_ALLOWED, ok, warning } from './finding.ts';

const MIN_FREE = { bytes: 1 << 30, share: 0.05 };
/** Limit of the difference: files of a network file system get their times from another clock. */
const MAX_CLOCK_DIFFERENCE_MS = 5000;
/** Age of leftovers: a call may take hours, but not days. */
const LEFTOVER_MS = 24 * 60 * 60 * 1000;

/**
 * Checks that a storage exists, is writable, has space and keeps its temporary files on the same
 * disk, and finds leftovers of crashes.
 */
export async function* checkStorage(storage: Storage): AsyncGenerator<Finding, void, undefined> {
  const subject = `storage ${storage.name}`;
  try {
    if (!(await stat(storage.path)).isDirectory()) throw new Error('is not a directory');
    await access(storage.path, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    yield failure(
      subject,
      `${storage.path}: ${systemErrorText(error)}`,
      'Create the directory, mount its disk, or make the user of the server its owner.',
    );
    return;
  }
  yield await tryWriting(subject, storage.path);
  yield await checkSpace(subject, storage.path);
  yield* await checkTemporaryRoot(subject, storage);
  yield* await checkLeftovers(subject, storage);
}

/** Paths that are named in one finding. */
const MAX_PATHS = 20;

async function checkLeftovers(subject: string, storage: Storage): Promise<Finding[]> {
  const paths: string[] = [];
  try {
    paths.push(...(await tempEntriesOfTheDead(storage)));
    for await (const path of listLeftovers(storage)) {
      if (paths.push(path) > MAX_PATHS) break;
    }
  } catch (error) {
    const reason = systemErrorMessage(error);
    if (reason === undefined) throw error;
    return [failure(subject, `leftovers cannot be listed: ${reason}`, NOT_ALLOWED)];
  }
  if (paths.length === 0) return [];
  const [some, more] = [paths.slice(0, MAX_PATHS), paths.length > MAX_PATHS ? ' and more' : ''];
  return [
    warning(
      subject,
      `left by processes that no longer run: ${some.join(', ')}${more}`,
      'The next start of the server removes them.',
    ),
  ];
}

async function tryWriting(subject: string, path: string): Promise<Finding> {
  let directory: string | undefined;
  try {
    directory = await mkdtemp(join(path, '+gitaly-doctor-'));
    const file = join(directory, 'file');
    await writeFile(file, 'text', { flush: true });
    const difference = Math.abs(Date.now() - (await stat(file)).mtimeMs);
    if (difference <= MAX_CLOCK_DIFFERENCE_MS) return ok(subject, `${path} can be written to`);
    return warning(
      subject,
      `the clock of its disk differs by ${Math.round(difference / 1000)} s`,
      'Synchronize the clocks of this machine and the file server.',
    );
  } catch (error) {
    return failure(
      subject,
      `${path} cannot be written to: ${systemErrorText(error)}`,
      'Make the user of the server the owner of the directory, or free space on its disk.',
    );
  } finally {
    if (directory !== undefined) await rm(directory, { recursive: true, force: true });
  }
}

async function checkSpace(subject: string, path: string): Promise<Finding> {
  const { bavail, blocks, bsize, ffree, files } = await statfs(path);
  const [free, share] = [bavail * bsize, blocks === 0 ? 1 : bavail / blocks];
  const text = `${(free / 2 ** 30).toFixed(1)} GiB free (${Math.round(share * 100)} %)`;
  if (files > 0 && ffree / files < MIN_FREE.share)
    return warning(subject, `${ffree} free inodes`, 'Use a file system with more inodes, or remove files.');
  if (free >= MIN_FREE.bytes && share >= MIN_FREE.share) return ok(subject, text);
  return warning(subject, text, 'Free space, or use a larger disk: a push needs twice the size of its pack.');
}

async function checkTemporaryRoot(subject: string, storage: Storage): Promise<Finding[]> {
  const root = tempRoot(storage);
  const stats = await stat(root).catch(() => undefined);
  if (stats === undefined) return []; // it is created on demand, next to the repositories
  const findings: Finding[] = [];
  if (stats.dev !== (await stat(storage.path)).dev) {
    findings.push(
      failure(
        subject,
        `${root} is on another file system`,
        'Move it back: repositories are created there and then renamed into the storage.',
      ),
    );
  }
  const old = await oldEntries(root);
  if (old.length > 0) {
    findings.push(
      warning(
        subject,
        `${old.length} temporary directories of processes that no longer run, such as ${old[0]}`,
        `Remove them while no server runs (a server removes them after a week): rm -r ${root}/*`,
      ),
    );
  }
  return findings;
}

/** Returns the names of entries that have not changed for a day. */
export async function oldEntries(
  directory: string,
  isOurs: (name: string) => boolean = () => true,
): Promise<string[]> {
  const names = await readdir(directory).catch(() => []); // the directory does not exist
  const ages = names.filter(isOurs).map(async (name) => {
    const stats = await stat(join(directory, name)).catch(() => undefined);
    return stats !== undefined && Date.now() - stats.mtimeMs > LEFTOVER_MS ? [name] : [];
  });
  return (await Promise.all(ages)).flat();
}
