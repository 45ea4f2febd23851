import { LoopSlice } from '#base/async/loop-turns';
import { sortInTurns } from '#base/async/sort-in-turns';
import { collectOutput } from '#git/command/collect-output';
import { flag, gitCommand } from '#git/command/git-command';
import { FallBackToGit, fallBackOnFailure } from '#git/command/in-process';
import { GitExitError } from '#git/command/process/exit-error';
import type { NewRef } from '#git/refs/update/create-packed-refs';
import type { Repository } from '#storage/repository';
import type { RelayedHook } from '../hooks/hooks-directories.ts';
import type { PushRequest } from './push-request.ts';
import type { Push } from './receive-pack.ts';

// A push that creates many references: git makes a transaction, a file and a flush for each.

export const NOT_A_COMMIT = new FallBackToGit('a branch would not be a commit');
const VOTED = new FallBackToGit('the nodes of a cluster vote on each reference');
const IN_EACH_OTHER = new FallBackToGit('a reference would be the directory of another');
const UPDATE_HOOK = new FallBackToGit('a hook decides on each reference');
const REFTABLES = new FallBackToGit('the references are in reftables');
const NOT_CONNECTED = new FallBackToGit('objects are missing');
const MISSING = new FallBackToGit('an object may be missing');

/** The call of git's receive-pack. */
const CONNECTED = gitCommand('rev-list', {
  options: ['--objects', '--stdin', '--not', '--all', '--quiet'].map(flag),
});
const MAX_OUTPUT_BYTES = 64 * 1024;

/** Checks that all references of a push can be created at once. @throws {FallBackToGit} otherwise. */
export async function requirePackable(
  { repository, transaction, signal }: Push,
  { commands }: PushRequest,
  needsHook: (hook: RelayedHook) => Promise<boolean>,
): Promise<void> {
  if (transaction !== undefined) throw VOTED;
  if (repository.referenceBackend !== 'files') throw REFTABLES;
  if (await needsHook('update')) throw UPDATE_HOOK;
  // Versions of git differ in which one of them they create. The names below one follow it.
  const paths = commands.map(({ reference }) => `${reference.toString('latin1')}/`);
  const sorted = await sortInTurns(paths, (one, other) => (one < other ? -1 : 1), signal);
  if (sorted.some((path, index) => sorted[index + 1]?.startsWith(path))) throw IN_EACH_OTHER;
}

/**
 * Proves that nothing is missing of the objects of new references, and returns these with what
 * packed-refs has about them.
 *
 * @param quarantine has the objects of the push.
 * @throws {FallBackToGit} without a proof, and for a branch that is no commit.
 */
export async function proveCreations(
  { commands }: PushRequest,
  quarantine: Repository,
  signal: AbortSignal,
): Promise<readonly NewRef[]> {
  const oids = new Set(commands.map(({ newOid }) => newOid));
  await requireConnected(quarantine, oids, signal);
  const peeled = new Map<string, string | undefined>();
  const types = new Map<string, string>();
  const slice = new LoopSlice();
  for (const oid of oids) {
    await slice.pause(signal);
    const { type } = await infoOf(quarantine, oid, signal);
    types.set(oid, type);
    if (type === 'tag') peeled.set(oid, (await infoOf(quarantine, `${oid}^{}`, signal)).oid);
  }
  return commands.map(({ reference, newOid }) => {
    if (isBranch(reference) && types.get(newOid) !== 'commit') throw NOT_A_COMMIT;
    return { name: reference, oid: newOid, peeled: peeled.get(newOid) };
  });
}

export function isBranch(reference: Buffer): boolean {
  return reference.toString('latin1', 0, 'refs/heads/'.length) === 'refs/heads/';
}

async function requireConnected(
  quarantine: Repository,
  oids: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<void> {
  await quarantine.spawnTurn(signal);
  const process = quarantine.spawn(CONNECTED, { stdin: 'pipe', signal });
  const input = `${[...oids].join('\n')}\n`;
  try {
    await collectOutput(process, { maxBytes: MAX_OUTPUT_BYTES, input });
  } catch (error) {
    throw error instanceof GitExitError && !signal.aborted ? NOT_CONNECTED : error;
  }
}

async function infoOf(quarantine: Repository, revision: string, signal: AbortSignal) {
  const info = await quarantine.objects.info(revision, { signal }).catch(fallBackOnFailure);
  if (info === undefined) throw MISSING;
  return info;
}
