import { codeOf, wrap, wrapped } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import type { BackupManifest, BackupStep } from '#domain/backup/manifest';
import { readObject, requireObject } from '#domain/backup/read-object';
import { type BackedUpReference, readReferenceLines } from '#domain/backup/reference-lines';
import { CombinedBundle } from '#domain/bundle/combined-bundle';
import { OID_DIGITS } from '#git/names/object-id';
import type { ObjectStore } from '#object-store/object-store';
import type { BackupCalls } from './backup-calls.ts';

const BRANCHES = 'refs/heads/';
const HEAD = 'HEAD';

export interface RestoreRemoteOptions {
  /** Notified when the references alone could not be reset, so that the bundles are fetched. */
  readonly onBundles: (reason: unknown) => void;
  /** Notified of the number of references that are left out because their objects are missing. */
  readonly onSkipped: (references: number) => void;
  readonly signal: AbortSignal;
}

/**
 * Makes a repository on a server what it was at the time of a backup. All parts of the backup are
 * looked up before the first change. A repository that does not exist appears with all references
 * and objects; HEAD and custom hooks follow, and it is removed again if that fails. Only one whose
 * bundles cannot be combined appears with the contents of the first step. An empty backup replaces
 * a repository, and no interrupt comes in between.
 *
 * @throws {GitalyError} `manager: …`
 */
export async function restoreRemote(
  store: ObjectStore,
  repository: BackupCalls,
  manifest: BackupManifest,
  options: RestoreRemoteOptions,
): Promise<void> {
  try {
    if (manifest.steps.length === 0) throw new Error('no backup steps');
    if (manifest.nonExistent) return;
    const restore = {
      store,
      repository,
      manifest,
      files: await findFiles(store, manifest, options),
      options,
    };
    if (!manifest.empty && (await repository.exists())) await replaceContents(restore);
    else await create(restore);
  } catch (error) {
    throw wrap(error, 'manager');
  }
}

interface Restore {
  readonly store: ObjectStore;
  readonly repository: BackupCalls;
  readonly manifest: BackupManifest;
  readonly files: BackupFiles;
  readonly options: RestoreRemoteOptions;
}

async function replaceContents(restore: Restore): Promise<void> {
  const { repository, manifest, files, options } = restore;
  try {
    // In an older backup, only the bundle contains HEAD.
    if (manifest.headReference === '') throw new Error('expected HEAD to be a symbolic reference');
    await repository.resetReferences(files.references);
  } catch (error) {
    options.signal.throwIfAborted();
    options.onBundles(error);
    await fetchOrUndo(restore);
  }
  await restoreHead(restore);
  await restoreHooks(restore);
}

/**
 * Fetches all bundles. If they are damaged, or none of their objects is of the backup, the
 * references stay as they were.
 */
async function fetchOrUndo(restore: Restore): Promise<void> {
  const { repository, files } = restore;
  const before = await repository.listReferences();
  const fetch = (bundle: AsyncIterable<Buffer>) => repository.fetchBundle(bundle, { updateHead: false });
  try {
    await repository.moveAside(files.references);
    if (await withAllBundles(restore, fetch)) await repository.resetReferences(files.references);
    else await fetchBundles(restore, 0);
  } catch (error) {
    await repository
      .undoing()
      .resetReferences(before)
      .catch(() => {}); // the first error tells more
    throw error;
  }
}

async function create(restore: Restore): Promise<void> {
  const { store, repository, manifest, files, options } = restore;
  const isReplaced = manifest.empty && (await repository.exists());
  if (manifest.empty) {
    const objectFormat = formatOf(manifest);
    options.signal.throwIfAborted();
    const replacing = repository.replacing();
    await replacing.remove();
    await replacing.create(objectFormat, branchOf(manifest) ?? '');
  }
  const isWhole =
    manifest.empty || (await withAllBundles(restore, (bundle) => repository.createFromBundle(bundle)));
  if (!isWhole)
    await repository.createFromBundle(readObject(store, files.steps[0]?.bundlePath ?? '', options));
  try {
    if (!isWhole) await fetchBundles(restore, 1);
    if (!manifest.empty) await restoreHead(restore);
    await restoreHooks(restore);
  } catch (error) {
    if (isReplaced) throw error; // one was there before
    await repository
      .undoing()
      .remove()
      .catch(() => {}); // the first error tells more
    throw error;
  }
}

/**
 * Sends all bundles as one with the references of the newest step, so that these appear at once.
 *
 * @returns false if it has to be done step by step, and nothing has changed: the server refuses the
 *   bundle, for instance because objects are missing, or there is none.
 */
async function withAllBundles(
  restore: Restore,
  send: (bundle: AsyncIterable<Buffer>) => Promise<void>,
): Promise<boolean> {
  const bundle = await combine(restore);
  if (bundle === undefined) return false;
  try {
    await send(bundle.pieces());
    return true;
  } catch (error) {
    if (bundle.error !== undefined || codeOf(error) !== 'INTERNAL') throw error;
    return false;
  }
}

async function combine({ store, manifest, files, options }: Restore): Promise<CombinedBundle | undefined> {
  const { headReference } = manifest;
  // In an older backup, only the bundle contains HEAD.
  if (headReference === '') return undefined;
  const wanted = branchOf(manifest) === undefined ? HEAD : headReference;
  const head = files.references.find(({ name }) => name.equals(Buffer.from(wanted)))?.oid;
  const sources = files.steps.map(
    ({ bundlePath }) =>
      () =>
        readObject(store, bundlePath, options),
  );
  const references = files.references.filter(({ name }) => !name.equals(Buffer.from(HEAD)));
  const objectFormat = (references[0]?.oid.length ?? 0) === OID_DIGITS.sha256 ? 'sha256' : 'sha1';
  return await CombinedBundle.open(sources, { references, head, objectFormat });
}

interface BackupFiles {
  /** Steps with a bundle, oldest first. */
  readonly steps: readonly BackupStep[];
  /** References of the newest step. */
  readonly references: readonly BackedUpReference[];
  /** Key of the custom hooks in the newest step; `undefined` if it has none. */
  readonly hooks: string | undefined;
}

/** @throws {Error} if a part is missing: without it, the data would be older. */
async function findFiles(
  store: ObjectStore,
  { empty, steps }: BackupManifest,
  options: RestoreRemoteOptions,
): Promise<BackupFiles> {
  const filled: BackupStep[] = [];
  let references: readonly BackedUpReference[] = [];
  for (const step of empty ? [] : steps) {
    const { bundlePath } = step;
    references = await referencesOf(store, step, options);
    // A repository without references has no bundle.
    if (references.length === 0) continue;
    await requireObject(store, bundlePath, options).catch(
      wrapped(`restore from bundle: restore bundle: get reader: ${quote(bundlePath)}`),
    );
    filled.push(step);
  }
  if (!empty && references.length === 0) throw new Error('no refs in backup');
  const key = steps.at(-1)?.customHooksPath ?? '';
  const hasHooks = (await store.head(key, options)) !== undefined;
  return { steps: filled, references, hooks: hasHooks ? key : undefined };
}

async function referencesOf(
  store: ObjectStore,
  { refPath }: BackupStep,
  options: RestoreRemoteOptions,
): Promise<BackedUpReference[]> {
  return await readReferenceLines(readObject(store, refPath, options)).catch(
    wrapped('restore from bundle: read refs: read refs'),
  );
}

/** Fetches the bundles from one on, and sets the references. */
async function fetchBundles(
  { store, repository, manifest, files, options }: Restore,
  from: number,
): Promise<void> {
  const updateHead = branchOf(manifest) === undefined;
  for (const step of files.steps.slice(from)) {
    const { bundlePath } = step;
    await repository.moveAside(await referencesOf(store, step, options));
    await repository
      .fetchBundle(readObject(store, bundlePath, options), { updateHead })
      .catch(wrapped(`restore from bundle: restore bundle: fetch bundle: ${quote(bundlePath)}`));
  }
  const skipped = await repository.resetWhereObjectsExist(files.references);
  if (skipped > 0) options.onSkipped(skipped);
}

async function restoreHead({ repository, manifest }: Restore): Promise<void> {
  if (manifest.headReference !== '') await repository.setHead(manifest.headReference);
}

async function restoreHooks({ store, repository, files: { hooks }, options }: Restore): Promise<void> {
  if (hooks === undefined) return;
  await repository
    .setCustomHooks(store.get(hooks, options))
    .catch(wrapped(`restore custom hooks, ${quote(hooks)}`));
}

/** Returns the branch that HEAD names; `undefined` if it names none. */
function branchOf({ headReference }: BackupManifest): string | undefined {
  return headReference.startsWith(BRANCHES) ? headReference.slice(BRANCHES.length) : undefined;
}

function formatOf({ objectFormat }: BackupManifest): 'sha1' | 'sha256' {
  if (objectFormat === 'sha1' || objectFormat === 'sha256') return objectFormat;
  throw new Error(
    `recreate empty repo: create empty repo: get object hash: unknown object format: ${quote(objectFormat)}`,
  );
}
