import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Metadata } from '#rpc/common/metadata';
import { gitOutput, initServed } from '#testkit/repositories/init-repository';
import { startGitaly } from '#testkit/start-gitaly';

const repository = { storageName: 'default', relativePath: 'x.git' };
const TRAILER = 'x-gitaly-explanation-bin';

/** Starts a server with one repository; `count` makes a call that needs git, and returns its trailers. */
async function start({ explain }: { explain: boolean }) {
  const gitaly = await startGitaly({ config: { git: { explain, in_process: false } } });
  const path = initServed(gitaly, repository.relativePath, { commits: 3 });
  return Object.assign(gitaly, {
    path,
    count: async (headers: Record<string, string>, revision = 'main') => {
      const trailers: Metadata[] = [];
      const { count } = await gitaly.connection.commit.countCommits(
        { repository, revision: Buffer.from(revision) },
        { metadata: headers, onTrailers: (metadata) => trailers.push(metadata) },
      );
      return { count, json: trailers[0]?.getBytes(TRAILER)?.toString() };
    },
  });
}

test('a call that asks for it is told which git commands ran and what they cost', async () => {
  await using gitaly = await start({ explain: true });

  const { count, json } = await gitaly.count({ 'x-gitaly-explain': 'true' });

  assert.equal(count, Number(gitOutput(gitaly.path, ['rev-list', '--count', 'main'])));
  const { commands, time_ms: timeMs, ...facts } = JSON.parse(json ?? '{}');
  const command = commands.find(({ args }: { args: string[] }) => args.includes('rev-list'));
  assert.ok(command.args.includes('main'), JSON.stringify(commands));
  assert.equal(command.exit_code, 0);
  assert.ok(command.wall_ms > 0 && command.wall_ms <= timeMs);
  assert.equal(facts.omitted_commands, 0);
  assert.equal(facts['command.count'], commands.length);
});

test('without the header, or if the configuration does not allow it, there is no explanation', async () => {
  await using allowed = await start({ explain: true });
  assert.equal((await allowed.count({})).json, undefined);

  await using refused = await start({ explain: false });
  assert.equal((await refused.count({ 'x-gitaly-explain': 'true' })).json, undefined);
});

test('an explanation is bounded', async () => {
  await using gitaly = await start({ explain: true });
  const long = `main${'~0'.repeat(5000)}`;

  const { json = '' } = await gitaly.count({ 'x-gitaly-explain': 'true' }, long);

  assert.ok(json.includes('~0~0'));
  assert.ok(Buffer.byteLength(json) <= 5000);
});
