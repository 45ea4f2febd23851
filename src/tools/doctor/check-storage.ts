import { constants } from 'node:fs';
import { access, mkdtemp, readdir, rm, stat, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { systemErrorText } from '#base/system-error';
import type { Storage } from '#storage/repository-target';
import { tempRoot } from '#storage/storage-layout';
import { type Finding, failure, ok, warning } from './finding.ts';

const MIN_FREE = { bytes: 1 << 30, share: 0.05 };
/** Files of a network file system get their times from another clock. */
const MAX_CLOCK_DIFFERENCE_MS = 5000;
/** A call may take hours, but not days. */
const LEFTOVER_MS = 24 * 60 * 60 * 1000;

/** Whether a storage is there, can be written to, has room, keeps its temporary files on the same disk, and what crashes left in it. */
export async function* checkStorage(storage: Storage): AsyncGenerator<Finding, void, undefined> {
  const subject = `storage ${storage.name}`;
  try {
    if (!(await stat(storage.path)).isDirectory()) throw new Error('is not a directory');
    await access(storage.path, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    yield failure(
      subject,
      `${storage.path}: ${systemErrorText(error)}`,
      'Make the directory, mount its disk, or give it to the user of the server.',
    );
    return;
  }
  yield await tryWriting(subject, storage.path);
  yield await checkRoom(subject, storage.path);
  yield* await checkTemporaryRoot(subject, storage);
}

async function tryWriting(subject: string, path: string): Promise<Finding> {
  let directory: string | undefined;
  try {
    directory = await mkdtemp(join(path, '+gitaly-doctor-'));
    const file = join(directory, 'file');
    await writeFile(file, 'text', { flush: true });
    const difference = Math.abs((await stat(file)).mtimeMs - Date.now());
    if (difference <= MAX_CLOCK_DIFFERENCE_MS) return ok(subject, `${path} can be written to`);
    return warning(
      subject,
      `its disk's clock is ${Math.round(difference / 1000)} s off`,
      'Synchronize the clocks of this machine and the file server.',
    );
  } catch (error) {
    return failure(
      subject,
      `${path} cannot be written to: ${systemErrorText(error)}`,
      'Give the directory to the user of the server, or free room on its disk.',
    );
  } finally {
    if (directory !== undefined) await rm(directory, { recursive: true, force: true });
  }
}

async function checkRoom(subject: string, path: string): Promise<Finding> {
  const { bavail, blocks, bsize, ffree, files } = await statfs(path);
  const [free, share] = [bavail * bsize, blocks === 0 ? 1 : bavail / blocks];
  const text = `${(free / 2 ** 30).toFixed(1)} GiB free (${Math.round(share * 100)} %)`;
  if (files > 0 && ffree / files < MIN_FREE.share)
    return warning(subject, `${ffree} free inodes`, 'Use a file system with more inodes, or remove files.');
  if (free >= MIN_FREE.bytes && share >= MIN_FREE.share) return ok(subject, text);
  return warning(subject, text, 'Free room, or use a larger disk: a push needs twice the size of its pack.');
}

async function checkTemporaryRoot(subject: string, storage: Storage): Promise<Finding[]> {
  const root = tempRoot(storage);
  const stats = await stat(root).catch(() => undefined);
  if (stats === undefined) return []; // made when it is needed, beside the repositories
  const findings: Finding[] = [];
  if (stats.dev !== (await stat(storage.path)).dev) {
    findings.push(
      failure(subject, `${root} is on another file system`, 'Move it back: repositories are renamed from there into place.'),
    );
  }
  const old = await oldEntries(root);
  if (old.length > 0) {
    findings.push(
      warning(
        subject,
        `${old.length} temporary directories of processes that are gone, such as ${old[0]}`,
        `Remove them when no server runs; a server does after a week: rm -r ${root}/*`,
      ),
    );
  }
  return findings;
}

/** Names of entries that were not changed for a day. */
export async function oldEntries(directory: string, isOurs: (name: string) => boolean = () => true): Promise<string[]> {
  const names = await readdir(directory).catch(() => []); // not there: nothing is left
  const ages = names.filter(isOurs).map(async (name) => {
    const stats = await stat(join(directory, name)).catch(() => undefined);
    return stats !== undefined && Date.now() - stats.mtimeMs > LEFTOVER_MS ? [name] : [];
  });
  return (await Promise.all(ages)).flat();
}
