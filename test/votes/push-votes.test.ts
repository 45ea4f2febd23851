import assert from 'node:assert/strict';
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { writeScript } from '#testkit/clients/operation-fixture';
import { gitOutput } from '#testkit/repositories/init-repository';
import { pushBody, readReport, ZERO_OID } from '#testkit/repositories/push';
import { startVotingServer, type VotingServer } from '#testkit/servers/voting-server';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import { makeVotingRepository, type Revision } from './fixture.ts';

type Value = Revision | 'none';
/** The value that the pusher expects, the new one, and the branch. */
type Command = readonly [from: Value, to: Value, branch: string];

const CREATE: Command = ['none', 'after', 'new'];
const MOVE: Command = ['main', 'after', 'loose'];
const DELETE: Command = ['main', 'none', 'packed'];
/** The branch has another value. */
const STALE: Command = ['base', 'after', 'topic'];
const STALE_DELETE: Command = ['base', 'none', 'pick'];

const CASES: readonly { readonly commands: readonly Command[]; readonly isAtomic?: boolean }[] = [
  { commands: [CREATE] },
  { commands: [CREATE, MOVE, DELETE] },
  { commands: [DELETE, CREATE] },
  { commands: [STALE] },
  { commands: [STALE, CREATE] },
  { commands: [CREATE, STALE] },
  { commands: [STALE_DELETE, MOVE, STALE, DELETE] },
  { commands: [MOVE, CREATE, DELETE], isAtomic: true },
  { commands: [MOVE, STALE, CREATE], isAtomic: true },
];

/** Pushes to a copy of the repository, and returns its votes and report. */
async function push(
  gitaly: TestGitaly,
  cluster: VotingServer,
  { id, body, made, scripts }: { id: number; body: Buffer; made: string; scripts: readonly string[] },
) {
  const relativePath = `${id}.git`;
  const path = join(gitaly.storagePath(), relativePath);
  cpSync(made, path, { recursive: true });
  // git starts hooks for which there are scripts.
  for (const hook of scripts) writeScript(join(path, 'custom_hooks', hook), 'exit 0');
  const repository = { storageName: 'default', relativePath, glRepository: 'project-1' };
  const answer: Uint8Array[] = [];
  for await (const { data } of cluster.connection.smartHttp.postReceivePack(
    [{ repository, glId: 'user-1', glRepository: 'project-1' }, { data: body }],
    { metadata: cluster.metadata({ id }) },
  ))
    answer.push(data);
  const votes = cluster.votes.filter(({ transactionId }) => transactionId === BigInt(id));
  return {
    votes: votes.map(({ hash, phase }) => `${phase} ${hash}`),
    report: readReport(Buffer.concat(answer)).report,
    references: gitOutput(path, ['show-ref']),
  };
}

suite('votes of a push', () => {
  test('are equal whether git starts update and post-receive hooks or not', async () => {
    await using gitaly = await startGitaly();
    await using cluster = await startVotingServer(gitaly.address);
    const made = join(gitaly.directory, 'made.git');
    const ids = { ...makeVotingRepository(made), none: ZERO_OID };
    for (const [index, { commands, isAtomic }] of CASES.entries()) {
      const lines = commands.map(([from, to, name]) => `${ids[from]} ${ids[to]} refs/heads/${name}`);
      const capabilities = `report-status side-band-64k${isAtomic === true ? ' atomic' : ''}`;
      const body = pushBody(lines, { capabilities });
      const [id, name] = [3 * index + 1, `${isAtomic === true ? 'atomic ' : ''}${lines.join(', ')}`];

      const both = ['update', 'post-receive'];
      const expected = await push(gitaly, cluster, { id, body, made, scripts: both });
      const pushed = await push(gitaly, cluster, { id: id + 1, body, made, scripts: [] });
      const one = await push(gitaly, cluster, { id: id + 2, body, made, scripts: ['post-receive'] });

      assert.deepEqual(pushed, expected, name);
      assert.deepEqual(one, expected, name);
      assert.ok(expected.votes.length >= 3, name);
    }
  });
});
