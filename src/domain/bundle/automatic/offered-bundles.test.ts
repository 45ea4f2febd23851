import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { MemoryObjectStore } from '#object-store/memory/memory-store';
import { fc } from '#testkit/fast-check';
import { addCommit, gitOutput } from '#testkit/repositories/init-repository';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { repetitions } from '#testkit/soak';
import { AutomaticBundles } from './automatic-bundles.ts';
import { makeNextBundle } from './make-chain.ts';

const { signal } = new AbortController();
const DAY_MS = 24 * 3600 * 1000;
const RUNS = repetitions('BUNDLE_RUNS', { short: 4, long: 100 });
const OTHERS = [
  'refs/heads/other',
  'refs/heads/secret/a',
  'refs/tags/v1',
  'refs/keep-around/1',
  'refs/merge-requests/1/head',
  'refs/environments/x',
  'refs/internal/y',
];

/** A store whose objects have addresses: their keys. */
class AddressedStore extends MemoryObjectStore {
  override async signedUrl(key: string): Promise<string> {
    return key;
  }
}

type Step = { readonly kind: string; readonly reference: string };

/** Changes a repository. @param number differs in each call. */
function change(path: string, { kind, reference }: Step, number: number): void {
  const commit = (parent: string): string => {
    const tree = gitOutput(path, ['mktree'], '');
    return gitOutput(path, ['commit-tree', '-p', parent, '-m', `${reference} ${number}`, tree]);
  };
  if (kind === 'grow') addCommit(path, number);
  else if (kind === 'other') gitOutput(path, ['update-ref', reference, commit('refs/heads/main')]);
  else if (kind === 'remove') gitOutput(path, ['update-ref', '-d', reference]);
  else if (kind === 'force') gitOutput(path, ['update-ref', 'refs/heads/main', commit('refs/heads/base')]);
  else if (kind === 'repack') gitOutput(path, ['repack', '-a', '-d', '-q']);
  else if (kind === 'switch') gitOutput(path, ['symbolic-ref', 'HEAD', 'refs/heads/base']);
  else if (kind === 'back') gitOutput(path, ['symbolic-ref', 'HEAD', 'refs/heads/main']);
  else if (kind === 'hide') gitOutput(path, ['config', 'uploadpack.hideRefs', 'refs/heads/main']);
  else if (kind === 'show') gitOutput(path, ['config', 'uploadpack.hideRefs', 'refs/none']);
}

/** A bundle is offered after these. Random ones may prevent it. */
const GROWING: Step[] = OTHERS.slice(0, 3).map((reference) => ({ kind: 'grow', reference }));

const STEP = fc.record({
  kind: fc.constantFrom(
    'grow',
    'other',
    'other',
    'remove',
    'force',
    'repack',
    'switch',
    'back',
    'hide',
    'show',
  ),
  reference: fc.constantFrom(...OTHERS),
});

test('offered bundles have only objects of the default branch as it is, whatever has happened', async () => {
  await using stack = new AsyncDisposableStack();
  const fixture = stack.use(await StorageFixture.create());
  const directory = makeScratchDirectory('offered-bundles');
  stack.defer(() => rmSync(directory, { recursive: true }));
  let [number, offers] = [10, 0];

  const objectsIn = async (bucket: AddressedStore, keys: readonly string[]): Promise<string[]> => {
    const clone = join(directory, `clone-${++number}`);
    gitOutput(directory, ['init', '-q', '--bare', clone]);
    for (const key of keys) {
      const file = join(directory, 'bundle');
      writeFileSync(file, Buffer.concat(await Array.fromAsync(bucket.get(key, { signal }))));
      gitOutput(clone, ['bundle', 'unbundle', file]);
    }
    const all = ['cat-file', '--batch-all-objects', '--batch-check=%(objectname)'];
    return gitOutput(clone, all).split('\n');
  };

  await fc.assert(
    fc.asyncProperty(fc.array(STEP, { minLength: 3, maxLength: 8 }), async (steps) => {
      const repository = fixture.init(`x-${++number}.git`, { commits: 3 });
      const { path } = repository;
      gitOutput(path, ['update-ref', 'refs/heads/base', 'refs/heads/main~1']);
      const bucket = new AddressedStore();
      let now = Date.now();
      const settings = { maxAgeMs: DAY_MS, observe: () => {}, onError: () => {}, onLeftover: () => {} };
      await using remembering = new AutomaticBundles(bucket, settings);
      for (const step of [{ kind: 'make', reference: '' }, ...steps]) {
        change(path, step, ++number);
        const head = gitOutput(path, ['symbolic-ref', 'HEAD']);
        const config = gitOutput(path, ['config', '-l']).split('\n');
        const isHidden = config.includes(`uploadpack.hiderefs=${head}`);
        const reachable = gitOutput(path, ['rev-list', '--objects', '--no-object-names', 'HEAD']).split('\n');
        await using fresh = new AutomaticBundles(bucket, settings);
        for (const bundles of [fresh, remembering]) {
          const options = { storageName: 'default', signal, validMs: 1000 };
          const offered = await bundles.offered(repository, options);
          if (offered.length === 0) continue;
          offers++;
          assert.equal(isHidden, false, `${head} is hidden`);
          const found = await objectsIn(
            bucket,
            offered.map(({ url }) => url),
          );
          assert.deepEqual(
            found.filter((oid) => !reachable.includes(oid)),
            [],
          );
        }
        now += DAY_MS;
        await makeNextBundle(repository, {
          ...{ bucket, storageName: 'default', maxAgeMs: DAY_MS, signal },
          now: () => now,
        });
      }
    }),
    { numRuns: RUNS, examples: [[GROWING]] },
  );
  assert.ok(offers > 0, 'nothing was offered');
});
