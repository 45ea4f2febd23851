import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { GitalyError } from '#base/gitaly-error';
import {
  addCommit,
  gitOutput,
  initRepository,
  initServed,
  referenceBackends,
} from '#testkit/repositories/init-repository';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import { until } from '#testkit/until';
import { OptimizeRepositoryRequest_Strategy as Strategy } from '#wire/gen/repository_pb';

const repository = { storageName: 'default', relativePath: 'group/x.git' };
const pathOf = (gitaly: TestGitaly): string => join(gitaly.storagePath(), repository.relativePath);

/** Returns everything that can be reached, by object id. */
const reachable = (directory: string): string =>
  gitOutput(directory, ['rev-list', '--objects', '--all']).split('\n').sort().join('\n');
const packsIn = (directory: string, suffix = '.pack'): string[] =>
  readdirSync(join(directory, 'objects/pack')).filter((name) => name.endsWith(suffix));
const looseObjects = (directory: string): number =>
  Number(/^count: (\d+)/m.exec(gitOutput(directory, ['count-objects', '-v']))?.[1]);
/** Writes an unreachable object. */
const addLost = (directory: string, content: string): string =>
  gitOutput(directory, ['hash-object', '-w', '--stdin'], content);
const objectFile = (directory: string, oid: string): string =>
  join(directory, 'objects', oid.slice(0, 2), oid.slice(2));
const age = (file: string, minutes: number): void => {
  const time = new Date(Date.now() - minutes * 60_000);
  utimesSync(file, time, time);
};
const exists = (directory: string, oid: string): boolean => {
  try {
    gitOutput(directory, ['cat-file', '-e', oid]);
    return true;
  } catch {
    return false;
  }
};

for (const objectFormat of ['sha1', 'sha256'] as const) {
  for (const referenceBackend of referenceBackends()) {
    test(`OptimizeRepository loses nothing (${objectFormat}, ${referenceBackend})`, async () => {
      await using gitaly = await startGitaly();
      const directory = pathOf(gitaly);
      initRepository(directory, { commits: 20, objectFormat, referenceBackend });
      const before = reachable(directory);

      await gitaly.connection.repository.optimizeRepository({ repository, strategy: Strategy.EAGER });

      assert.equal(reachable(directory), before);
      assert.equal(looseObjects(directory), 0);
      assert.equal(packsIn(directory).length, 1);
      assert.ok(existsSync(join(directory, 'objects/pack/multi-pack-index')));
      assert.ok(existsSync(join(directory, 'objects/info/commit-graphs/commit-graph-chain')));
      assert.ok(existsSync(join(directory, '.gitaly-full-repack-timestamp')));
      gitOutput(directory, ['fsck', '--full', '--strict']);
      gitOutput(directory, ['multi-pack-index', 'verify']);
      gitOutput(directory, ['commit-graph', 'verify']);
    });
  }
}

/** Directories with objects that killed processes leave. */
const DIRECTORIES = ['objects/tmp_objdir-incoming-x', 'objects/merge-Ab12cd'];

test('a repository that was just optimized needs no process', async () => {
  await using gitaly = await startGitaly();
  initRepository(pathOf(gitaly), { commits: 5 });
  const { repository: calls } = gitaly.connection;
  await calls.optimizeRepository({ repository });
  const count = () => gitaly.log.filter(({ 'grpc.method': method }) => method === 'OptimizeRepository');

  await calls.optimizeRepository({ repository });
  await until(() => count().length === 2);

  const [first, second] = count();
  assert.ok(Number(first?.['command.count']) > 0);
  assert.equal(second?.['command.count'] ?? 0, 0);
});

test('an unknown strategy is refused, and so are those of features that are off', async () => {
  await using gitaly = await startGitaly();
  initRepository(pathOf(gitaly), { commits: 1 });
  const optimize = (strategy: number) =>
    gitaly.connection.repository.optimizeRepository({ repository, strategy });

  await assert.rejects(optimize(12), {
    code: 'INVALID_ARGUMENT',
    message: 'unsupported optimization strategy 12',
  });
  await assert.rejects(optimize(Strategy.OFFLOADING), { code: 'UNIMPLEMENTED' });
  await assert.rejects(optimize(Strategy.REHYDRATION), { code: 'INVALID_ARGUMENT' });
});

test('with a sink, offloading is refused for the lack of a log, and rehydration by the state', async () => {
  await using gitaly = await startGitaly({
    config: { offloading: { enabled: true, cache_root: '/tmp', go_cloud_url: 's3://bucket/base' } },
  });
  initRepository(pathOf(gitaly), { commits: 1 });
  const refusal = async (strategy: number, ...urls: string[]): Promise<string> => {
    for (const url of urls) gitOutput(pathOf(gitaly), ['config', '--add', 'remote.offload.url', url]);
    const error = await gitaly.connection.repository.optimizeRepository({ repository, strategy }).then(
      () => assert.fail('not refused'),
      (reason: unknown) => reason,
    );
    if (urls.length > 0) gitOutput(pathOf(gitaly), ['config', '--unset-all', 'remote.offload.url']);
    assert.ok(error instanceof GitalyError);
    return `${error.code} ${error.message}`;
  };

  assert.equal(await refusal(Strategy.OFFLOADING), 'INTERNAL unable to retrieve storage node');
  assert.equal(await refusal(Strategy.REHYDRATION), 'FAILED_PRECONDITION repository is not offloaded');
  const { REHYDRATION } = Strategy;
  assert.match(await refusal(REHYDRATION, 's3://bucket/base/a', 'b'), /^FAILED_PRECONDITION invalid off/);
  assert.match(await refusal(REHYDRATION, 's3://bucket/other/a'), /^INVALID_ARGUMENT extract object/);
  assert.match(await refusal(REHYDRATION, 's3://bucket/base/a/b'), /^INTERNAL unable to retrieve/);
});

test('PruneUnreachableObjects drops what is older than half an hour, loose and packed', async () => {
  await using gitaly = await startGitaly();
  const directory = pathOf(gitaly);
  initRepository(directory, { commits: 3 });
  const [old, young] = [addLost(directory, 'old'), addLost(directory, 'young')];
  age(objectFile(directory, old), 31);
  age(objectFile(directory, young), 29);
  const before = reachable(directory);

  await gitaly.connection.repository.pruneUnreachableObjects({ repository });

  assert.deepEqual([exists(directory, old), exists(directory, young)], [false, true]);
  assert.equal(reachable(directory), before);
});

test('PruneUnreachableObjects refuses object pools, which keep every object', async () => {
  await using gitaly = await startGitaly();
  const relativePath = `@pools/4e/07/4e07${'0'.repeat(60)}.git`;
  initServed(gitaly, relativePath, { commits: 1 });

  await assert.rejects(
    gitaly.connection.repository.pruneUnreachableObjects({ repository: { ...repository, relativePath } }),
    { code: 'INVALID_ARGUMENT', message: 'pruning objects for object pool' },
  );
});

for (const strategy of [Strategy.HEURISTICAL, Strategy.EAGER]) {
  test(`a pool keeps unreachable objects, however old (${Strategy[strategy]})`, async () => {
    await using gitaly = await startGitaly();
    const relativePath = `@pools/4e/07/4e07${'0'.repeat(60)}.git`;
    const directory = initServed(gitaly, relativePath, { commits: 2 });
    const lost = addLost(directory, 'lost');
    age(objectFile(directory, lost), 60 * 24 * 365);
    const pool = { ...repository, relativePath };

    await gitaly.connection.repository.optimizeRepository({ repository: pool, strategy });
    addCommit(directory, 3);
    await gitaly.connection.repository.optimizeRepository({ repository: pool, strategy });
    await gitaly.connection.repository.garbageCollect({ repository: pool, prune: true });

    assert.ok(exists(directory, lost));
  });
}

test('files of dead processes are removed after their age, and counted', async () => {
  await using gitaly = await startGitaly();
  const directory = pathOf(gitaly);
  initRepository(directory, { commits: 1 });
  for (const left of ['tmp_objdir-incoming-x/17', 'merge-Ab12cd/17'])
    mkdirSync(join(directory, 'objects', left), { recursive: true });
  mkdirSync(join(directory, 'refs/heads/gone/deep'), { recursive: true });
  const HOUR = 60;
  const files: readonly (readonly [path: string, minutes: number, kind: string, content?: string])[] = [
    ['HEAD.lock', 15, 'locks'],
    ['config.lock', 15, 'locks'],
    ['objects/pack/multi-pack-index.lock', 15, 'locks'],
    ['packed-refs.lock', HOUR, 'packedrefslock'],
    ['packed-refs.new', 15, 'packedrefsnew'],
    ['refs/heads/x.lock', HOUR, 'reflocks'],
    ['refs/heads/empty', 24 * HOUR, 'refs'],
    ['objects/tmp_obj_x', 24 * HOUR, 'objects'],
    ['objects/pack/tmp_pack_x', 24 * HOUR, 'objects'],
    ['objects/pack/pack-1.keep', 7 * 24 * HOUR, 'packfilelocks', 'receive-pack 1 on host'],
  ];
  const write = (extraMinutes: number): void => {
    for (const [path, minutes, , content = ''] of files) {
      writeFileSync(join(directory, path), content);
      age(join(directory, path), minutes + extraMinutes);
    }
  };
  const left = () => files.filter(([path]) => existsSync(join(directory, path))).map(([path]) => path);
  const optimize = () => gitaly.connection.repository.optimizeRepository({ repository });

  // The broken reference would make git fail.
  write(-2);
  await gitaly.connection.repository.cleanup({ repository });
  assert.equal(left().length, files.length);
  write(1);
  writeFileSync(join(directory, 'objects/pack/pack-2.keep'), 'kept by an operator');
  age(join(directory, 'objects/pack/pack-2.keep'), 60 * 24 * HOUR);
  for (const path of [...DIRECTORIES, 'refs/heads/gone/deep', 'refs/heads/gone'])
    age(join(directory, path), 73 * HOUR);
  await optimize();

  assert.deepEqual(left(), []);
  for (const path of DIRECTORIES) assert.equal(existsSync(join(directory, path)), false);
  assert.equal(existsSync(join(directory, 'refs/heads/gone')), false);
  assert.ok(existsSync(join(directory, 'objects/pack/pack-2.keep')));
  const line = gitaly.log.find(({ msg }) => msg === 'removed files');
  const expected = Object.entries(Object.groupBy(files, ([, , kind]) => kind));
  for (const [kind, list] of expected) assert.equal(line?.[`stale_data.${kind}`], list?.length, kind);
  assert.equal(line?.['stale_data.objectdirs'], DIRECTORIES.length);
  assert.equal(line?.['stale_data.refsemptydir'], 2);
});

test('settings of earlier releases are removed, all others are kept', async () => {
  await using gitaly = await startGitaly();
  const directory = pathOf(gitaly);
  initRepository(directory, { commits: 1 });
  for (const [key, value] of [
    ['http.http://h/.extraheader', 'secret'],
    ['remote.o.url', 'u'],
    ['remote.o.keep', 'k'],
    ['core.commitgraph', 'true'],
    ['gitlab.fullpath', 'a/b'],
    ['other.a', 'b'],
  ] as const)
    gitOutput(directory, ['config', key, value]);

  await gitaly.connection.repository.optimizeRepository({ repository });

  const names = gitOutput(directory, ['config', '--local', '--list', '--name-only']).split('\n');
  assert.deepEqual(
    names.filter((name) => !/^(core\.(bare|file|repo)|extensions)/.test(name)),
    ['remote.o.keep', 'other.a'],
  );
});

test('two runs at a time are one', async () => {
  await using gitaly = await startGitaly();
  const directory = pathOf(gitaly);
  initRepository(directory, { commits: 30 });

  const results = await Promise.allSettled(
    Array.from({ length: 5 }, () =>
      gitaly.connection.repository.optimizeRepository({ repository, strategy: Strategy.EAGER }),
    ),
  );

  for (const result of results)
    if (result.status === 'rejected') assert.equal(result.reason.code, 'ALREADY_EXISTS');
  assert.ok(results.some(({ status }) => status === 'fulfilled'));
  gitOutput(directory, ['fsck', '--full', '--strict']);
});

test('the maintenance calls of 15.0 lose nothing', async () => {
  await using gitaly = await startGitaly();
  const directory = pathOf(gitaly);
  initRepository(directory, { commits: 8 });
  const before = reachable(directory);
  const { repository: calls } = gitaly.connection;

  await calls.repackIncremental({ repository });
  assert.equal(looseObjects(directory), 0);
  addCommit(directory, 9);
  await calls.repackIncremental({ repository });
  addCommit(directory, 10);
  await calls.repackIncremental({ repository });
  assert.equal(packsIn(directory).length, 3);
  await calls.midxRepack({ repository });
  assert.ok(existsSync(join(directory, 'objects/pack/multi-pack-index')));
  await calls.repackFull({ repository, createBitmap: true });
  assert.equal(packsIn(directory, '.bitmap').length, 1);
  await calls.writeCommitGraph({ repository });
  await calls.garbageCollect({ repository, prune: true, createBitmap: false });
  await calls.cleanup({ repository });

  assert.ok(reachable(directory).length > before.length);
  gitOutput(directory, ['fsck', '--full', '--strict']);
  gitOutput(directory, ['commit-graph', 'verify']);
});

test('GarbageCollect mends references that keep an object', async () => {
  await using gitaly = await startGitaly();
  const directory = pathOf(gitaly);
  initRepository(directory, { commits: 1 });
  const oid = gitOutput(directory, ['rev-parse', 'main']);
  const gone = '1'.repeat(40);
  mkdirSync(join(directory, 'refs/keep-around'), { recursive: true });
  writeFileSync(join(directory, 'refs/keep-around', oid), '');
  writeFileSync(join(directory, 'refs/keep-around', gone), `${gone}\n`);

  await gitaly.connection.repository.garbageCollect({ repository });

  assert.equal(
    gitOutput(directory, ['for-each-ref', '--format=%(refname)', 'refs/keep-around']),
    `refs/keep-around/${oid}`,
  );
});

test('WriteCommitGraph refuses a strategy that it does not know', async () => {
  await using gitaly = await startGitaly();
  initRepository(pathOf(gitaly), { commits: 1 });

  await assert.rejects(
    gitaly.connection.repository.writeCommitGraph({ repository, splitStrategy: 7 as never }),
    { code: 'INVALID_ARGUMENT', message: 'unsupported split strategy: 7' },
  );
});

test('a missing repository is reported by every maintenance call', async () => {
  await using gitaly = await startGitaly();
  const { repository: calls } = gitaly.connection;

  for (const call of [
    () => calls.optimizeRepository({ repository }),
    () => calls.pruneUnreachableObjects({ repository }),
    () => calls.garbageCollect({ repository }),
    () => calls.repackFull({ repository }),
    () => calls.repackIncremental({ repository }),
    () => calls.midxRepack({ repository }),
    () => calls.writeCommitGraph({ repository }),
    () => calls.cleanup({ repository }),
  ])
    await assert.rejects(call, { code: 'NOT_FOUND', message: 'repository not found' });
});
