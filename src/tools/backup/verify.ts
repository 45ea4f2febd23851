import { createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { wrap } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import { readTar } from '#base/tar/read-tar';
import { readManifest } from '#domain/backup/manifests';
import { readObject } from '#domain/backup/read-object';
import { type BackedUpReference, readReferenceLines } from '#domain/backup/reference-lines';
import type { Git } from '#git/command/git';
import { flag, gitCommand } from '#git/command/git-command';
import { GitExitError } from '#git/command/process/exit-error';
import { isRefName } from '#git/names/ref-name';
import type { GitDirectory } from '#git/repository-files/git-directory';
import type { ObjectCall, ObjectStore } from '#object-store/object-store';
import type { StoredBackup } from './catalog.ts';

/** Number of objects in one request to git. */
const REFERENCES_AT_ONCE = 100_000;

export interface VerifyOptions {
  readonly git: Git;
  /** Where a repository of the objects is made; it needs as much space as the largest backup. */
  readonly temporaryDirectory: string;
  readonly signal: AbortSignal;
}

/** Facts about a backup that can be restored. */
export interface VerifiedBackup {
  readonly steps: number;
  readonly references: number;
}

/**
 * Checks a backup without a server: the manifest, the header and checksums of all bundles, and that
 * each reference's object is in them. git unpacks the bundles into a temporary repository.
 *
 * @throws {Error} for the first fault.
 */
export async function verifyBackup(
  store: ObjectStore,
  { manifestKey }: StoredBackup,
  options: VerifyOptions,
): Promise<VerifiedBackup> {
  const { signal } = options;
  const { empty, nonExistent, objectFormat, steps } = await readManifest(store, manifestKey, { signal });
  if (steps.length === 0) throw new Error('no backup steps');
  if (nonExistent) return { steps: 0, references: 0 };
  await using scratch = await scratchRepository(objectFormat, options);
  let references: BackedUpReference[] = [];
  let number = 0;
  for (const { refPath, bundlePath, customHooksPath } of steps) {
    references = await readReferenceLines(readObject(store, refPath, { signal }));
    if (references.length > 0) await unpack(store, { bundlePath, scratch, number: ++number }, options);
    await readHooks(store, customHooksPath, { signal });
  }
  if (!empty && references.length === 0) throw new Error('no refs in backup');
  requireNames(references);
  await requireObjects(references, scratch, options);
  return { steps: steps.length, references: references.length };
}

interface Scratch extends AsyncDisposable {
  readonly repository: GitDirectory;
  readonly directory: string;
}

async function scratchRepository(
  objectFormat: string,
  { git, temporaryDirectory, signal }: VerifyOptions,
): Promise<Scratch> {
  if (objectFormat !== 'sha1' && objectFormat !== 'sha256')
    throw new Error(`unknown object format ${quote(objectFormat)}`);
  await using building = new AsyncDisposableStack();
  const directory = await mkdtemp(join(temporaryDirectory, 'gitaly-verify-'));
  building.defer(() => rm(directory, { recursive: true, force: true }));
  const path = join(directory, 'objects.git');
  const init = gitCommand('init', {
    options: ['--bare', '--quiet', `--object-format=${objectFormat}`].map(flag),
    args: [path],
  });
  await git.run(init, { signal });
  const repository: GitDirectory = {
    path,
    objectDirectory: join(path, 'objects'),
    alternateObjectDirectories: [],
    knownObjectFormat: objectFormat,
  };
  const kept = building.move();
  return { repository, directory, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

/**
 * Fetches the objects of a bundle, as a restore does: git checks its checksums and prerequisites.
 * Each step has names of its own, because git refuses `a/b` if an earlier one has `a`.
 */
async function unpack(
  store: ObjectStore,
  {
    bundlePath: key,
    scratch: { repository, directory },
    number,
  }: { readonly bundlePath: string; readonly scratch: Scratch; readonly number: number },
  { git, signal }: VerifyOptions,
): Promise<void> {
  const path = join(directory, 'step.bundle');
  await pipeline(readObject(store, key, { signal }), createWriteStream(path), { signal });
  const fetch = gitCommand('fetch', {
    options: ['--no-write-fetch-head', '--quiet', '--atomic', '--force'].map(flag),
    // Also as branches, of which git requires that they are commits.
    args: [path, `refs/*:refs/steps/${number}/*`, `refs/heads/*:refs/heads/steps/${number}/*`],
  });
  const config = [{ key: 'transfer.fsckObjects', value: 'false' }];
  await git.run(fetch, { repository, hooks: 'disabled', config, signal }).catch((error: unknown) => {
    const words = error instanceof GitExitError ? error.stderr.trim().replaceAll(path, key) : undefined;
    throw words === undefined ? error : new Error(`bundle ${quote(key)}: ${words}`, { cause: error });
  });
}

/** Reads the archive of custom hooks, if there is one. @throws {Error} if it is damaged. */
async function readHooks(store: ObjectStore, key: string, options: ObjectCall): Promise<void> {
  if ((await store.head(key, options)) === undefined) return;
  try {
    for await (const { content } of readTar(readObject(store, key, options))) for await (const _ of content);
  } catch (error) {
    throw wrap(error, `custom hooks, ${quote(key)}`);
  }
}

/** @throws {Error} if a reference has a name that git refuses. */
function requireNames(references: readonly BackedUpReference[]): void {
  const wrong = references.find(({ name }) => !isRefName(name));
  if (wrong !== undefined) throw new Error(`${quote(wrong.name.toString())} is no name of a reference`);
}

/** @throws {Error} if an object of a reference is missing. */
async function requireObjects(
  references: readonly BackedUpReference[],
  { repository }: Scratch,
  { git, signal }: VerifyOptions,
): Promise<void> {
  const check = gitCommand('cat-file', { options: [flag('--batch-check=%(objectname)')] });
  for (let at = 0; at < references.length; at += REFERENCES_AT_ONCE) {
    const some = references.slice(at, at + REFERENCES_AT_ONCE);
    const input = some.map(({ oid }) => `${oid}\n`).join('');
    const lines = (await git.run(check, { repository, input, signal })).toString().split('\n');
    const missing = some.filter((_, index) => lines[index]?.endsWith(' missing') === true);
    const [first] = missing;
    if (first !== undefined)
      throw new Error(`${missing.length} references have no object, such as ${quote(first.name.toString())}`);
  }
}
