import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { rmSync, writeFileSync } from 'node:fs';
import { get, type IncomingMessage } from 'node:http';
import { get as getOverTls } from 'node:https';
import { join } from 'node:path';
import { test } from 'node:test';
import { TEST_CERTIFICATE, TEST_KEY } from '#testkit/fixtures/test-certificate';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { type GitalyProcess, startGitalyProcess } from '#testkit/servers/start-gitaly-process';
import { until } from '#testkit/until';
import { startRestarting } from '../restart/restarting.ts';

const repository = { storageName: 'default', relativePath: 'team/a.git' };

/** Returns the address that the server has logged. */
async function consoleOf({ log }: Pick<GitalyProcess, 'log'>): Promise<string> {
  const address = (): string | undefined => /(https?:\/\/\S+\/-\/console)/.exec(log())?.[1];
  await until(() => address() !== undefined, log);
  return address() ?? '';
}

test('gitaly serve shows its repositories, and serves no git there', async () => {
  const settings = 'listen_addr = "127.0.0.1:0"\nclone_url = "https://git.example.com/"';
  await using gitaly = await startGitalyProcess({ config: `[console]\n${settings}\n` });
  const connection = await gitaly.connect();
  await connection.repository.createRepository({ repository });
  const console = await consoleOf(gitaly);

  const list = await fetch(`${console}/repositories?format=json`);
  assert.deepEqual(
    ((await list.json()) as { repositories: { name: string }[] }).repositories.map(({ name }) => name),
    ['team/a.git'],
  );
  for (const page of ['overview', 'running', 'slow', 'webhooks'])
    assert.equal((await fetch(`${console}/${page}`)).status, 200, page);
  const shown = await (await fetch(`${console}/repository/team/a.git`)).text();
  assert.match(shown, /value="https:\/\/git\.example\.com\/team\/a\.git"/);
  const git = new URL('/team/a.git/info/refs?service=git-upload-pack', console);
  assert.equal((await fetch(git)).status, 404);
  const renamed = get(`${console}/overview`, { headers: { Host: 'evil.example' } });
  const [refusal] = (await once(renamed, 'response')) as [IncomingMessage];
  assert.equal(refusal.resume().statusCode, 421);

  gitaly.kill('SIGTERM');
  assert.equal(await gitaly.exited, 0, gitaly.log());
  await assert.rejects(fetch(`${console}/overview`));
});

test('a console that other machines reach asks its users, over TLS if it has a certificate', async () => {
  const directory = makeScratchDirectory('console-users');
  try {
    const file = join(directory, 'users');
    const hashOf = (token: string): string => createHash('sha256').update(token).digest('hex');
    writeFileSync(file, `root admin sha256:${hashOf('r')}\nann read sha256:${hashOf('a')} team\n`);
    const keys = [
      'listen_addr = "0.0.0.0:0"',
      `auth_file = "${file}"`,
      `certificate_path = "${TEST_CERTIFICATE}"`,
      `key_path = "${TEST_KEY}"`,
    ];
    await using gitaly = await startGitalyProcess({
      config: `[auth]\ntoken = "abc"\n[console]\n${keys.join('\n')}\n`,
    });
    const console = (await consoleOf(gitaly)).replace('0.0.0.0', 'localhost');
    assert.match(console, /^https:/);
    const statusOf = async (page: string, token?: string): Promise<number> => {
      const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
      const request = getOverTls(`${console}/${page}`, { headers, rejectUnauthorized: false });
      const [response] = (await once(request, 'response')) as [IncomingMessage];
      response.resume();
      return response.statusCode ?? 0;
    };
    assert.deepEqual(
      [await statusOf('running'), await statusOf('running', 'a'), await statusOf('running', 'r')],
      [401, 403, 200],
    );
    assert.equal(await statusOf('repositories', 'a'), 200);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('an address that is in use prevents the start, and is named', async () => {
  await using first = await startGitalyProcess({ config: '[console]\nlisten_addr = "127.0.0.1:0"\n' });
  const { host } = new URL(await consoleOf(first));

  await using second = await startGitalyProcess({ config: `[console]\nlisten_addr = "${host}"\n` });

  assert.equal(await second.exited, 1);
  assert.match(second.log(), new RegExp(`\\[console\\]: listen EADDRINUSE: address already in use ${host}`));
});

test('the console moves to the next process of a restart', async () => {
  await using unused = await startGitalyProcess({ config: '[console]\nlisten_addr = "127.0.0.1:0"\n' });
  const { host } = new URL(await consoleOf(unused));
  unused.kill('SIGTERM');
  await unused.exited;
  await using gitaly = await startRestarting({ config: `[console]\nlisten_addr = "${host}"\n` });
  const url = `http://${host}/-/console/overview`;
  assert.equal((await fetch(url)).status, 200);

  await gitaly.restart();

  await until(() => /msg="Gitaly shutdown"/.test(gitaly.first.log()), gitaly.first.log);
  await until(
    () =>
      fetch(url).then(
        ({ status }) => status === 200,
        () => false,
      ),
    gitaly.first.log,
  );
});
