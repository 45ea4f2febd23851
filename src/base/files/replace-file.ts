import { randomBytes } from 'node:crypto';
import { link, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { systemErrorCode } from '../go/system-error.ts';
import { ownerOf, ownerSuffix } from '../process-identity.ts';
import { syncPath } from './sync-path.ts';

export interface WriteOptions {
  /**
   * True for a file that survives a power failure: its content is flushed before it gets its name,
   * and its directory before the call resolves. Otherwise it may be the old one then, or empty.
   */
  readonly durable: boolean;
  /** Less the umask. Default 0600. */
  readonly mode?: number;
  /** Default: the user of the process; only root may name another one. */
  readonly owner?: { readonly uid: number; readonly gid: number };
  /**
   * Removes what killed processes left of earlier calls for this file. Default true; false in a
   * directory with many files, whose owner removes it with {@link isLeftDraft}.
   */
  readonly removesLeft?: boolean;
}

const PRIVATE = 0o600;
const MARK = '.draft-';
const RANDOM_BYTES = 6;
/** Age above which a draft of another machine or boot is left over. */
const LEFT_MS = 60 * 60 * 1000;

/**
 * Replaces a small file, or creates it, at once: a reader finds the old content or the new one, and
 * a failure leaves the old one. Of concurrent calls, also in several processes, the last one wins.
 * The directory exists.
 *
 * @throws {Error} the system's.
 */
export async function replaceFile(
  path: string,
  content: string | Uint8Array,
  options: WriteOptions,
): Promise<void> {
  const draft = await writeDraft(path, content, options);
  try {
    await rename(draft, path);
  } catch (error) {
    await remove(draft);
    throw error;
  }
  if (options.durable) await syncPath(dirname(path));
}

/**
 * Creates a small file at once; an existing one is kept.
 *
 * @returns false if there is one. @throws as {@link replaceFile}.
 */
export async function createFile(
  path: string,
  content: string | Uint8Array,
  options: WriteOptions,
): Promise<boolean> {
  const draft = await writeDraft(path, content, options);
  try {
    await link(draft, path);
  } catch (error) {
    if (systemErrorCode(error) !== 'EEXIST') throw error;
    return false;
  } finally {
    await remove(draft);
  }
  if (options.durable) await syncPath(dirname(path));
  return true;
}

/**
 * Reports whether a file is what a killed process left of one of these calls. The draft of another
 * machine counts as left after an hour.
 */
export async function isLeftDraft(path: string): Promise<boolean> {
  if (!basename(path).includes(MARK)) return false;
  const owner = ownerOf(path);
  if (owner !== 'unknown') return owner === 'dead';
  const stats = await stat(path).catch(() => undefined);
  return stats !== undefined && Date.now() - stats.mtimeMs > LEFT_MS;
}

async function writeDraft(
  path: string,
  content: string | Uint8Array,
  { durable, mode = PRIVATE, owner, removesLeft = true }: WriteOptions,
): Promise<string> {
  if (removesLeft) await removeLeft(path);
  const draft = `${path}${MARK}${randomBytes(RANDOM_BYTES).toString('hex')}${ownerSuffix()}`;
  try {
    await using file = await open(draft, 'wx', mode);
    await file.writeFile(content);
    if (owner !== undefined) await file.chown(owner.uid, owner.gid);
    if (durable) await file.sync();
  } catch (error) {
    await remove(draft);
    throw error;
  }
  return draft;
}

async function removeLeft(path: string): Promise<void> {
  const start = `${basename(path)}${MARK}`;
  // A directory that may be written need not be readable.
  for (const name of await readdir(dirname(path)).catch(() => [])) {
    const file = join(dirname(path), name);
    if (name.startsWith(start) && (await isLeftDraft(file))) await remove(file);
  }
}

/** Removes a draft. What cannot be removed now is removed by a later call. */
async function remove(draft: string): Promise<void> {
  await rm(draft, { force: true }).catch(() => {});
}
