import { LoopSlice } from '#base/async/loop-turns';
import { collectOutput } from '#git/command/collect-output';
import { flag, gitCommand } from '#git/command/git-command';
import { FallBackToGit, fallBackOnFailure } from '#git/command/in-process';
import { GitExitError } from '#git/command/process/exit-error';
import type { NewRef } from '#git/refs/update/create-packed-refs';
import type { Repository } from '#storage/repository';
import type { PreparedPush } from './prepare-push.ts';
import { proveConnected } from './prove-connected.ts';
import type { Push } from './push.ts';

/** A push that `git receive-pack` would accept, but for its hooks. */
export interface ProvedPush extends PreparedPush {
  /** The references of a push that creates many; `undefined` for the change of one. */
  readonly creations: readonly NewRef[] | undefined;
}

const NOT_A_COMMIT = new FallBackToGit('a branch would not be a commit');
const NOT_CONNECTED = new FallBackToGit('objects are missing');
const MISSING = new FallBackToGit('an object may be missing');

/** The call of git's receive-pack. */
const CONNECTED = gitCommand('rev-list', {
  options: ['--objects', '--stdin', '--not', '--all', '--quiet'].map(flag),
});
const MAX_OUTPUT_BYTES = 64 * 1024;

/**
 * Proves that nothing is missing of the history of the new values, and that branches become
 * commits.
 *
 * @throws {FallBackToGit} without a proof.
 */
export async function provePush(push: Push, prepared: PreparedPush): Promise<ProvedPush> {
  const { head, newOids, quarantine, request } = prepared;
  const [{ newOid, oldOid, reference }, ...others] = request.commands;
  if (others.length > 0) return { ...prepared, creations: await proveCreations(push, prepared) };
  const { repository, signal } = push;
  const { objects } = quarantine.repository;
  const context = { repository, objects, newOids, oldOid, head, signal };
  const type = await proveConnected(newOid, context).catch(fallBackOnFailure);
  if (type !== 'commit' && isBranch(reference)) throw NOT_A_COMMIT;
  return { ...prepared, creations: undefined };
}

/** Proves the same of many new references, and returns what packed-refs has about them. */
async function proveCreations(
  { signal }: Push,
  { request: { commands }, quarantine: { repository } }: PreparedPush,
): Promise<readonly NewRef[]> {
  const oids = new Set(commands.map(({ newOid }) => newOid));
  await requireConnected(repository, oids, signal);
  const peeled = new Map<string, string | undefined>();
  const types = new Map<string, string>();
  const slice = new LoopSlice();
  for (const oid of oids) {
    await slice.pause(signal);
    const { type } = await infoOf(repository, oid, signal);
    types.set(oid, type);
    if (type === 'tag') peeled.set(oid, (await infoOf(repository, `${oid}^{}`, signal)).oid);
  }
  return commands.map(({ reference, newOid }) => {
    if (isBranch(reference) && types.get(newOid) !== 'commit') throw NOT_A_COMMIT;
    return { name: reference, oid: newOid, peeled: peeled.get(newOid) };
  });
}

function isBranch(reference: Buffer): boolean {
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
