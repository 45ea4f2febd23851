import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { isAtLeast } from '#git/command/capabilities';
import { testedGit } from '#testkit/repositories/run-git';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { CombinedBundle } from './combined-bundle.ts';

/** A step of a backup without new objects. */
const EMPTY = Buffer.from('# v2 git bundle\n\n');

interface Made {
  /** The bundles of three states of a repository. */
  readonly bundles: readonly Buffer[];
  readonly header: Parameters<typeof CombinedBundle.open>[1];
  readonly source: string;
}

/** Makes bundles with deltas, objects that return, and at the end all objects again. */
function makeBundles(fixture: StorageFixture, objectFormat: 'sha1' | 'sha256' = 'sha1'): Made {
  const { path: source } = fixture.init('source.git', { commits: 2, objectFormat });
  const git = (...args: string[]): string => fixture.runGit(source, args);
  const commit = (text: string): void => {
    const blob = fixture.runGit(source, ['hash-object', '-w', '--stdin'], text);
    const tree = fixture.runGit(source, ['mktree'], `100644 blob ${blob}\tfile\n`);
    git('update-ref', 'refs/heads/main', git('commit-tree', '-m', 'x', '-p', 'main', tree));
  };
  const bundle = (name: string, ...revisions: string[]): Buffer => {
    git('bundle', 'create', '--quiet', join(fixture.root, name), ...revisions);
    return readFileSync(join(fixture.root, name));
  };
  const long = Array.from({ length: 2000 }, (_, index) => `line ${index}\n`).join('');
  commit(long);
  git('tag', '-a', '-m', 'annotated', 'v1', 'main');
  const full = bundle('full', '--all');
  const first = git('rev-parse', 'main');
  commit(`${long}more`);
  commit(long); // its tree and its blob are in the first bundle
  git('branch', 'b', 'main~1');
  const increment = bundle('increment', '--all', `^${first}`);
  const all = bundle('all', '--all');
  const references = git('for-each-ref', '--format=%(objectname) %(refname)')
    .split('\n')
    .map((line) => {
      const [oid = '', name = ''] = line.split(' ');
      return { oid, name: Buffer.from(name) };
    });
  const header = { references, head: git('rev-parse', 'main'), objectFormat };
  return { bundles: [full, increment, all], header, source };
}

function opener(bytes: Buffer, size = bytes.length) {
  return async function* (): AsyncGenerator<Buffer> {
    for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
  };
}

for (const objectFormat of ['sha1', 'sha256'] as const)
  for (const size of [1, 7, 19, 20, 33, 1000, 1e6])
    test(`git clones several bundles as one: ${objectFormat}, pieces of ${size} bytes`, async () => {
      await using fixture = await StorageFixture.create();
      const { bundles, header, source } = makeBundles(fixture, objectFormat);

      const combined = await CombinedBundle.open(
        [...bundles.slice(0, 2), EMPTY].map((bytes) => opener(bytes, size)),
        header,
      );
      assert.ok(combined);
      const file = join(fixture.root, 'combined');
      writeFileSync(file, Buffer.concat(await Array.fromAsync(combined.pieces())));

      const target = join(fixture.root, 'target.git');
      fixture.runGit(fixture.root, ['clone', '--quiet', '--mirror', file, target]);
      assert.equal(
        fixture.runGit(target, ['show-ref', '--head']),
        fixture.runGit(source, ['show-ref', '--head']),
      );
      assert.equal(fixture.runGit(target, ['symbolic-ref', 'HEAD']), 'refs/heads/main');
      assert.equal(fixture.runGit(target, ['fsck', '--full', '--strict', '--no-dangling']), '');
    });

// git 2.50 accepts that as well (98f8854c94, index-pack: allow revisiting REF_DELTA chains).
test('git accepts an object twice, unless it is the base of a delta by its id', async () => {
  await using fixture = await StorageFixture.create();
  const { bundles, header } = makeBundles(fixture);
  const cloning = async (made: readonly Buffer[]): Promise<string> => {
    const combined = await CombinedBundle.open(
      made.map((bytes) => opener(bytes)),
      header,
    );
    const file = join(fixture.root, `combined-${made.length}`);
    writeFileSync(file, Buffer.concat(await Array.fromAsync(combined?.pieces() ?? [])));
    const target = join(fixture.root, `target-${made.length}.git`);
    fixture.runGit(fixture.root, ['clone', '--quiet', '--mirror', file, target]);
    fixture.runGit(target, ['repack', '-adq', '--write-bitmap-index']);
    return fixture.runGit(target, ['fsck', '--full', '--strict', '--no-dangling']);
  };
  const [full = EMPTY, , all = EMPTY] = bundles;

  assert.equal(await cloning([full, all]), '');
  const outcome = await cloning(bundles).catch((error: Error) => error.message);
  const expected = isAtLeast(testedGit(), { major: 2, minor: 50 }) ? /^$/ : /REF_DELTA .*already resolved/;
  assert.match(outcome, expected);
});

test('one bundle gets another header alone', async () => {
  await using fixture = await StorageFixture.create();
  const { bundles, header } = makeBundles(fixture);
  const all = bundles[2] ?? Buffer.alloc(0);

  const combined = await CombinedBundle.open([opener(all, 100)], { ...header, head: undefined });

  const bytes = Buffer.concat(await Array.fromAsync(combined?.pieces() ?? []));
  const end = bytes.indexOf('\n\n');
  assert.doesNotMatch(bytes.toString('latin1', 0, end), /HEAD/);
  assert.deepEqual(bytes.subarray(end), all.subarray(all.indexOf('\n\n')));
});

test('a bundle whose checksum is wrong is an error', async () => {
  await using fixture = await StorageFixture.create();
  const { bundles, header } = makeBundles(fixture);
  const damaged = bundles.map((bytes) => Buffer.from(bytes));
  const [first = Buffer.alloc(0)] = damaged;
  const at = first.length - 30;
  first.writeUInt8(first.readUInt8(at) ^ 1, at);

  const combined = await CombinedBundle.open(
    damaged.map((bytes) => opener(bytes)),
    header,
  );
  assert.ok(combined);
  const reading = Array.fromAsync(combined.pieces());

  await assert.rejects(reading, { message: 'a bundle of the backup is damaged' });
  assert.ok(combined.error instanceof Error);
});

test('bundles that cannot be combined are refused', async () => {
  await using fixture = await StorageFixture.create();
  const { bundles, header } = makeBundles(fixture);
  const [full, increment] = bundles.map((bytes) => opener(bytes));
  assert.ok(full && increment);
  const filtered = Buffer.from(`# v3 git bundle\n@filter=blob:none\n${'ab'.repeat(20)} refs/x\n\n`);
  const cut = (bytes: number) => opener((bundles[0] ?? Buffer.alloc(0)).subarray(0, bytes));

  for (const sources of [
    [increment, full],
    [full, opener(Buffer.concat([filtered, (bundles[1] ?? EMPTY).subarray(-100)]))],
    [full, opener(Buffer.from('junk'))],
    [cut(20)],
    [opener(EMPTY)],
    [full, opener((bundles[1] ?? EMPTY).subarray(0, (bundles[1] ?? EMPTY).indexOf('PACK')))],
    [cut((bundles[0]?.indexOf('PACK') ?? 0) + 11)],
  ])
    assert.equal(await CombinedBundle.open(sources, header), undefined);
  assert.equal(await CombinedBundle.open([full], { ...header, references: [] }), undefined);
});
