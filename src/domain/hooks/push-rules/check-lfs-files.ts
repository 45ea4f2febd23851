import { existsSync, readdirSync } from 'node:fs';
import { mapAhead } from '#base/streams/map-ahead';
import { lfsIdsOf } from '#domain/settings/lfs-ids';
import { lfsPointersOf, type PointerBlob } from '#domain/settings/lfs-pointers';
import { isZeroOid } from '#git/names/object-id';
import type { ObjectInfo } from '#git/names/object-info';
import { MAX_LFS_FILE_POINTER_BYTES, parseLfsFilePointer } from '#git/objects/parse/lfs-file-pointer';
import { allObjects, walkObjects } from '#git/objects/walk-objects';
import { LfsObjects } from '#object-store/lfs-objects';
import type { ObjectStore } from '#object-store/object-store';
import { quarantineOf } from '../access.ts';
import type { HookCall } from '../hook-call.ts';
import { type PushChanges, pushChanges, RuleRefusal } from './push-changes.ts';

/** Look-ups at a time, each a request to a bucket. */
const AHEAD = 32;
/** Beyond this number, further files are not looked up. */
const MAX_MISSING = 1000;
/** Files that a refusal names. */
const MAX_SHOWN = 10;

const SHARD = /^[0-9a-f]{2}$/;

/**
 * Refuses a push of pointers whose files the repository and its sources do not have. A push without
 * pointers costs no look-up.
 *
 * @throws {RuleRefusal} that names the files, or when the store cannot be read.
 */
export async function checkLfsFiles(call: HookCall, changes: Buffer, store: ObjectStore): Promise<void> {
  const isQuarantined = quarantineOf(call) !== undefined;
  if (!isQuarantined && call.isUnquarantined !== true) return; // nothing is new
  const push = pushChanges(call, changes, 'repository');
  const lfsIds = await lfsIdsOf(call.repository);
  for (const pointersOf of isQuarantined ? [sentPointers, reachedPointers] : [reachedPointers]) {
    const missing = await missingFiles(pointersOf(push), push.signal, store, lfsIds);
    const named = missing.size === 0 ? [] : await namesOf(push, missing);
    if (named.length > 0) throw refusalOf(named, missing.size);
    // The files are there, or no reference leads to them. Of more, one may lead to another.
    if (missing.size < MAX_MISSING) return;
  }
}

function refusalOf(named: readonly NamedFile[], missing: number): RuleRefusal {
  const shown = named.slice(0, MAX_SHOWN).map(({ name, oid }) => `  ${name} (${oid})`);
  const more = named.length - shown.length;
  return new RuleRefusal(
    [
      'The server does not have these files of Git LFS, which the push names:',
      ...shown,
      ...(more > 0 ? [`  and ${missing < MAX_MISSING ? more : `at least ${more}`} more`] : []),
      'Send them first: git lfs push --all REMOTE',
    ].join('\n'),
  );
}

/** Returns the pointers by the ids of their blobs, without those whose files are there. */
async function missingFiles(
  batches: AsyncIterable<readonly PointerBlob[]>,
  signal: AbortSignal,
  store: ObjectStore,
  [own, ...sources]: readonly string[],
): Promise<ReadonlyMap<string, PointerBlob>> {
  const files = own === undefined ? undefined : new LfsObjects(store, [own, ...sources]);
  const missing = new Map<string, PointerBlob>();
  const isThere = async ({ fileOid, fileSize }: PointerBlob): Promise<boolean> => {
    // git-lfs sends no empty files.
    if (fileSize === 0n) return true;
    const found = await files?.claim(fileOid, signal).catch((error: unknown) => {
      signal.throwIfAborted();
      const text = 'the store of Git LFS cannot be read, so its files are not checked; try again later';
      throw new RuleRefusal(text, { cause: error });
    });
    return found !== undefined && BigInt(found.size) === fileSize;
  };
  for await (const pointers of batches) {
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
  push: PushChanges,
  missing: ReadonlyMap<string, PointerBlob>,
): Promise<readonly NamedFile[]> {
  const named: NamedFile[] = [];
  const walk = walkObjects(push.repository, {
    revisions: newRevisions(push),
    type: 'blob',
    blobsBelowBytes: MAX_LFS_FILE_POINTER_BYTES + 1,
    signal: push.signal,
  });
  for await (const objects of walk)
    for (const { oid, path } of objects) {
      const pointer = missing.get(oid);
      const name = path.length === 0 ? oid : JSON.stringify(path.toString());
      if (pointer !== undefined) named.push({ name, oid: pointer.fileOid });
    }
  return named;
}

/** Returns what the references lead to after the push, and do not before. */
function newRevisions({ changes }: PushChanges): readonly string[] {
  const tips = [...changes].map(({ newOid }) => newOid).filter((oid) => !isZeroOid(oid));
  return [...tips, '--not', '--all'];
}

/** Yields the pointers of Git LFS to which references lead after the push. */
function reachedPointers(push: PushChanges): AsyncGenerator<readonly PointerBlob[]> {
  return lfsPointersOf(push.repository, newRevisions(push), push.signal);
}

/**
 * Yields the pointers of Git LFS among the objects of a quarantine. Those of a small push are
 * loose, and are read without a process.
 */
async function* sentPointers({
  repository: quarantined,
  signal,
}: PushChanges): AsyncGenerator<readonly PointerBlob[]> {
  const { objectDirectory, objects } = quarantined;
  if (!hasFiles(`${objectDirectory}/pack`)) {
    const loose: PointerBlob[] = [];
    for (const oid of looseOids(objectDirectory)) {
      const info = await objects.info(oid, { signal });
      const blob = info && isSmallBlob(info) ? await objects.readObject(oid, { signal }) : undefined;
      const pointer = blob && parseLfsFilePointer(blob.data);
      if (pointer !== undefined) loose.push({ ...pointer, blob: oid });
    }
    yield loose;
    return;
  }
  const own = quarantined.withObjectDirectories({ objectDirectory, alternateObjectDirectories: [] });
  const small = async function* (aborted: AbortSignal): AsyncGenerator<readonly ObjectInfo[]> {
    for await (const infos of allObjects(own, { type: 'blob', signal: aborted }))
      yield infos.filter(isSmallBlob);
  };
  for await (const batch of own.objects.readMany(small, { signal }))
    yield batch.flatMap(({ item, object }) => {
      const pointer = object && parseLfsFilePointer(object.data);
      return pointer === undefined ? [] : [{ ...pointer, blob: item.oid }];
    });
}

function isSmallBlob({ size, type }: ObjectInfo): boolean {
  return type === 'blob' && size <= MAX_LFS_FILE_POINTER_BYTES;
}

function hasFiles(directory: string): boolean {
  return existsSync(directory) && readdirSync(directory).length > 0;
}

/** Lists the loose objects of a quarantine: git and this server pack more than 100. */
function looseOids(objectDirectory: string): string[] {
  const shards = readdirSync(objectDirectory).filter((name) => SHARD.test(name));
  return shards.flatMap((shard) => readdirSync(`${objectDirectory}/${shard}`).map((name) => shard + name));
}
