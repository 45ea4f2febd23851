import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { outputSync } from '#testkit/run-program-sync';
import { joinPacks } from './joined-packs.ts';
import { type PackContents, packFile, smallPack } from './make-pack.ts';

const { signal } = new AbortController();
const HEADER_BYTES = 12;
const SHA1_BYTES = 20;
/** More commits than a walk in process reads. */
const LONG = 100;

/** Returns a pack whose deltas name their bases, with its entries in the opposite order. */
function withBasesLast(path: string, objects: readonly string[]): Buffer {
  const git = (args: readonly string[], input: string | Buffer = ''): Buffer =>
    outputSync('git', ['-C', path, ...args], { input });
  const pack = git(['pack-objects', '--stdout', '-q'], objects.join('\n'));
  writeFileSync(join(path, 'x.pack'), pack);
  git(['index-pack', 'x.pack']);
  const listed = git(['show-index'], readFileSync(join(path, 'x.idx')))
    .toString()
    .trim()
    .split('\n');
  const starts = listed.map((line) => Number.parseInt(line, 10)).sort((one, other) => one - other);
  const entries = starts.map((start, at) => pack.subarray(start, starts[at + 1] ?? pack.length - SHA1_BYTES));
  const content = Buffer.concat([pack.subarray(0, HEADER_BYTES), ...entries.reverse()]);
  return Buffer.concat([content, createHash('sha1').update(content).digest()]);
}

// git refuses a pack in which an object is twice that a delta names as its base.
test('packs with the same objects can be joined, also if deltas come before their bases', async () => {
  await using fixture = await StorageFixture.create();
  const { path } = fixture.init('source.git');
  const run = (args: string[], input = ''): string => fixture.runGit(path, args, input);
  const text = Array.from({ length: 200 }, (_, at) => `line ${at * 7919}\n`).join('');
  const blobs = [`${text}the end\n`, text].map((content) => run(['hash-object', '-w', '--stdin'], content));
  const tree = run(['mktree'], blobs.map((oid, at) => `100644 blob ${oid}\t${at}\n`).join(''));
  const commit = run(['commit-tree', '-m', 'message', tree]);
  const target = fixture.init('target.git');
  const pack = withBasesLast(path, [commit, tree, ...blobs]);
  outputSync('git', ['-C', target.path, 'index-pack', '--rev-index', '--stdin'], { input: pack });
  const contents: PackContents = { wants: [commit], haves: [] };

  const small = await smallPack(target, contents, signal);
  await using file = small === undefined ? await packFile(target, contents, signal) : undefined;
  const made = small ?? readFileSync(file?.path ?? '');

  const joined = fixture.init('joined.git');
  outputSync('git', ['-C', joined.path, 'index-pack', '--stdin'], { input: joinPacks([made, made], 'sha1') });
  assert.equal(fixture.runGit(joined.path, ['rev-list', '--objects', commit]).split('\n').length, 4);
});

for (const isPacked of [false, true])
  test(`deltas of loose objects do not name their bases (in a pack: ${isPacked})`, async () => {
    await using fixture = await StorageFixture.create();
    const { path } = fixture.init('source.git');
    const run = (args: string[], input = ''): string => fixture.runGit(path, args, input);
    const commitOf = (content: string, parents: readonly string[]): string => {
      const tree = run(['mktree'], `100644 blob ${run(['hash-object', '-w', '--stdin'], content)}\tfile\n`);
      return run(['commit-tree', '-m', 'message', ...parents, tree]);
    };
    const text = Array.from({ length: 200 }, (_, at) => `line ${at * 7919}\n`).join('');
    const archived = commitOf('archived\n', []);
    const parent = commitOf(text, ['-p', archived]);
    if (isPacked) {
      run(['update-ref', 'refs/heads/main', parent]);
      run(['-c', 'pack.writeReverseIndex=true', 'repack', '-adq']);
    }
    const commit = commitOf(`${text}the end\n`, ['-p', parent]);
    const repository = fixture.storages.open({ storageName: 'default', relativePath: 'source.git' });

    const made = await smallPack(repository, { wants: [commit], haves: [archived] }, signal);

    assert.ok(made !== undefined);
    const joined = fixture.init('joined.git');
    outputSync('git', ['-C', joined.path, 'index-pack', '--stdin'], {
      input: joinPacks([made, made], 'sha1'),
    });
    writeFileSync(join(path, 'x.pack'), made);
    run(['index-pack', 'x.pack']);
    const deltas = /^chain length = 1: (\d) objects?$/m.exec(run(['verify-pack', '-v', 'x.pack']))?.[1];
    assert.equal(deltas, isPacked ? undefined : '1');
  });

test('a pack for a long branch of new commits is made without git', async () => {
  await using fixture = await StorageFixture.create();
  const { path } = fixture.init('source.git');
  const run = (args: string[], input = ''): string => fixture.runGit(path, args, input);
  const tree = run(['mktree']);
  const commitOn = (parent: string): string => run(['commit-tree', '-m', 'message', '-p', parent, tree]);
  const root = run(['commit-tree', '-m', 'root', tree]);
  const ids = [root];
  for (let at = 0; at < LONG; at++) ids.push(commitOn(ids.at(-1) ?? ''));
  run(['update-ref', 'refs/heads/main', root]);
  run(['commit-graph', 'write', '--reachable']);
  const [archived = '', parent = '', tip = ''] = ids.slice(-3);
  const { storages } = fixture;
  const repository = storages.open({ storageName: 'default', relativePath: 'source.git' });

  const made = await smallPack(repository, { wants: [tip], haves: [archived, root] }, signal);

  writeFileSync(join(path, 'x.pack'), made ?? '');
  const listed = run(['index-pack', '-v', 'x.pack']) && run(['verify-pack', '-v', 'x.pack']);
  const objects = listed.split('\n').flatMap((line) => /^([\da-f]{40}) /.exec(line)?.[1] ?? []);
  assert.deepEqual(objects.sort(), [parent, tip].sort());
});

test('what is not one pack is not joined', async () => {
  await using fixture = await StorageFixture.create();
  const { path } = fixture.init('source.git');
  const packs = ['one', 'two'].map((content) => {
    const oid = fixture.runGit(path, ['hash-object', '-w', '--stdin'], content);
    return outputSync('git', ['-C', path, 'pack-objects', '--stdout', '-q'], { input: oid });
  });
  const [one = Buffer.alloc(0), two = Buffer.alloc(0)] = packs;
  const header = one.subarray(0, HEADER_BYTES);
  const part = header.subarray(0, -1);
  const partWithSum = Buffer.concat([part, createHash('sha1').update(part).digest()]);

  for (const wrong of [Buffer.concat([one, two]), one.subarray(0, -1), header, partWithSum, Buffer.alloc(0)])
    assert.throws(() => joinPacks([one, wrong], 'sha1'), { problem: 'damaged' });
  assert.equal(joinPacks([one, two], 'sha1').readUInt32BE(HEADER_BYTES - 4), packs.length);
});
