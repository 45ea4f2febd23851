import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { startGitaly } from '#testkit/start-gitaly';
import { openServer } from './open-server.ts';

// Born failing: the commands named the server's address as unix:undefined.
test('the server of a configuration without a Unix socket is reached by its port', async () => {
  await using gitaly = await startGitaly({ tcp: true, token: 'secret' });
  const port = gitaly.addresses.tcp?.replace(/^.*:/, '') ?? '';
  const storage = join(gitaly.directory, 'storage');
  mkdirSync(storage);
  const config = join(gitaly.directory, 'tcp.toml');
  writeFileSync(
    config,
    `listen_addr = ":${port}"\n[auth]\ntoken = "secret"\n` +
      `[[storage]]\nname = "default"\npath = "${storage}"\n`,
  );

  await using target = await openServer(config, '--to');

  assert.ok((await target.connection.server.serverInfo({})).serverVersion);
});
