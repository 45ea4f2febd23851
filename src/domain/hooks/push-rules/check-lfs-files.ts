import { mapAhead } from '#base/streams/map-ahead';
import { lfsIdsOf } from '#domain/settings/lfs-ids';
import { isZeroOid } from '#git/names/object-id';
import { MAX_LFS_FILE_POINTER_BYTES } from '#git/objects/parse/lfs-file-pointer';
import { walkObjects } from '#git/objects/walk-objects';
import { LfsObjects } from '#object-store/lfs-objects';
import type { ObjectStore } from '#object-store/object-store';
import { quarantineOf } from '../access.ts';
import type { HookCall } from '../hook-call.ts';
import { type NewPointer, newPointers } from './new-pointers.ts';
import { type PushChanges, pushChanges, RuleRefusal } from './push-changes.ts';

/** Look-ups at a time, each a request to a bucket. */
const AHEAD = 32;
/** Beyond this number, further files are not looked up. */
const MAX_MISSING = 1000;
/** Files that a refusal names. */
const MAX_SHOWN = 10;

/**
 * Refuses a push of pointers whose files the repository and its sources do not have. A push without
 * pointers costs no look-up.
 *
 * @throws {RuleRefusal} that names the files, or when the store cannot be read.
 */
export async function checkLfsFiles(call: HookCall, changes: Buffer, store: ObjectStore): Promise<void> {
  if (quarantineOf(call) === undefined) return; // nothing is new
  const push = pushChanges(call, changes, 'repository');
  const missing = await missingFiles(push, store, await lfsIdsOf(call.repository));
  if (missing.size === 0) return;
  const named = await namesOf(push, missing);
  if (named.length === 0) return; // no reference leads to them
  const shown = named.slice(0, MAX_SHOWN).map(({ name, oid }) => `  ${name} (${oid})`);
  const more = named.length - shown.length;
  throw new RuleRefusal(
    [
      'The server does not have these files of Git LFS, which the push names:',
      ...shown,
      ...(more > 0 ? [`  and ${missing.size < MAX_MISSING ? more : `at least ${more}`} more`] : []),
      'Send them first: git lfs push --all REMOTE',
    ].join('\n'),
  );
}

/** Returns the new pointers by the ids of their blobs, without those whose files are there. */
async function missingFiles(
  { repository, signal }: PushChanges,
  store: ObjectStore,
  [own, ...sources]: readonly string[],
): Promise<ReadonlyMap<string, NewPointer>> {
  const files = own === undefined ? undefined : new LfsObjects(store, [own, ...sources]);
  const missing = new Map<string, NewPointer>();
  const isThere = async ({ fileOid, fileSize }: NewPointer): Promise<boolean> => {
    // git-lfs sends no empty files.
    if (fileSize === 0n) return true;
    const found = await files?.claim(fileOid, signal).catch((error: unknown) => {
      signal.throwIfAborted();
      const text = 'the store of Git LFS cannot be read, so its files are not checked; try again later';
      throw new RuleRefusal(text, { cause: error });
    });
    return found !== undefined && BigInt(found.size) === fileSize;
  };
  for await (const pointers of newPointers(repository, signal)) {
    const looked = mapAhead(pointers, AHEAD, async (pointer) => ({
      pointer,
      found: await isThere(pointer),
    }));
    for await (const { found, pointer } of looked) if (!found) missing.set(pointer.blob, pointer);
    if (missing.size >= MAX_MISSING) break;
  }
  return missing;
}

interface NamedFile {
  readonly name: string;
  readonly oid: string;
}

/** Returns the paths of blobs that the references lead to after the push. */
async function namesOf(
  { changes, repository, signal }: PushChanges,
  missing: ReadonlyMap<string, NewPointer>,
): Promise<readonly NamedFile[]> {
  const named: NamedFile[] = [];
  const tips = [...changes].map(({ newOid }) => newOid).filter((oid) => !isZeroOid(oid));
  const walk = walkObjects(repository, {
    revisions: [...tips, '--not', '--all'],
    type: 'blob',
    blobsBelowBytes: MAX_LFS_FILE_POINTER_BYTES + 1,
    signal,
  });
  for await (const objects of walk)
    for (const { oid, path } of objects) {
      const pointer = missing.get(oid);
      const name = path.length === 0 ? oid : JSON.stringify(path.toString());
      if (pointer !== undefined) named.push({ name, oid: pointer.fileOid });
    }
  return named;
}
