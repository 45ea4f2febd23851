import assert from 'node:assert/strict';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { dial } from '#client/index';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { configFrom, GitalyServer } from './index.ts';

function arrange() {
  const directory = makeScratchDirectory('embedded');
  mkdirSync(join(directory, 'default'));
  return {
    config: configFrom({
      socket_path: join(directory, 'gitaly.socket'),
      runtime_dir: directory,
      storage: [{ name: 'default', path: join(directory, 'default') }],
    }),
    [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }),
  };
}

const missing = { storageName: 'default', relativePath: 'none.git' };

test('a plain object is a logger', async () => {
  using arranged = arrange();
  const lines: [level: string, message: string, fields: object][] = [];
  const at = (level: string) => (fields: object, message: string) => lines.push([level, message, fields]);
  {
    await using server = await GitalyServer.start({
      config: arranged.config,
      logger: { error: at('error'), warn: at('warn'), info: at('info') },
    });
    await using connection = await dial(server.addresses.unix ?? '');
    await connection.repository.repositoryExists({ repository: missing });
  }

  const [level, message, fields] = lines.find(([, text]) => text.startsWith('finished unary call')) ?? [];
  assert.deepEqual([level, message], ['info', 'finished unary call with code OK']);
  assert.equal((fields as Record<string, unknown> | undefined)?.['grpc.method'], 'RepositoryExists');
  assert.ok(lines.every(([of]) => ['error', 'warn', 'info'].includes(of)));
});

test('a server needs no logger', async () => {
  using arranged = arrange();
  await using server = await GitalyServer.start({ config: arranged.config });
  await using connection = await dial(server.addresses.unix ?? '');

  assert.equal((await connection.repository.repositoryExists({ repository: missing })).exists, false);
});
