import assert from 'node:assert/strict';
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { gitOutput } from '#testkit/repositories/init-repository';
import { pushBody } from '#testkit/repositories/push';
import { startVotingServer, type VotingServer } from '#testkit/servers/voting-server';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import { until } from '#testkit/until';
import { makePushFixture, type PushFixture } from './fixture.ts';

// A client leaves while its push waits for a vote. An error that nobody handles ends a server, and
// here the test.

let gitaly: TestGitaly;
let cluster: VotingServer;
let fixture: PushFixture;
let made: string;
before(async () => {
  gitaly = await startGitaly();
  cluster = await startVotingServer(gitaly.address);
  made = join(gitaly.directory, 'made.git');
  const format = { referenceBackend: 'files', objectFormat: 'sha1' } as const;
  fixture = makePushFixture(made, join(gitaly.directory, 'all.git'), format);
});
after(async () => {
  await cluster[Symbol.asyncDispose]();
  await gitaly[Symbol.asyncDispose]();
});

/** More than any push casts. */
const MOST_VOTES = 6;

for (const protocol of ['http', 'ssh'] as const)
  test(`a client that leaves during a vote ends nothing but its push, ${protocol}`, async () => {
    const { child, main } = fixture.ids;
    const body = pushBody([`${main} ${child} refs/heads/main`], { pack: fixture.pack(['child']) });
    let left = 0;
    for (let at = 0; at < MOST_VOTES; at++) {
      const relativePath = `${protocol}-${at}.git`;
      const path = join(gitaly.storagePath(), relativePath);
      cpSync(made, path, { recursive: true });
      const repository = { storageName: 'default', relativePath, glRepository: 'project-1' };
      const first = { repository, glId: 'user-1', glRepository: 'project-1' };
      const abort = new AbortController();
      let votes = 0;
      cluster.decide = async () => {
        if (votes++ !== at) return 'COMMIT';
        abort.abort();
        await pushing;
        return 'ABORT';
      };
      const options = { metadata: cluster.metadata({ id: at + 1 }), signal: abort.signal };
      const { smartHttp, ssh } = cluster.connection;
      const answers =
        protocol === 'http'
          ? smartHttp.postReceivePack([first, { data: body }], options)
          : ssh.sshReceivePack([first, { stdin: body }], options);
      const pushing = Array.fromAsync<unknown>(answers).catch(() => {});
      await pushing;
      if (abort.signal.aborted) left++;
      const ended = (): number =>
        gitaly.log.filter(({ 'grpc.request.repoPath': repoPath, msg }) =>
          Boolean(repoPath === relativePath && String(msg).startsWith('finished')),
        ).length;
      await until(() => ended() === 1, 'the push ends');

      assert.ok([main, child].includes(gitOutput(path, ['rev-parse', 'main'])));
      const { value } = await cluster.connection.ref.refExists({
        repository,
        ref: Buffer.from('refs/heads/main'),
      });
      assert.equal(value, true);
      gitOutput(path, ['update-ref', 'refs/heads/main', main]); // no lock is left
    }
    assert.ok(left > 1, `the client left during ${left} votes`);
  });
