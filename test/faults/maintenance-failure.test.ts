import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { CallError } from '#client/index';
import { runGit } from '#testkit/repositories/run-git';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { OptimizeRepositoryRequest_Strategy as Strategy } from '#wire/gen/repository_pb';
import { type Fault, FaultyServer, makeTemplate, type Target } from './faulty-server.ts';
import { templateStream } from './operations.ts';
import { assertSound, refsOf } from './remains.ts';

const FAULTS: readonly Fault[] = [
  'start',
  'descriptor',
  'create',
  'write',
  'flush',
  'move',
  'full disk',
  'git exits',
  'git is killed',
  'git has no space',
];
/** Maintenance reads hundreds of directories, which all fail alike. */
const OCCASIONS = [1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 610];
const CODES = ['INTERNAL', 'RESOURCE_EXHAUSTED', 'FAILED_PRECONDITION'];
const CALL_LIMIT_MS = 30_000;

interface Case {
  readonly name: string;
  /** Makes what the call needs, without faults. */
  prepare?(server: FaultyServer, target: Target): Promise<void>;
  run(server: FaultyServer, target: Target): Promise<unknown>;
  /** Checks what a call has left. @param isDone it succeeded. */
  check(target: Target, isDone: boolean, storage: string): Promise<void>;
}

const options = { timeoutMs: CALL_LIMIT_MS };

/** Returns a path of its own for each target. */
function poolOf({ wire }: Target) {
  const hash = wire.relativePath.replace('.git', '').padStart(64, '0');
  const relativePath = `@pools/${hash.slice(0, 2)}/${hash.slice(2, 4)}/${hash}.git`;
  return { repository: { storageName: 'default', relativePath } };
}

const createPool: Case = {
  name: 'CreateObjectPool',
  run: ({ connection }, target) =>
    connection.objectPool.createObjectPool({ objectPool: poolOf(target), origin: target.wire }, options),
  async check(target, isDone, storage) {
    const path = join(storage, poolOf(target).repository.relativePath);
    if (isDone) assert.ok(existsSync(path), 'there is no pool');
    if (!existsSync(path)) return;
    assert.equal(await runGit(['-C', path, 'fsck', '--strict']), '');
    assert.equal(
      await runGit(['-C', path, 'rev-list', '--count', '--all']),
      await runGit(['-C', target.directory, 'rev-list', '--count', '--all']),
    );
  },
};

const link: Case = {
  name: 'LinkRepositoryToObjectPool',
  prepare: async (server, target) => {
    await createPool.run(server, target);
  },
  run: ({ connection }, target) =>
    connection.objectPool.linkRepositoryToObjectPool(
      { objectPool: poolOf(target), repository: target.wire },
      options,
    ),
  async check(target, isDone) {
    const file = join(target.directory, 'objects/info/alternates');
    if (isDone || existsSync(file))
      assert.equal(readFileSync(file, 'utf8'), `../../${poolOf(target).repository.relativePath}/objects`);
  },
};

const disconnect: Case = {
  name: 'DisconnectGitAlternates',
  prepare: async (server, target) => {
    await createPool.run(server, target);
    await link.run(server, target);
    // The member depends on the pool now.
    await optimize.run(server, target);
  },
  run: ({ connection }, { wire }) =>
    connection.objectPool.disconnectGitAlternates({ repository: wire }, options),
  async check({ directory }, isDone) {
    if (isDone) assert.equal(existsSync(join(directory, 'objects/info/alternates')), false);
  },
};

const optimize: Case = {
  name: 'OptimizeRepository',
  run: ({ connection }, { wire }) =>
    connection.repository.optimizeRepository({ repository: wire, strategy: Strategy.EAGER }, options),
  async check({ directory }, isDone) {
    if (!isDone) return;
    await runGit(['-C', directory, 'multi-pack-index', 'verify']);
    await runGit(['-C', directory, 'commit-graph', 'verify']);
  },
};

suite('maintenance and pools, whatever fails', () => {
  const directory = makeScratchDirectory('template');
  const template = join(directory, 'template.git');
  let server: FaultyServer;
  before(async () => {
    await makeTemplate(template, templateStream());
    server = await FaultyServer.start({ hooks: false });
  });
  after(async () => {
    await server[Symbol.asyncDispose]();
    rmSync(directory, { recursive: true, force: true });
  });

  for (const each of [createPool, link, disconnect, optimize]) {
    test(`${each.name} leaves a sound repository, and works the next time`, async (context) => {
      let injected = 0;
      for (const fault of FAULTS) {
        for (const nth of OCCASIONS) {
          const target = server.target(template);
          await each.prepare?.(server, target);
          await server.arm(fault, nth);
          const error = await each.run(server, target).then(
            () => undefined,
            (reason: unknown) => reason,
          );
          const { failed } = await server.disarm();
          const where = `${fault} ${nth} (${failed.join('; ')}): ${String(error)}`;
          try {
            await verify(each, target, error);
          } catch (cause) {
            throw new Error(where, { cause });
          }
          if (failed.length === 0) break;
          injected++;
        }
      }
      context.diagnostic(`${injected} failures`);
      assert.ok(injected > 0);
    });
  }

  async function verify(each: Case, target: Target, error: unknown): Promise<void> {
    if (error !== undefined)
      assert.ok(error instanceof CallError && CODES.includes(error.code), 'unspecified error');
    assert.equal(await refsOf(target.directory), await refsOf(template));
    await each.check(target, error === undefined, server.storage);
    await assertSound(server.storage, target.directory);
    if (error === undefined) return;
    await each.run(server, target).catch((reason: unknown) => {
      // It may have been done before the failure.
      if (!(reason instanceof CallError && reason.code === 'ALREADY_EXISTS')) throw reason;
    });
    await each.check(target, true, server.storage);
    await assertSound(server.storage, target.directory);
  }
});
