import { formatShortBytes } from '#base/format-bytes';
import { clientMessageOf } from '#base/gitaly-error';
import { eachConcurrently } from '#object-store/each-concurrently';
import { checkedLfsFile, parseLfsKey } from '#object-store/lfs-objects';
import type { ObjectFacts, ObjectStore } from '#object-store/object-store';
import { PrefixedStore } from '#object-store/prefixed-store';
import { PreconditionError } from '#object-store/store-error';

/** Folder of the files in a store of backups. All backups share them. */
const FOLDER = 'git-lfs/';
const AT_ONCE = 8;

/** Returns the files of Git LFS in a store of backups. */
export function lfsOfBackups(backups: ObjectStore): ObjectStore {
  return new PrefixedStore(backups, FOLDER);
}

export interface LfsCopy {
  copied: number;
  /** Files that were there already. */
  present: number;
  bytes: number;
  failed: number;
  lastFailure: string;
}

interface CopyOptions {
  readonly from: ObjectStore;
  readonly to: ObjectStore;
  /** Only the files of these repositories; default: all. */
  readonly ids?: ReadonlySet<string> | undefined;
  readonly signal: AbortSignal;
}

/**
 * Copies the files that are missing in a store; their names are hashes of their contents. A file
 * that cannot be copied is counted. @throws if a store cannot be listed, and when it is aborted.
 */
export async function copyLfsFiles({ from, ids, signal, to }: CopyOptions): Promise<LfsCopy> {
  const result: LfsCopy = { copied: 0, present: 0, bytes: 0, failed: 0, lastFailure: '' };
  const copy = async ({ key, sizeBytes }: ObjectFacts): Promise<void> => {
    try {
      const bytes = checkedLfsFile(parseLfsKey(key)?.oid ?? '', from.get(key, { signal }));
      await to.put(key, bytes, { sizeBytes, onlyIf: 'absent', signal });
      result.copied++;
      result.bytes += sizeBytes;
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof PreconditionError) return; // somebody else has copied it
      result.failed++;
      result.lastFailure = `${key}: ${clientMessageOf(error)}`;
    }
  };
  // Both lists have the order of the keys.
  const there = keysOf(to, signal);
  try {
    let next = await there.next();
    for await (const page of from.list('', { signal })) {
      const missing: ObjectFacts[] = [];
      for (const facts of page) {
        const id = parseLfsKey(facts.key)?.id;
        if (id === undefined || ids?.has(id) === false) continue;
        while (next.done !== true && next.value < facts.key) next = await there.next();
        if (next.done !== true && next.value === facts.key) result.present++;
        else missing.push(facts);
      }
      await eachConcurrently(missing, AT_ONCE, copy);
    }
  } finally {
    await there.return();
  }
  return result;
}

async function* keysOf(store: ObjectStore, signal: AbortSignal): AsyncGenerator<string, void> {
  for await (const page of store.list('', { signal })) for (const { key } of page) yield key;
}

/** Describes the result of a copy in one line. */
export function describeLfsCopy({ bytes, copied, failed, lastFailure, present }: LfsCopy): string {
  const reason = failed === 0 ? '' : ` (${lastFailure})`;
  const counts = `${copied} copied, ${present} there already, ${failed} failed`;
  return `files of Git LFS: ${counts}, ${formatShortBytes(bytes)}${reason}`;
}
