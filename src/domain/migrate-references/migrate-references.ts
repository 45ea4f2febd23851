import { createHash } from 'node:crypto';
import { copyFile, readdir, readFile, rm } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { GitalyError } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import { versionWith } from '#git/command/capabilities';
import { flag, gitCommand, joined, value } from '#git/command/git-command';
import { GitExitError } from '#git/command/process/exit-error';
import { parseSettings } from '#git/repository-files/config-file';
import { parseFormat, type StoredBackend } from '#git/repository-files/repository-format';
import {
  beginMoves,
  endMigration,
  moveReferences,
  REFERENCE_DRAFT,
} from '#storage/lifecycle/reference-files';
import { syncTree } from '#storage/lifecycle/sync-tree';
import { type Vote, type VotePhase, voteHash } from '#storage/lifecycle/voter';
import { replaceLocked } from '#storage/locks/locked-file';
import { excludeChanges } from '#storage/locks/write-exclusion';
import type { Repository } from '#storage/repository';
import type { RecordedRuns } from '../housekeeping/maintenance-runs.ts';

export interface MigrateOptions {
  readonly maintenance: RecordedRuns;
  readonly vote: Vote | undefined;
  readonly signal: AbortSignal;
}

/**
 * Changes the format in which the references of a repository are stored, while all changes of it
 * wait. git prepares the references next to the old ones, and lists both for comparison; one rename
 * of the config file is the change. Whenever the process dies, all references are there in one of
 * the formats.
 *
 * @returns false for a repository that has the format.
 * @throws {GitalyError} FAILED_PRECONDITION for an old git, INTERNAL `running refs migrate: …` as
 *   git refuses (worktrees), and as {@link excludeChanges}. Nothing has changed then.
 */
export async function migrateReferences(
  repository: Repository,
  target: StoredBackend,
  { maintenance, vote, signal }: MigrateOptions,
): Promise<boolean> {
  if (repository.referenceBackend === target) return false;
  if (!repository.git.capabilities.refsMigrate)
    throw new GitalyError(
      'FAILED_PRECONDITION',
      `migrating references needs git ${versionWith('refsMigrate')} or newer`,
    );
  const cast = async (sum: string, ...phases: readonly VotePhase[]): Promise<void> => {
    for (const phase of phases) await vote?.(phase, voteHash(`migrate references to ${target} ${sum}`));
  };
  // Packing references is a change, too, and one that may take long.
  using _run = await maintenance.takeOver(repository, signal);
  await using _exclusion = await excludeChanges(repository, signal);
  if (repository.referenceBackend === target) return false;
  repository.caches.forget(repository);
  const draft = await draftReferences(repository, target, signal);
  try {
    await cast(draft.sum, 'preparing', 'prepared');
    await switchReferences(repository, draft, { target, signal });
  } finally {
    await endMigration(repository.path, draft.path);
    repository.caches.forget(repository);
  }
  await cast(draft.sum, 'committed');
  return true;
}

const CONFIG_MODE = 0o644;
/**
 * Time for which the old references stay readable: a git that has read the old config file opens
 * them next.
 */
const OLD_READERS_MS = 500;

/**
 * Makes the references of a draft those of the repository, by one rename of the config file. The
 * old ones stay, unused; an abort before the rename changes nothing.
 */
async function switchReferences(
  repository: Repository,
  draft: ReferencesDraft,
  { target, signal }: { readonly target: StoredBackend; readonly signal: AbortSignal },
): Promise<void> {
  signal.throwIfAborted();
  await beginMoves(draft.path, target);
  await moveReferences(repository.path, draft.path, target);
  await replaceLocked(`${repository.path}/config`, await readFile(`${draft.path}/config`), {
    mode: CONFIG_MODE,
  });
  await delay(OLD_READERS_MS);
}

/** The references of a repository in another format, in a directory of the repository. */
interface ReferencesDraft {
  /** Absolute path of the draft. Its file `config` is the repository's with the other format. */
  readonly path: string;
  /** Checksum of all references, those outside `refs/` among them; the same in both formats. */
  readonly sum: string;
}

const VERSION = 'core.repositoryformatversion';
const STORAGE = 'extensions.refstorage';

/**
 * Lets git write the references of a repository in another format, and compares them. Changes of
 * the repository must be excluded.
 *
 * @throws {GitalyError} INTERNAL `running refs migrate: exit status 255, stderr: "…"`, `reference
 *   hash does not match`.
 */
async function draftReferences(
  repository: Repository,
  target: StoredBackend,
  signal: AbortSignal,
): Promise<ReferencesDraft> {
  // Of a process that was killed.
  for (const path of await draftsIn(repository)) await endMigration(repository.path, path);
  try {
    const sum = await sumReferences(repository, signal);
    await runMigrate(repository, target, signal);
    const [path] = await draftsIn(repository);
    if (path === undefined) throw new GitalyError('INTERNAL', 'git has written no references');
    await draftConfig(repository, path, { target, signal });
    const written = repository.at(path).withObjectDirectories(repository);
    if ((await sumReferences(written, signal)) !== sum)
      throw new GitalyError('INTERNAL', 'reference hash does not match');
    await syncTree(path);
    return { path, sum };
  } catch (error) {
    for (const path of await draftsIn(repository)) await rm(path, { recursive: true, force: true });
    throw error;
  }
}

async function runMigrate(repository: Repository, target: StoredBackend, signal: AbortSignal): Promise<void> {
  const command = gitCommand('refs', {
    action: 'migrate',
    options: [flag('--dry-run'), joined('--ref-format', target)],
  });
  await repository.run(command, { signal }).catch((error: unknown) => {
    if (!(error instanceof GitExitError) || signal.aborted) throw error;
    const message = `running refs migrate: ${error.message}, stderr: ${quote(error.stderr)}`;
    throw new GitalyError('INTERNAL', message, { cause: error });
  });
}

async function draftsIn({ path }: Repository): Promise<string[]> {
  return (await readdir(path)).filter((name) => REFERENCE_DRAFT.test(name)).map((name) => `${path}/${name}`);
}

async function sumReferences(repository: Repository, signal: AbortSignal): Promise<string> {
  const command = gitCommand('for-each-ref', {
    options: [flag('--include-root-refs'), joined('--format', '%(refname) %(objectname) %(symref)')],
  });
  const hash = createHash('sha256');
  await using process = repository.spawn(command, { signal });
  for await (const chunk of process.stdout) hash.update(chunk);
  await process.succeeded();
  return hash.digest('hex');
}

/** Writes the repository's config file with another format of references into a draft, as git does. */
async function draftConfig(
  repository: Repository,
  draft: string,
  { target, signal }: { readonly target: StoredBackend; readonly signal: AbortSignal },
): Promise<void> {
  const file = `${draft}/config`;
  await copyFile(`${repository.path}/config`, file);
  const edit = async (word: string, ...args: readonly string[]): Promise<void> => {
    const options = [value('--file', file), flag(word)];
    await repository.run(gitCommand('config', { options, args }), { signal });
  };
  if (target === 'reftable') await edit('--replace-all', STORAGE, target);
  else await edit('--unset-all', STORAGE);
  await edit('--replace-all', VERSION, hasExtensions(await readFile(file, 'latin1')) ? '1' : '0');
  const format = parseFormat(await readFile(file, 'latin1'), false);
  if (format.referenceBackend !== target || format.objectFormatName !== repository.format.objectFormatName)
    throw new GitalyError('INTERNAL', 'the config file is an unusual one');
}

/** With extensions, git requires version 1; without, any git supports version 0. */
function hasExtensions(text: string): boolean {
  const settings = parseSettings(text);
  return settings === undefined || settings.some(({ key }) => key.startsWith('extensions.'));
}
