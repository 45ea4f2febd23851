import { randomUUID } from 'node:crypto';
import { codeOf, GitalyError } from '#base/gitaly-error';
import type { CallOptions } from '../call/call-types.ts';
import type { Place } from './place.ts';
import { type TextOrBytes, toBytes } from './values.ts';

export interface SetRulesOptions extends CallOptions {
  /** The rules that are replaced, `''` for none. Default: any. */
  readonly expected?: TextOrBytes;
}

const HEADS = Buffer.from('refs/heads/');
const HEAD = Buffer.from('HEAD');

/**
 * Points HEAD to a branch (RPC WriteRef). It must exist, unless the repository has no branches.
 *
 * @throws {GitalyError} NOT_FOUND.
 */
export async function setDefaultBranch(
  { connection, repository }: Place,
  branch: TextOrBytes,
  options: CallOptions,
): Promise<void> {
  const name = Buffer.concat([HEADS, toBytes(branch)]);
  const { value: exists } = await connection.ref.refExists({ repository, ref: name }, options);
  if (!exists && (await connection.repository.hasLocalBranches({ repository }, options)).value)
    throw new GitalyError('NOT_FOUND', `there is no branch ${name.toString('utf8', HEADS.length)}`);
  await connection.repository.writeRef({ repository, ref: HEAD, revision: name }, options);
}

/** Returns the rules of a repository for pushes, as JSON; `undefined` for none. */
export async function rulesOf(
  { connection, repository }: Place,
  options: CallOptions,
): Promise<string | undefined> {
  const { rules } = await connection.settings.get({ repository }, options);
  return rules.length === 0 ? undefined : Buffer.from(rules).toString();
}

/** Sets the rules of a repository for pushes, as JSON; `undefined` removes them. */
export async function setRules(
  { connection, repository }: Place,
  rules: string | undefined,
  { expected, ...options }: SetRulesOptions,
): Promise<void> {
  const request = { repository, rules: toBytes(rules ?? '') };
  await connection.settings.setRules(
    { ...request, ...(expected !== undefined && { expected: toBytes(expected) }) },
    options,
  );
}

/**
 * Gives a fork the files of Git LFS of its source. Does nothing for a source without such files,
 * and on a server that has no settings.
 */
export async function shareLfs(
  { connection, repository: source }: Pick<Place, 'connection' | 'repository'>,
  fork: Place['repository'],
  options: CallOptions,
): Promise<void> {
  try {
    const { lfsIds } = await connection.settings.get({ repository: source }, options);
    if (lfsIds.length === 0) return;
    await connection.settings.setLfsIds({ repository: fork, ids: [randomUUID(), ...lfsIds] }, options);
  } catch (error) {
    if (codeOf(error) !== 'UNIMPLEMENTED') throw error;
  }
}
