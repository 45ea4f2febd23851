import { mkdir, writeFile } from 'node:fs/promises';
import { GitalyError, wrapped } from '#base/gitaly-error';
import { flag, type GitOption, gitCommand, joined } from '#git/command/git-command';
import type { Repository } from '#storage/repository';
import { createTempDirectory } from '#storage/temp-directories';
import { calculateChecksum } from '../checksum/calculate-checksum.ts';
import { fetchVoted } from '../remote/fetch/fetch-voted.ts';
import { runRecorded } from '../transactions/run-recorded.ts';
import type { TransactionHooks } from '../transactions/transaction-hooks.ts';

export interface RewriteOptions {
  /** Ids of blobs to remove from all commits. */
  readonly blobs: readonly string[];
  /** Lines of a `--replace-text` file: the texts are replaced in all blobs. */
  readonly redactions: readonly Uint8Array[];
  readonly hooks: TransactionHooks | undefined;
  readonly signal: AbortSignal;
}

const ARGUMENT_MODE = 0o600;
const LINE_FEED = Buffer.from('\n');
/** Said by git when it finds no such program. */
const NOT_INSTALLED = /'filter-repo' is not a git command/;

/**
 * Removes blobs and texts from the history of all references, by `git filter-repo` in a second
 * repository, from which all references are then taken over at once.
 *
 * @throws {GitalyError} FAILED_PRECONDITION when `git filter-repo` is not installed; ABORTED when a
 *   reference changed meanwhile; INTERNAL.
 */
export async function rewriteHistory(repository: Repository, options: RewriteOptions): Promise<void> {
  const { signal } = options;
  await requireReferences(repository, signal);
  await using scratch = await createTempDirectory(repository.storage, 'repo');
  const staging = `${scratch.path}/staging.git`;
  await makeStaging(repository, staging, signal);

  const before = await calculateChecksum(repository, options);
  await filter(repository, { staging, directory: scratch.path }, options);
  if ((await calculateChecksum(repository, options)) !== before)
    throw new GitalyError('ABORTED', 'source repository checksum altered');
  await takeOver(repository, staging, options);
}

/** The message is that of Gitaly's checksum, which fails without references. */
async function requireReferences(repository: Repository, signal: AbortSignal): Promise<void> {
  for await (const batch of repository.refs.list({ patterns: ['refs/'], limit: 1 }, { signal }))
    if (batch.length > 0) return;
  throw new GitalyError('INTERNAL', 'calculate initial checksum: git-show-ref failed with exit code 1');
}

async function makeStaging(repository: Repository, staging: string, signal: AbortSignal): Promise<void> {
  const head = await repository.refs.headTarget({ signal }).catch(wrapped('finding HEAD reference'));
  await mkdir(staging);
  const init = gitCommand('init', { options: [flag('--bare'), flag('--quiet')], args: [staging] });
  await repository.git.run(init, { signal });
  await writeFile(`${staging}/HEAD`, Buffer.concat([Buffer.from('ref: '), head, LINE_FEED]));
}

async function filter(
  repository: Repository,
  { staging, directory }: { readonly staging: string; readonly directory: string },
  { blobs, redactions, signal }: RewriteOptions,
): Promise<void> {
  const options: GitOption[] = [joined('--target', staging), joined('--source', repository.path)];
  // No new replace references, no collection of garbage, no removal of remotes.
  for (const name of ['--partial', '--force', '--replace-refs=update-no-add', '--quiet'])
    options.push(flag(name));
  const fileOf = async (name: string, lines: readonly Uint8Array[]): Promise<string> => {
    const file = `${directory}/${name}`;
    const content = Buffer.concat(lines.flatMap((line) => [line, LINE_FEED]));
    await writeFile(file, content.subarray(0, -1), { mode: ARGUMENT_MODE });
    return file;
  };
  if (blobs.length > 0) {
    const file = await fileOf(
      'strip-blobs',
      blobs.map((oid) => Buffer.from(oid)),
    );
    options.push(joined('--strip-blobs-with-ids', file));
  }
  if (redactions.length > 0) options.push(joined('--replace-text', await fileOf('replace-text', redactions)));

  const command = gitCommand('filter-repo', { options });
  const { failure } = await runRecorded(repository.git, command, { signal });
  if (failure === undefined) return;
  if (NOT_INSTALLED.test(failure.stderr))
    throw new GitalyError(
      'FAILED_PRECONDITION',
      'git filter-repo is not installed on the server: install the package git-filter-repo',
      { cause: failure },
    );
  throw new GitalyError(
    'INTERNAL',
    `rewriting repository history: git-filter-repo failed with exit code ${failure.exitCode}`,
    { cause: failure, metadata: { stderr: failure.stderr } },
  );
}

/** Replaces all references by the rewritten ones, all or none. */
async function takeOver(
  repository: Repository,
  staging: string,
  { hooks, signal }: RewriteOptions,
): Promise<void> {
  const command = gitCommand('fetch', {
    options: [
      ...['--prune', '--no-tags', '--force', '--atomic', '--no-show-forced-updates'],
      ...['--no-write-fetch-head', '--quiet'],
    ].map(flag),
    args: [`file://${staging}`, '+refs/*:refs/*'],
  });
  const config = [{ key: 'advice.fetchShowForcedUpdates', value: 'false' }];
  const failure = await fetchVoted(
    repository,
    async (into) => (await runRecorded(into, command, { signal, config })).failure,
    { hooks, signal },
  );
  if (failure === undefined) return;
  throw new GitalyError('INTERNAL', `fetching rewritten history: ${failure.message}`, {
    cause: failure,
    metadata: { stderr: failure.stderr },
  });
}
