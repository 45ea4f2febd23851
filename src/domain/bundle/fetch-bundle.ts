import { open } from 'node:fs/promises';
import { GitalyError, wrapped } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import { flag, gitCommand, joined } from '#git/command/git-command';
import { outputLines } from '#git/command/output';
import type { GitExitError } from '#git/command/process/exit-error';
import { HEAD } from '#git/names/ref-name';
import type { Repository } from '#storage/repository';
import { setDefaultBranch } from '../ref-update/set-default-branch.ts';
import { fetchVoted } from '../remote/fetch/fetch-voted.ts';
import { runRecorded } from '../transactions/run-recorded.ts';
import type { TransactionHooks } from '../transactions/transaction-hooks.ts';
import { BundleHeader, type BundleReference } from './bundle-header.ts';
import { fillFromBundle, hasNoReferences } from './fill-from-bundle.ts';
import { type SpooledBundle, spoolBundle } from './spool-bundle.ts';

export interface FetchBundleOptions {
  /** Points HEAD to the branch that HEAD of the bundle has the commit of. */
  readonly updateHead: boolean;
  readonly hooks: TransactionHooks | undefined;
  /** True if no other process uses the repository: its references may be replaced as a whole. */
  readonly isDraft?: boolean;
  /** Is called with the references of the bundle, HEAD among them, before they are fetched. */
  readonly onReferences?: (references: AsyncIterable<readonly BundleReference[]>) => Promise<void>;
  readonly signal: AbortSignal;
}

/** The objects of a staging repository already belong to the visible one; its references do not. */
const FLUSHED_OBJECTS = { key: 'core.fsync', value: 'objects,derived-metadata' };
const SPACE = 0x20;
const CUT_OFF = 'fatal: the bundle is cut off in its header\n';
/** Names that are preferred if several branches are at the commit of HEAD. */
const PREFERRED = ['refs/heads/main', 'refs/heads/master'];

/**
 * Copies the references of a bundle, and the objects that they need, into a repository: all or
 * none. References that the bundle does not have stay.
 *
 * @throws {GitalyError} INTERNAL `exit status N, stderr: "…"`, `guess head: …`.
 */
export async function fetchBundle(
  repository: Repository,
  pieces: AsyncIterable<Uint8Array>,
  options: FetchBundleOptions,
): Promise<void> {
  const { hooks, isDraft = false, signal } = options;
  await using bundle = await spoolBundle(repository.storage, pieces);
  if (!bundle.isBundle) throw failed('exit status 128', notABundle(bundle.path));
  if (!bundle.hasHeader) throw failed('exit status 128', CUT_OFF);
  await using file = await open(bundle.path);
  const header = await BundleHeader.read(file, bundle.headerBytes);
  await options.onReferences?.(referencesOf(repository, { bundle, header, signal }));
  const long = header?.isLong === true ? header : undefined;
  const fetch = async (into: Repository): Promise<GitExitError | undefined> => {
    const isUnseen = isDraft || into !== repository;
    if (long !== undefined && isUnseen && (await fillFromBundle(into, { header: long, file, signal })))
      return undefined;
    return await gitFetch(into, bundle, { isStaged: into !== repository, signal });
  };
  const failure = await fetchVoted(repository, fetch, {
    hooks,
    signal,
    order: () => reversedNames(repository, { bundle, header, signal }),
    isStaged: long !== undefined && !isDraft && (await hasNoReferences(repository, signal)),
  });
  if (failure !== undefined) throw failed(failure.message, failure.stderr, failure);
  if (options.updateHead) await updateHead(repository, { bundle, header, ...options });
}

interface GitFetchOptions {
  /** True for references of a staging repository, which are removed with it. */
  readonly isStaged: boolean;
  readonly signal: AbortSignal;
}

/**
 * Fetches with git. In a visible repository that has references, only git may do that: it locks
 * each reference, also for other processes, and changes all or none. It writes and flushes a file
 * for each, 4 ms or so, which very many references take minutes for. To write them into packed-refs
 * instead would need the same locks, and files that exist would hide them.
 *
 * @returns the failure of git.
 */
async function gitFetch(
  into: Repository,
  { path }: SpooledBundle,
  { isStaged, signal }: GitFetchOptions,
): Promise<GitExitError | undefined> {
  const command = gitCommand('fetch', {
    options: ['--no-write-fetch-head', '--quiet', '--atomic'].map(flag),
    args: ['inmemory'],
  });
  const config = [
    { key: 'remote.inmemory.url', value: path, secret: true },
    { key: 'remote.inmemory.fetch', value: '+refs/*:refs/*', secret: true },
    { key: 'transfer.fsckObjects', value: 'false' },
    ...(isStaged ? [FLUSHED_OBJECTS] : []),
  ];
  return (await runRecorded(into, command, { signal, config })).failure;
}

interface ReadBundle {
  readonly bundle: SpooledBundle;
  /** `undefined` if only git can read it. */
  readonly header: BundleHeader | undefined;
  readonly signal: AbortSignal;
}

/** Returns the names of a bundle's references, the last one first: so git's transport lists them. */
async function reversedNames(repository: Repository, read: ReadBundle): Promise<readonly Buffer[]> {
  const names: Buffer[] = [];
  for await (const references of referencesOf(repository, read))
    for (const { name } of references) names.push(name);
  return names.reverse();
}

/** Yields the references of a bundle in its order, HEAD among them. */
async function* referencesOf(
  repository: Repository,
  { bundle, header, signal }: ReadBundle,
): AsyncGenerator<readonly BundleReference[]> {
  if (header !== undefined && (await header.isReadable({ signal }))) {
    yield* header.pieces({ signal });
    return;
  }
  const command = gitCommand('bundle', { action: 'list-heads', args: [bundle.path] });
  for await (const lines of outputLines(repository, command, { hooks: 'disabled', signal }))
    yield lines.map((line) => {
      const space = line.indexOf(SPACE);
      return { oid: line.subarray(0, space), name: line.subarray(space + 1) };
    });
}

function failed(exit: string, stderr: string, cause?: unknown): GitalyError {
  return new GitalyError('INTERNAL', `${exit}, stderr: ${quote(stderr)}`, { cause });
}

/** Returns git's message about a file that is neither a bundle nor the path of a repository. */
function notABundle(path: string): string {
  return (
    `fatal: invalid gitfile format: ${path}\nfatal: Could not read from remote repository.\n\n` +
    'Please make sure you have the correct access rights\nand the repository exists.\n'
  );
}

async function updateHead(
  repository: Repository,
  { hooks, ...read }: ReadBundle & Pick<FetchBundleOptions, 'hooks'>,
): Promise<void> {
  const { signal } = read;
  const oid = await headOf(repository, read);
  if (oid === undefined) return;
  const branch = await branchAt(repository, oid, signal).catch(wrapped('guess head'));
  await setDefaultBranch(repository, branch, { hooks, signal }).catch(wrapped('update head'));
}

async function headOf(repository: Repository, read: ReadBundle): Promise<string | undefined> {
  for await (const references of referencesOf(repository, read))
    for (const { name, oid } of references) if (name.equals(HEAD)) return oid.toString('latin1');
  return undefined;
}

/** Returns the branch that is most likely the one of HEAD. */
async function branchAt(repository: Repository, oid: string, signal: AbortSignal): Promise<Buffer> {
  for (const name of PREFERRED)
    if ((await repository.refs.resolve(name, { signal }))?.oid === oid) return Buffer.from(name);
  const command = gitCommand('for-each-ref', {
    options: [flag('--count=1'), flag('--format=%(refname)'), joined('--points-at', oid)],
    args: ['refs/heads/'],
  });
  const output = await repository.run(command, { signal });
  if (output.length === 0) throw new Error('reference not found');
  return output.subarray(0, output.indexOf('\n'));
}
