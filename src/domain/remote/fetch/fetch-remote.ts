import { GitalyError, messageOf, wrapped } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import { inRefTransaction } from '#domain/ref-update/update-reference';
import type { TransactionHooks } from '#domain/transactions/transaction-hooks';
import { flag, gitCommand } from '#git/command/git-command';
import { abortText } from '#git/command/process/exit-error';
import { ZERO_OID } from '#git/names/object-id';
import { Quarantine } from '#storage/quarantine/quarantine';
import type { Repository } from '#storage/repository';
import { type OutgoingRemote, prepareOutgoing } from '../url/outgoing-remote.ts';
import { withoutCredentials } from '../url/remote-url.ts';
import { runOutgoing } from '../url/run-outgoing.ts';
import { type FetchedChanges, FetchStaging } from './fetch-staging.ts';

export interface FetchRemoteOptions {
  readonly remote: OutgoingRemote;
  /** As in a remote's configuration: `refs/heads/*:refs/heads/*`. */
  readonly refspecs: readonly string[];
  /** Overwrites references that the remote has rewritten. */
  readonly force: boolean;
  /** Deletes references that the remote does not have. */
  readonly prune: boolean;
  /** Fetches all tags, or none that no refspec names. */
  readonly tags: boolean;
  readonly hooks: TransactionHooks | undefined;
  readonly signal: AbortSignal;
}

/** A reference has the name of a directory of others, or the other way round. */
const LOCK_PROBLEM = 'error: cannot lock ref ';
const IN_THE_WAY = ['exists; cannot create', 'there are still refs under'] as const;
const UPDATE_PROBLEM = 'error: some local refs could not be updated; try running';

/**
 * Fetches from a remote. Objects are first kept apart; then references that the remote does not
 * have are deleted together, and all others are changed together. References that would lose
 * commits stay unless `force` is set, and are no error.
 *
 * @throws {GitalyError} INTERNAL `fetch remote: "<git's words>": exit status N`, `preparing
 *   reference update: …`, `preparing reference prune: …`.
 */
export async function fetchRemote(
  repository: Repository,
  options: FetchRemoteOptions,
): Promise<FetchedChanges> {
  const { hooks, signal } = options;
  await using quarantine = await Quarantine.create(repository);
  const changes = await fetchTo(quarantine.repository, options);

  const zero = ZERO_OID[repository.objectFormat];
  const transaction = { hooks, signal, noDereference: true };
  if (changes.removed.length > 0)
    await inRefTransaction(repository, transaction, async (updates) => {
      for (const name of changes.removed) await updates.update(name, { newOid: zero });
      await updates.prepare().catch(wrapped('preparing reference prune'));
    });
  if (changes.updated.length === 0) return changes;
  await inRefTransaction(quarantine.repository, transaction, async (updates) => {
    for (const { name, newOid, oldOid = zero } of changes.updated)
      await updates.update(name, { newOid, oldOid });
    await updates.prepare().catch(wrapped('preparing reference update'));
    await quarantine.migrate();
  });
  return changes;
}

async function fetchTo(quarantined: Repository, options: FetchRemoteOptions): Promise<FetchedChanges> {
  const { force, prune, tags, refspecs, signal } = options;
  await using outgoing = await prepareOutgoing(options.remote, quarantined.storage).catch(
    (error: unknown) => {
      throw new GitalyError('INTERNAL', messageOf(error), { cause: error });
    },
  );
  await using staging = await FetchStaging.create(quarantined, signal);
  const command = gitCommand('fetch', {
    options: [
      ...['--quiet', '--no-write-fetch-head', tags ? '--tags' : '--no-tags'],
      ...(prune ? ['--prune'] : []),
      ...(force ? ['--force'] : []),
    ].map(flag),
    args: ['inmemory'],
  });
  const config = [
    { key: 'remote.inmemory.url', value: outgoing.url, secret: true },
    ...refspecs.map((value) => ({ key: 'remote.inmemory.fetch', value, secret: true })),
    { key: 'advice.fetchShowForcedUpdates', value: 'false' },
  ];
  const writesTo = quarantined.objectDirectory;
  const run = { outgoing, signal, writesTo, config };
  const { failure } = await runOutgoing(staging.repository, command, run);
  if (failure !== undefined) {
    const stderr = withoutCredentials(failure.stderr);
    if (isInTheWay(stderr))
      throw new GitalyError('INTERNAL', 'preparing reference update: file directory conflict', {
        cause: failure,
      });
    // Without words some references could not be overwritten, which is no failure of the others.
    if (stderr !== '' || failure.exitCode !== 1) throw notFetched(stderr, failure, signal);
  }
  requireTargets(refspecs);
  return await staging.changes(signal);
}

function isInTheWay(stderr: string): boolean {
  return stderr
    .split('\n')
    .some(
      (line) =>
        line === UPDATE_PROBLEM ||
        (line.startsWith(LOCK_PROBLEM) && IN_THE_WAY.some((words) => line.includes(words))),
    );
}

function notFetched(stderr: string, failure: Error, signal: AbortSignal): GitalyError {
  const how = signal.aborted ? `signal: killed: ${abortText(signal)}` : failure.message;
  const what = stderr === '' || signal.aborted ? how : `${quote(stderr)}: ${how}`;
  return new GitalyError('INTERNAL', `fetch remote: ${what}`, { cause: failure });
}

/** Refuses, as Gitaly does, refspecs without a destination. */
function requireTargets(refspecs: readonly string[]): void {
  if (refspecs.every((refspec) => refspec.includes(':') || refspec.startsWith('^'))) return;
  throw new GitalyError(
    'INTERNAL',
    'scanning fetch output: validating reference: reference is not fully qualified',
  );
}
