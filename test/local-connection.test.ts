import assert from 'node:assert/strict';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { test } from 'node:test';
import { dialSidechannel, postUploadPack, SidechannelRegistry } from '#client/index';
import { configFrom, createLogger, GitalyServer } from '#gitaly/index';
import { FLUSH, packet } from '#testkit/repositories/push';
import { runGit } from '#testkit/repositories/run-git';
import { makeScratchDirectory } from '#testkit/scratch-directory';

/** Starts an embedded server with `r.git`, which holds a file of 3 MB that cannot be compressed. */
async function start() {
  const directory = makeScratchDirectory('local-connection');
  const storage = join(directory, 'repositories');
  mkdirSync(storage);
  const path = join(storage, 'r.git');
  await runGit(['init', '--quiet', '--bare', '--initial-branch=main', path]);
  const content = Array.from({ length: 300_000 }, (_, index) => Math.sin(index).toString(36)).join('\n');
  const blob = await runGit(['-C', path, 'hash-object', '-w', '--stdin'], { input: content });
  const tree = await runGit(['-C', path, 'mktree'], { input: `100644 blob ${blob}\tfile\n` });
  const oid = await runGit(['-C', path, 'commit-tree', '-m', 'one', tree]);
  await runGit(['-C', path, 'update-ref', 'refs/heads/main', oid]);
  const socket = join(directory, 'unused.socket');
  const server = await GitalyServer.start({
    config: configFrom({
      socket_path: socket,
      runtime_dir: directory,
      storage: [{ name: 'default', path: storage }],
    }),
    logger: createLogger({ format: 'text', level: 'error', stream: process.stderr }),
  });
  const registry = new SidechannelRegistry();
  const connection = await dialSidechannel(`unix:${socket}.missing`, registry, {
    connect: () => server.connect(),
    retry: false,
  });
  const close = async (): Promise<void> => {
    await connection.close();
    await server[Symbol.asyncDispose]();
    rmSync(directory, { recursive: true, force: true });
  };
  return { server, registry, connection, oid, path, [Symbol.asyncDispose]: close };
}

const REPOSITORY = { storageName: 'default', relativePath: 'r.git' };

test('a client in the process of the server needs no socket for calls and clones', async () => {
  await using local = await start();

  const { exists } = await local.connection.repository.repositoryExists({ repository: REPOSITORY });
  assert.equal(exists, true);

  const wants = `${packet(`want ${local.oid}\n`)}${packet('no-progress\n')}${packet('done\n')}`;
  const body = `${packet('command=fetch')}${packet('object-format=sha1')}0001${wants}${FLUSH}`;
  const stdout = new PassThrough();
  const answer = buffer(stdout);
  const io = { stdin: Readable.from([Buffer.from(body)]), stdout };
  await postUploadPack(local.connection, local.registry, io, {
    repository: REPOSITORY,
    gitProtocol: 'version=2',
  });
  stdout.end();

  const expected = await runGit(['-C', local.path, 'cat-file', '-s', 'main:file']);
  assert.ok(Number(expected) > 3_000_000);
  assert.ok((await answer).length > 1_000_000);
});

test('the end of the server ends its local connections, and refuses new ones', async () => {
  await using local = await start();
  await local.connection.repository.repositoryExists({ repository: REPOSITORY });

  await local.server.drain();

  assert.throws(() => local.server.connect(), /the server has stopped/);
  await assert.rejects(local.connection.repository.repositoryExists({ repository: REPOSITORY }), {
    code: 'UNAVAILABLE',
  });
});
