import { createHash } from 'node:crypto';
import { wrap } from '#base/gitaly-error';
import { OID_DIGITS } from '#git/names/object-id';
import { OidSet } from '#git/names/oid-set';
import type { ObjectStore } from '#object-store/object-store';
import { putUnlessEmpty } from '#object-store/pieces';
import type { BundleSelection } from '../bundle/bundle-selection.ts';
import { EmptyBundleError } from '../bundle/empty-bundle-error.ts';
import type { BackupSource } from './backup-source.ts';
import { ListedReferences } from './listed-references.ts';
import type { BackupStep } from './manifest.ts';
import { eachReference } from './reference-lines.ts';

/** Lists of references that are stored before an explicit list of objects is given to git. */
const ATTEMPTS = 3;

/** References changed between their list and the bundle. */
class ReferencesChangedError extends Error {
  override readonly name = 'ReferencesChangedError';

  constructor() {
    super('the references changed while they were backed up: try again');
  }
}

export interface StoreReferencesDependencies {
  readonly bucket: ObjectStore;
  readonly source: BackupSource;
  readonly objectFormat: string;
  /** SHA-256 that the list must have; `undefined` for any. */
  readonly sameAs: string | undefined;
  readonly onBundle: (bytes: number) => void;
  readonly timed: <T>(phase: 'refs' | 'bundle', work: () => Promise<T>) => Promise<T>;
  readonly signal: AbortSignal;
}

/**
 * Stores the list of references of a step, and a bundle with the objects of all of them, also if
 * references are changed, forced and deleted meanwhile.
 *
 * @returns false if there are no references; nothing but the empty list is stored then.
 */
export async function storeReferences(step: BackupStep, deps: StoreReferencesDependencies): Promise<boolean> {
  const { timed, onBundle } = deps;
  for (let attempt = 1; ; attempt++) {
    const listed = await timed('refs', () => storeList(step, deps));
    if (listed.isEmpty) return false;
    try {
      const isLast = attempt === ATTEMPTS;
      onBundle(await timed('bundle', () => storeBundle(step, { ...deps, listed, isLast })));
      return true;
    } catch (error) {
      if (!(error instanceof ReferencesChangedError) || attempt === ATTEMPTS)
        throw wrap(error, 'write bundle');
    }
  }
}

async function storeList(
  { refPath }: BackupStep,
  { bucket, source, sameAs, signal }: StoreReferencesDependencies,
): Promise<ListedReferences> {
  const listed = new ListedReferences();
  const lines = async function* (): AsyncGenerator<Buffer> {
    yield* listed.pass(source.referenceLines());
    if (sameAs !== undefined && listed.digest !== sameAs) throw new ReferencesChangedError();
  };
  await bucket.put(refPath, lines(), { signal });
  return listed;
}

interface BundleDependencies extends StoreReferencesDependencies {
  readonly listed: ListedReferences;
  /** Names all objects to git, instead of trusting that the references have not changed. */
  readonly isLast: boolean;
}

/** Stores the changes since the previous references. @returns the size in bytes. */
async function storeBundle(step: BackupStep, deps: BundleDependencies): Promise<number> {
  const { bucket, signal } = deps;
  return await putUnlessEmpty(bucket, step.bundlePath, await newObjects(step, deps), { signal });
}

/**
 * Returns a bundle with the changes since the previous references. If the references are equal,
 * there is nothing new, and git is not started.
 */
async function newObjects(step: BackupStep, deps: BundleDependencies): Promise<AsyncIterable<Buffer>> {
  const { bucket, source, listed, objectFormat, isLast, signal } = deps;
  const { previousRefPath } = step;
  if (previousRefPath !== undefined) {
    const previous = createHash('sha256');
    for await (const piece of bucket.get(previousRefPath, { signal })) previous.update(piece);
    if (previous.digest('hex') === listed.digest) return headerOf(objectFormat);
    const selection = await selectionOf(step, deps);
    return withAdded(orHeader(source.bundle(selection), deps), selection, deps);
  }
  if (isLast) {
    const selection = await selectionOf(step, deps);
    return withAdded(source.bundle(selection), selection, deps);
  }
  return withReferences(source.bundle(), listed);
}

/**
 * Returns what a bundle contains with the objects of all listed references, without those of the
 * previous ones. `--all` alone is not enough: a reference can be forced or deleted after the list.
 */
export async function selectionOf(
  { refPath, previousRefPath }: BackupStep,
  { bucket, objectFormat, signal }: Pick<BundleDependencies, 'bucket' | 'objectFormat' | 'signal'>,
): Promise<BundleSelection> {
  const format = objectFormat === 'sha256' ? 'sha256' : 'sha1';
  const excluded = new OidSet(format);
  const added = new OidSet(format);
  // The repository may have had the other object format.
  const isOwn = (oid: string): boolean => oid.length === OID_DIGITS[format];
  if (previousRefPath !== undefined)
    await eachReference(bucket.get(previousRefPath, { signal }), ({ oid }) => {
      if (isOwn(oid)) excluded.add(oid);
    });
  await eachReference(bucket.get(refPath, { signal }), ({ oid }) => {
    if (isOwn(oid) && !excluded.has(oid)) added.add(oid);
  });
  return { added, excluded };
}

/** Passes a full bundle on. @throws {ReferencesChangedError} if it has other references than the list. */
async function* withReferences(
  bundle: AsyncIterable<Buffer>,
  listed: ListedReferences,
): AsyncGenerator<Buffer> {
  const header = listed.headerCheck();
  try {
    for await (const piece of bundle) {
      if (header.add(piece) === 'different') throw new ReferencesChangedError();
      yield piece;
    }
  } catch (error) {
    throw error instanceof EmptyBundleError ? new ReferencesChangedError() : error;
  }
}

/**
 * Passes a bundle on. git leaves objects out that do not exist: those of a new branch that was
 * deleted and pruned after the list, and those of a reference in a damaged repository.
 *
 * @throws {ReferencesChangedError} at the end if it lacks one, and the references have changed.
 */
async function* withAdded(
  pieces: AsyncIterable<Buffer>,
  { added }: BundleSelection,
  deps: BundleDependencies,
): AsyncGenerator<Buffer> {
  yield* pieces;
  if (!(await deps.source.hasObjects(added))) await requireUnchanged(deps);
}

/**
 * Yields a bundle; if nothing is new, the header alone, which git writes before it refuses. Gitaly
 * stores it, and requires it of every step that it restores.
 */
async function* orHeader(pieces: AsyncIterable<Buffer>, deps: BundleDependencies): AsyncGenerator<Buffer> {
  try {
    yield* pieces;
  } catch (error) {
    if (!(error instanceof EmptyBundleError)) throw error;
    // A reference that was listed can have gone together with the only new objects.
    await requireUnchanged(deps);
  }
}

/** @throws {ReferencesChangedError} if the references are not those of the list any more. */
async function requireUnchanged({ source, listed }: BundleDependencies): Promise<void> {
  const now = new ListedReferences();
  for await (const _ of now.pass(source.referenceLines()));
  if (now.digest !== listed.digest) throw new ReferencesChangedError();
}

/** Yields the header that git writes before it refuses an empty bundle. */
async function* headerOf(objectFormat: string): AsyncGenerator<Buffer> {
  const isSha1 = objectFormat === 'sha1';
  yield Buffer.from(isSha1 ? '# v2 git bundle\n\n' : `# v3 git bundle\n@object-format=${objectFormat}\n\n`);
}
