import { GitalyError, wrap } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import { flag, gitCommand } from '#git/command/git-command';
import { outputLines } from '#git/command/output';
import { GitExitError } from '#git/command/process/exit-error';
import { objectIdProblem, ZERO_OID } from '#git/names/object-id';
import { RefTransaction } from '#git/refs/update/ref-transaction';
import type { Vote } from '#storage/lifecycle/voter';
import type { Repository } from '#storage/repository';
import type { Housekeeping } from '../housekeeping/housekeeping.ts';
import { deleteReferences } from '../ref-update/delete-references.ts';
import { fetchVoted } from '../remote/fetch/fetch-voted.ts';
import { runRecorded } from '../transactions/run-recorded.ts';
import type { TransactionHooks } from '../transactions/transaction-hooks.ts';

/** References of the origin, in the pool. */
const REFSPEC = '+refs/*:refs/remotes/origin/*';
const OPTIONS = ['--quiet', '--atomic', '--no-tags', '--no-write-fetch-head', '--no-show-forced-updates'];
const QUIET = [{ key: 'advice.fetchShowForcedUpdates', value: 'false' }];
const LINE_FEED = Buffer.from('\n');
const PRUNED = ' * [would prune] ';

export interface FetchIntoPoolOptions {
  readonly housekeeping: Housekeeping;
  readonly hooks: TransactionHooks | undefined;
  readonly vote: Vote | undefined;
  readonly signal: AbortSignal;
}

/** Number of references that are created at once. */
const BATCH = 1000;

/**
 * Brings a pool up to date with one of its members, the origin, and does the maintenance that it
 * needs. Nothing is ever deleted from it: what the origin has no longer may be needed by others.
 *
 * @throws {GitalyError} `cleaning stale data: …`, `pruning references: …`, `fetch into object pool:
 *   …`, `rescuing dangling objects: …`, `optimizing pool repo: …`.
 */
export async function fetchIntoPool(
  pool: Repository,
  origin: Repository,
  { housekeeping, hooks, vote, signal }: FetchIntoPoolOptions,
): Promise<void> {
  await housekeeping.cleanStaleData(pool, { vote, signal }).catch(prefixed('cleaning stale data'));
  await pruneReferences(pool, origin, { vote, signal }).catch(prefixed('pruning references'));
  await fetch(pool, origin, { hooks, signal });
  await rescueDanglingObjects(pool, signal).catch(prefixed('rescuing dangling objects'));
  await housekeeping.optimize(pool, { vote, signal }).catch(prefixed('optimizing pool repo'));
}

/**
 * Deletes the references that the origin has no longer. One of them may be in the way of a new one:
 * `a` of `a/b`, which a fetch that is atomic does not resolve. The nodes of a cluster vote in any
 * case: on one of them there may be something to delete.
 */
async function pruneReferences(
  pool: Repository,
  origin: Repository,
  { vote, signal }: Pick<FetchIntoPoolOptions, 'vote' | 'signal'>,
): Promise<void> {
  const names: Buffer[] = [];
  const command = gitCommand('remote', { action: 'prune', options: [flag('--dry-run')], args: ['origin'] });
  const env = {
    GIT_CONFIG_COUNT: '2',
    GIT_CONFIG_KEY_0: 'remote.origin.url',
    GIT_CONFIG_VALUE_0: origin.path,
    GIT_CONFIG_KEY_1: 'remote.origin.fetch',
    GIT_CONFIG_VALUE_1: REFSPEC,
  };
  for await (const lines of outputLines(pool, command, { env, hooks: 'disabled', signal })) {
    for (const line of lines) {
      if (line.subarray(0, PRUNED.length).toString('latin1') !== PRUNED) continue;
      names.push(Buffer.concat([Buffer.from('refs/remotes/'), line.subarray(PRUNED.length)]));
    }
  }
  if (names.length === 0 && vote === undefined) return;
  const zero = ZERO_OID[pool.objectFormat];
  const lineOf = (name: Uint8Array): Buffer =>
    Buffer.concat([Buffer.from(`${zero} ${zero} `), name, LINE_FEED]);
  await deleteReferences(pool, names, { vote, lineOf, signal });
}

async function fetch(
  pool: Repository,
  origin: Repository,
  { hooks, signal }: Pick<FetchIntoPoolOptions, 'hooks' | 'signal'>,
): Promise<void> {
  const command = gitCommand('fetch', { options: OPTIONS.map(flag), args: [origin.path, REFSPEC] });
  const failure = await fetchVoted(
    pool,
    async (into) => (await runRecorded(into, command, { signal, config: QUIET })).failure,
    { hooks, signal },
  );
  if (failure === undefined) return;
  const message = `fetch into object pool: ${failure.message}, stderr: ${quote(failure.stderr)}`;
  throw new GitalyError('INTERNAL', message, { cause: failure });
}

function prefixed(doing: string): (error: unknown) => never {
  return (error) => {
    const stderr = error instanceof GitExitError ? { stderr: error.stderr } : {};
    throw wrap(error, doing, 'INTERNAL', { metadata: stderr });
  };
}

/**
 * Makes references `refs/dangling/<object id>` to everything in a pool that no reference leads to,
 * so that no command drops it. Each node of a cluster has other such objects: there is no vote.
 *
 * @throws {GitExitError} when the pool is damaged.
 */
async function rescueDanglingObjects(pool: Repository, signal: AbortSignal): Promise<void> {
  const command = gitCommand('fsck', { options: ['--connectivity-only', '--dangling'].map(flag) });
  let oids: string[] = [];
  const flush = async (): Promise<void> => {
    if (oids.length > 0) await createReferences(pool, oids, signal);
    oids = [];
  };
  try {
    for await (const lines of outputLines(pool, command, { signal })) {
      for (const line of lines) {
        const [what, , oid] = line.toString('latin1').split(' ');
        if (what !== 'dangling' || oid === undefined) continue;
        if (objectIdProblem(Buffer.from(oid), pool.objectFormat) === undefined) oids.push(oid);
        if (oids.length >= BATCH) await flush();
      }
    }
  } finally {
    if (!signal.aborted) await flush();
  }
}

async function createReferences(
  pool: Repository,
  oids: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  await using transaction = await RefTransaction.start(pool, { signal });
  for (const newOid of oids) await transaction.update(`refs/dangling/${newOid}`, { newOid });
  await transaction.commit();
}
