import { GitalyError, wrap } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import { flag, gitCommand, joined } from '#git/command/git-command';
import { outputLines } from '#git/command/output-lines';
import type { Repository } from '#storage/repository';
import { setDefaultBranch } from '../ref-update/set-default-branch.ts';
import { fetchVoted } from '../remote/fetch/fetch-voted.ts';
import { runRecorded } from '../transactions/run-recorded.ts';
import type { TransactionHooks } from '../transactions/transaction-hooks.ts';
import { spoolBundle } from './spool-bundle.ts';

export interface FetchBundleOptions {
  /** Points HEAD to the branch that HEAD of the bundle has the commit of. */
  readonly updateHead: boolean;
  readonly hooks: TransactionHooks | undefined;
  readonly signal: AbortSignal;
}

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
  const { hooks, signal } = options;
  await using bundle = await spoolBundle(repository.storage, pieces);
  if (!bundle.isBundle) throw failed('exit status 128', notABundle(bundle.path));
  if (!bundle.hasHeader) throw failed('exit status 128', CUT_OFF);
  const command = gitCommand('fetch', {
    options: ['--no-write-fetch-head', '--quiet', '--atomic'].map(flag),
    args: ['inmemory'],
  });
  const config = [
    { key: 'remote.inmemory.url', value: bundle.path, secret: true },
    { key: 'remote.inmemory.fetch', value: '+refs/*:refs/*', secret: true },
    { key: 'transfer.fsckObjects', value: 'false' },
  ];
  const order = () => reversedNames(repository, bundle.path, signal);
  const failure = await fetchVoted(
    repository,
    async (into) => (await runRecorded(into, command, { signal, config })).failure,
    { hooks, signal, order },
  );
  if (failure !== undefined) throw failed(failure.message, failure.stderr, failure);
  if (options.updateHead) await updateHead(repository, bundle.path, options);
}

/** Returns the names of a bundle's references, the last one first: so git's transport lists them. */
async function reversedNames(
  repository: Repository,
  bundlePath: string,
  signal: AbortSignal,
): Promise<readonly Buffer[]> {
  const names: Buffer[] = [];
  const command = gitCommand('bundle', { action: 'list-heads', args: [bundlePath] });
  for await (const lines of outputLines(repository, command, { hooks: 'disabled', signal }))
    for (const line of lines) names.push(line.subarray(line.indexOf(SPACE) + 1));
  return names.reverse();
}

function failed(exit: string, stderr: string, cause?: unknown): GitalyError {
  return new GitalyError('INTERNAL', `${exit}, stderr: ${quote(stderr)}`, { cause });
}

/** Returns what git prints about a file that is neither a bundle nor the path of a repository. */
function notABundle(path: string): string {
  return (
    `fatal: invalid gitfile format: ${path}\nfatal: Could not read from remote repository.\n\n` +
    'Please make sure you have the correct access rights\nand the repository exists.\n'
  );
}

async function updateHead(
  repository: Repository,
  bundlePath: string,
  { hooks, signal }: FetchBundleOptions,
): Promise<void> {
  const command = gitCommand('bundle', { action: 'list-heads', args: [bundlePath, 'HEAD'] });
  const [oid = ''] = (await repository.run(command, { signal })).toString('latin1').split(' ');
  if (oid === '') return;
  const branch = await branchAt(repository, oid, signal).catch((error: unknown) => {
    throw wrap(error, 'guess head');
  });
  await setDefaultBranch(repository, branch, { hooks, signal }).catch((error: unknown) => {
    throw wrap(error, 'update head');
  });
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
