import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { MemoryObjectStore } from '#object-store/memory/memory-store';
import { PreconditionError } from '#object-store/store-error';
import { addCommit, gitOutput } from '#testkit/repositories/init-repository';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { readChain } from './chain-store.ts';
import { hasChain, makeNextBundle, offeredBranch, RETIRED_KEPT_MS } from './make-chain.ts';

const { signal } = new AbortController();
const DAY_MS = 24 * 3600 * 1000;
const FOLDER = 'default/x.git/uri';

async function start(stack: AsyncDisposableStack, bucket = new MemoryObjectStore()) {
  const fixture = stack.use(await StorageFixture.create());
  const directory = makeScratchDirectory('make-chain');
  stack.defer(() => rmSync(directory, { recursive: true }));
  const repository = fixture.init('x.git', { commits: 3 });
  let now = Date.parse('2026-01-01');
  const make = () =>
    makeNextBundle(repository, { bucket, storageName: 'default', maxAgeMs: DAY_MS, now: () => now, signal });
  const chain = async () => (await readChain(bucket, FOLDER, signal)).chain;
  const keys = async () => (await Array.fromAsync(bucket.list('', { signal }))).flat().map(({ key }) => key);
  /** Writes the bundles of the chain to files, the oldest first. */
  const files = async () => {
    const bundles = (await chain())?.bundles ?? [];
    return await Promise.all(
      bundles.map(async ({ key }, index) => {
        const file = join(directory, `${index}.bundle`);
        writeFileSync(file, Buffer.concat(await Array.fromAsync(bucket.get(key, { signal }))));
        return file;
      }),
    );
  };
  const pass = (ms: number): void => {
    now += ms;
  };
  return { directory, repository, bucket, make, chain, keys, files, pass };
}

/** Adds a commit with a file that does not compress. */
function grow(path: string, bytes: number): string {
  const blob = gitOutput(path, ['hash-object', '-w', '--stdin'], randomBytes(bytes)).trim();
  const tree = gitOutput(path, ['mktree'], `100644 blob ${blob}\tlarge\n`).trim();
  const commit = gitOutput(path, ['commit-tree', '-p', 'HEAD', '-m', 'large', tree]).trim();
  gitOutput(path, ['update-ref', 'HEAD', commit]);
  return commit;
}

test('a full bundle is followed by increments, which make up the branch together', async () => {
  await using stack = new AsyncDisposableStack();
  const { directory, repository, make, chain, files, pass } = await start(stack);
  assert.ok(((await make()) ?? 0) > 0);
  assert.equal(await make(), undefined, 'nothing is new');
  addCommit(repository.path, 4);
  assert.equal(await make(), undefined, 'one small commit is not worth a bundle');
  grow(repository.path, 3_000_000);
  pass(DAY_MS);
  await make(); // half of the small one and more: full again
  const oid = grow(repository.path, 1_200_000);

  assert.ok(((await make()) ?? 0) > 1_200_000);

  const bundles = (await chain())?.bundles ?? [];
  assert.deepEqual(bundles.map(({ oid: each }) => each).slice(1), [oid]);
  assert.ok((bundles[1]?.token ?? 0) > (bundles[0]?.token ?? 0));
  const clone = join(directory, 'clone');
  gitOutput(directory, ['init', '-q', '--bare', clone]);
  for (const file of await files()) gitOutput(clone, ['bundle', 'unbundle', file]);
  gitOutput(clone, ['fsck', '--connectivity-only', oid]);
  assert.equal(gitOutput(clone, ['rev-list', '--count', oid]).trim(), '6');
});

test('a force push starts a new chain, and the old bundles are removed after an hour', async () => {
  await using stack = new AsyncDisposableStack();
  const { repository, make, chain, keys, pass } = await start(stack);
  await make();
  const [old] = (await chain())?.bundles ?? [];
  gitOutput(repository.path, ['update-ref', 'HEAD', 'HEAD~1']);
  const forced = addCommit(repository.path, 9);
  const before = await chain();
  assert.ok(before);
  assert.equal(await hasChain(repository, before, { oid: forced, signal }), false);

  await make();

  const [renewed] = (await chain())?.bundles ?? [];
  assert.equal(renewed?.oid, forced);
  assert.ok((await keys()).includes(old?.key ?? ''), 'a client may be downloading it');
  pass(RETIRED_KEPT_MS);
  await make();
  assert.deepEqual((await keys()).sort(), [renewed.key, `${FOLDER}/chain.json`]);
});

test('a branch that is hidden, or no branch, has no bundles', async () => {
  await using stack = new AsyncDisposableStack();
  const { repository, make, keys } = await start(stack);
  const branch = gitOutput(repository.path, ['symbolic-ref', 'HEAD']).trim();
  gitOutput(repository.path, ['config', 'transfer.hideRefs', branch]);
  assert.equal(await offeredBranch(repository, signal), undefined);
  assert.equal(await make(), undefined);
  gitOutput(repository.path, ['config', '--unset', 'transfer.hideRefs']);
  gitOutput(repository.path, ['update-ref', 'refs/keep-around/x', 'HEAD']);
  gitOutput(repository.path, ['symbolic-ref', 'HEAD', 'refs/keep-around/x']);

  assert.equal(await make(), undefined);
  gitOutput(repository.path, ['symbolic-ref', 'HEAD', 'refs/x']);
  assert.equal(await make(), undefined);

  assert.deepEqual(await keys(), []);
});

test('a chain whose write succeeded without a response keeps its bundle', async () => {
  await using stack = new AsyncDisposableStack();
  class LossyStore extends MemoryObjectStore {
    override async put(...[key, pieces, options]: Parameters<MemoryObjectStore['put']>): Promise<string> {
      const version = await super.put(key, pieces, options);
      if (options.onlyIf !== undefined) throw new PreconditionError(key); // to the repeated request
      return version;
    }
  }
  const { make, chain, keys } = await start(stack, new LossyStore());

  await make();

  const [made] = (await chain())?.bundles ?? [];
  assert.deepEqual((await keys()).sort(), [made?.key, `${FOLDER}/chain.json`]);
});

test('a full bundle removes those that a killed server left, and no others', async () => {
  await using stack = new AsyncDisposableStack();
  const { repository, bucket, chain, keys } = await start(stack);
  const content = async function* (): AsyncGenerator<Buffer> {
    yield Buffer.from('x');
  };
  const [orphan, requested] = [`${FOLDER}/1-${randomUUID()}.bundle`, `${FOLDER}/default.bundle`];
  for (const key of [orphan, requested]) await bucket.put(key, content(), { signal });
  const make = (passedMs: number) =>
    makeNextBundle(repository, {
      ...{ bucket, storageName: 'default', maxAgeMs: DAY_MS, signal },
      now: () => Date.now() + passedMs,
    });
  await make(0);
  assert.ok((await keys()).includes(orphan), 'its server may be writing the chain');
  gitOutput(repository.path, ['update-ref', 'HEAD', 'HEAD~1']);

  await make(RETIRED_KEPT_MS);

  const { bundles = [], retired = [] } = (await chain()) ?? {};
  const used = [...bundles, ...retired].map(({ key }) => key);
  assert.deepEqual((await keys()).sort(), [...used, `${FOLDER}/chain.json`, requested].sort());
});

test('of two servers that make the same bundle, one keeps it', async () => {
  await using stack = new AsyncDisposableStack();
  const { make, chain, keys } = await start(stack);

  await Promise.all([make(), make(), make()]);

  assert.equal((await chain())?.bundles.length, 1);
  assert.equal((await keys()).length, 2);
});
