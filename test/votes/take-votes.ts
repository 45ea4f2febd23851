import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { isError } from '#base/is-error';
import { gitalyServers } from '#client/index';
import { startGitHttpServer } from '#testkit/servers/git-http-server';
import { startVotingServer } from '#testkit/servers/voting-server';
import { makeRemote, makeVotingRepository } from './fixture.ts';
import { VOTING_CALLS } from './voting-calls.ts';

/** The votes of a call, and its outcome. */
export interface CallVotes {
  /** `<phase> <hash>` of each vote, in order. */
  readonly votes: readonly string[];
  /** Message of the error, if the call failed. */
  readonly error?: string;
}

/** Functions that are called around each call. */
export interface CallObserver {
  readonly before?: () => void;
  readonly after?: (name: string) => void;
}

/**
 * Makes the calls on a server, each on its own copy of the repository, as the only node of a
 * cluster.
 *
 * @param storage path of its storage `default`
 */
export async function takeVotes(
  address: string,
  storage: string,
  { before, after }: CallObserver = {},
): Promise<Record<string, CallVotes>> {
  const made = join(storage, 'made.git');
  const ids = makeVotingRepository(made);
  makeRemote(made, join(storage, 'remote.git'));
  await using web = await startGitHttpServer(storage);
  await using cluster = await startVotingServer(address);
  const taken: Record<string, CallVotes> = {};
  for (const [index, { name, run }] of VOTING_CALLS.entries()) {
    const relativePath = `${index}.git`;
    cpSync(made, join(storage, relativePath), { recursive: true });
    const metadata = {
      ...cluster.metadata({ id: index + 1 }),
      ...gitalyServers({ default: { address } }),
    };
    before?.();
    const error = await run({
      connection: cluster.connection,
      options: { metadata },
      repository: {
        storageName: 'default',
        relativePath,
        glRepository: 'project-1',
        glProjectPath: 'group/project',
      },
      ids,
      remoteUrl: `${web.url}/r/remote.git`,
    }).then(
      () => undefined,
      (reason: unknown) => (isError(reason) ? reason.message : `${reason}`),
    );
    after?.(name);
    const votes = cluster.votes
      .filter(({ transactionId }) => transactionId === BigInt(index + 1))
      .map(({ phase, hash }) => `${phase.replace('_PHASE', '').toLowerCase()} ${hash}`);
    taken[name] = { votes, ...(error !== undefined && { error }) };
    rmSync(join(storage, relativePath), { recursive: true });
  }
  return taken;
}
