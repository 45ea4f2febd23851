import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { onViolation, type Violation } from '#base/invariant';
import type { ConfigPair } from '#git/command/config';
import { FallBackToGit } from '#git/command/in-process';
import { fastImport } from '#testkit/repositories/commit-files';
import {
  type Made,
  PACKINGS,
  packAll,
  packedHistories,
  packIn,
  requestOf,
  tipsOf,
  unpackAll,
} from '#testkit/repositories/generated/packed-histories';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { FLUSH, packets } from '#testkit/repositories/push';
import { type Random, seededRandom } from '#testkit/repositories/random-history';
import { seededShare } from '#testkit/seeded-share';
import { testSeed } from '#testkit/test-seed';
import { findReusedPacks } from './find-reused-packs.ts';
import { sendReusedPacks } from './send-reused-packs.ts';

const { fixture, idsIn, make } = await packedHistories();
/** Histories are random, and so is the format of their repositories; the soak tries both. */
const OBJECT_FORMATS = seededShare(['sha1', 'sha256'] as const, 1 / 2);
let count = 0;

/** Answers a request, and returns the packets; `undefined` if git has to. */
async function answer(
  { relativePath }: Made,
  wants: readonly string[],
  others: readonly string[] = [],
  config: readonly ConfigPair[] = [],
): Promise<Buffer[] | undefined> {
  const repository = fixture.storages.open({ storageName: 'default', relativePath });
  const request = requestOf(wants, [...others, 'done']);
  const chunks: Buffer[] = [];
  const write = (bytes: Buffer): undefined => void chunks.push(Buffer.from(bytes));
  try {
    const { signal } = new AbortController();
    await using reused = await findReusedPacks({ repository, config }, request, {
      trace: { env: {} },
      signal,
    });
    await sendReusedPacks(
      reused,
      { write },
      { objects: repository.objects, hasProgress: !others.includes('no-progress'), signal },
    );
  } catch (error) {
    if (error instanceof FallBackToGit) return undefined;
    throw error;
  }
  const all = Buffer.concat(chunks);
  assert.equal(all.subarray(-4).toString(), FLUSH);
  const [section, ...rest] = packets(all.subarray(0, -4));
  assert.equal(String(section), 'packfile\n');
  return rest;
}

/** Returns what git sends for objects. */
function idsFor({ path }: Made, wants: readonly string[], options: readonly string[] = []): string[] {
  const command = ['rev-list', '--objects', '--no-object-names', '--stdin', ...options];
  const lines = gitOutput(path, command, wants.join('\n'));
  return lines.split('\n').sort();
}

/** Returns some of the tips, each with the same probability: few, half or most of them. */
function someOf(tips: readonly string[], random: Random): string[] {
  const share = random();
  const some = tips.filter(() => random() < share);
  return some.length === 0 ? tips.slice(0, 1) : some;
}

for (const objectFormat of OBJECT_FORMATS) {
  for (const [how, pack] of Object.entries(PACKINGS))
    test(`a client gets what it wants of ${how}, and nothing else, ${objectFormat}`, async () => {
      const random = seededRandom(testSeed());
      const made = make(random() * 2 ** 32, objectFormat);
      pack(made);
      const tips = tipsOf(made);
      for (const wants of [tips, someOf(tips, random), someOf(tips, random), someOf(tips, random)]) {
        const answered = await answer(made, wants);

        assert.deepEqual(idsIn(packIn(answered ?? []), objectFormat), idsFor(made, wants));
      }
    });

  for (const filter of ['blob:none', 'tree:0'])
    test(`a client that filters with ${filter} gets the rest, ${objectFormat}`, async () => {
      const random = seededRandom(testSeed());
      const made = make(random() * 2 ** 32, objectFormat);
      const { git, path } = made;
      PACKINGS[random() < 0.5 ? 'one pack' : 'several packs'](made);
      const file = gitOutput(path, ['hash-object', '-w', '--stdin'], 'new');
      const tree = gitOutput(path, ['mktree'], `100644 blob ${file}\tnew\n`);
      git('update-ref', 'refs/heads/new', git('commit-tree', '-m', 'new', '-p', 'main', tree));
      const tips = tipsOf(made);
      const old = git('rev-parse', 'c5:').split('\n');
      const blob = git('rev-parse', 's3:similar');
      for (const wants of [tips, someOf(tips, random), [...someOf(tips, random), blob]]) {
        const answered = await answer(made, wants, [`filter ${filter}`]);

        const ids = idsIn(packIn(answered ?? []), objectFormat, []);
        assert.deepEqual(ids, idsFor(made, wants, [`--filter=${filter}`]));
      }
      assert.equal(await answer(made, old, [`filter ${filter}`]), undefined, 'files are walked');
      assert.equal(await answer(made, [blob], [`filter ${filter}`]), undefined, 'files are walked');
      const refused = [{ key: 'uploadpack.allowFilter', value: 'false' }];
      assert.equal(await answer(made, tips, [`filter ${filter}`], refused), undefined);
    });

  test(`a client that wants tags gets those that git adds, ${objectFormat}`, async () => {
    const random = seededRandom(testSeed());
    const made = make(random() * 2 ** 32, objectFormat);
    packAll(made);
    const [one = '', two = '', three = '', ...commits] = made
      .git('rev-parse', 'one', 'two', 'three', 'one^{}', 'c19', 'c30')
      .split('\n');
    for (const wants of [...commits.map((commit) => [commit]), [one], [two], [three]]) {
      const answered = await answer(made, wants, ['include-tag']);

      const prefix = join(fixture.root, `expected-${++count}`);
      const options = ['--revs', '--include-tag', '-q', prefix];
      const hash = gitOutput(made.path, ['pack-objects', ...options], wants.join('\n'));
      const expected = idsIn(readFileSync(`${prefix}-${hash}.pack`), objectFormat);
      assert.deepEqual(idsIn(packIn(answered ?? []), objectFormat), expected);
    }
  });

  test(`what was added since is sent with packs, ${objectFormat}`, async () => {
    const random = seededRandom(testSeed());
    const made = make(random() * 2 ** 32, objectFormat);
    packAll(made);
    const { git, path } = made;
    for (const [index, parents] of [['main'], ['main'], ['main', 'c30'], ['c7']].entries()) {
      // An old file that may have been removed meanwhile, too.
      const old = git('rev-parse', `c${1 + Math.floor(random() * 60)}^{tree}`);
      const file = gitOutput(path, ['hash-object', '-w', '--stdin'], `${random()}`);
      const added = `100644 blob ${file}\tnew${index}\n040000 tree ${old}\told${index}\n`;
      const tree = gitOutput(path, ['mktree'], `${git('ls-tree', 'main')}\n${added}`.trimStart());
      const commit = git('commit-tree', '-m', 'new', ...parents.flatMap((each) => ['-p', each]), tree);
      git('update-ref', index === 3 ? 'refs/heads/c7' : 'refs/heads/main', commit);
    }
    git('tag', '-a', '-m', 'new', 'four', 'main');
    if (random() < 0.5) git('repack', '-dq');
    const tips = tipsOf(made);
    const main = git('rev-parse', 'main');
    const four = git('rev-parse', 'four');
    for (const wants of [tips, someOf(tips, random), [main], [four], [git('rev-parse', 'c7')]]) {
      const answered = await answer(made, wants);

      assert.deepEqual(idsIn(packIn(answered ?? []), objectFormat), idsFor(made, wants));
    }
    assert.ok(await answer(made, tips, ['include-tag']));
    assert.equal(await answer(made, [main], ['include-tag']), undefined, 'git adds the new tag');
  });
}

test('commits without a bitmap are followed to those with one', async () => {
  const random = seededRandom(testSeed());
  const made = make(random() * 2 ** 32, 'sha1', 400);
  packAll(made);
  for (let round = 0; round < 8; round++) {
    const wants = [made.git('rev-parse', `c${1 + Math.floor(random() * 300)}`)];
    if (random() < 0.5) wants.push(made.git('rev-parse', `c${1 + Math.floor(random() * 300)}`));

    const answered = await answer(made, wants);

    assert.deepEqual(idsIn(packIn(answered ?? []), 'sha1'), idsFor(made, wants));
  }
});

test('a single pack is sent as it is, with the lines that git writes', async () => {
  const made = make(5);
  packAll(made);
  const tips = tipsOf(made);
  const [name] = readdirSync(join(made.path, 'objects/pack')).filter((each) => each.endsWith('.pack'));
  const pack = readFileSync(join(made.path, 'objects/pack', name ?? ''));

  const answered = (await answer(made, tips)) ?? [];

  assert.ok(packIn(answered).equals(pack));
  const lines = (from: readonly Buffer[]): string =>
    Buffer.concat(from.filter(([band]) => band === 2).map((each) => each.subarray(1))).toString();
  const number = pack.readUInt32BE(8);
  assert.equal(
    lines(answered),
    `Enumerating objects: ${number}, done.\n` +
      `Total ${number} (delta 0), reused 0 (delta 0), pack-reused ${number}\n`,
  );
  assert.equal(lines((await answer(made, tips, ['no-progress'])) ?? []), '');
});

test('git answers other requests than plain clones', async () => {
  const made = make(6);
  packAll(made);
  const tips = tipsOf(made);
  const [tip] = tips;
  for (const option of ['filter blob:limit=1', 'deepen 1', `shallow ${tip}`, 'sideband-all'])
    assert.equal(await answer(made, tips, [option]), undefined, option);
});

test('git answers where settings, or a replaced pack, may change the answer', async () => {
  const made = make(7);
  packAll(made);
  const tips = tipsOf(made);
  assert.ok(await answer(made, tips));
  made.git('config', 'pack.packSizeLimit', '1m');
  assert.equal(await answer(made, tips), undefined);
  made.git('config', '--unset', 'pack.packSizeLimit');
  assert.ok(await answer(made, tips));
  assert.equal(await answer(made, [...tips, '1'.repeat(40)]), undefined);
  made.git('repack', '-adq', '--no-write-bitmap-index');
  assert.equal(await answer(made, tips), undefined);
});

test('git answers if the bitmaps are damaged', async () => {
  const random = seededRandom(testSeed());
  const made = make(8);
  packAll(made);
  const tips = tipsOf(made);
  const directory = join(made.path, 'objects/pack');
  const [name = ''] = readdirSync(directory).filter((each) => each.endsWith('.bitmap'));
  const bitmap = readFileSync(join(directory, name));
  const write = (bytes: Buffer): void => {
    rmSync(join(directory, name));
    writeFileSync(join(directory, name), bytes);
  };
  for (let round = 0; round < 100; round++) {
    const damaged = Buffer.from(bitmap);
    const at = Math.floor(random() * damaged.length);
    damaged[at] = (damaged[at] ?? 0) ^ (1 << Math.floor(random() * 8));
    write(random() < 0.3 ? bitmap.subarray(0, at) : damaged);
    assert.equal(await answer(made, tips), undefined);
  }
  write(bitmap);
  assert.ok(await answer(made, tips));
});

test('git answers if a reverse index is damaged', async () => {
  const made = make(9);
  packAll(made);
  const tips = tipsOf(made);
  const directory = join(made.path, 'objects/pack');
  const [name = ''] = readdirSync(directory).filter((each) => each.endsWith('.rev'));
  const order = readFileSync(join(directory, name));
  const flipped = (at: number): Buffer => {
    const bytes = Buffer.from(order);
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    return bytes;
  };
  const swapped = Buffer.from(order);
  order.copy(swapped, 12, 16, 20);
  order.copy(swapped, 16, 12, 16);
  for (const bytes of [
    flipped(0), // signature
    flipped(7), // version
    flipped(12), // beyond the objects
    swapped,
    flipped(order.length - 21), // checksum of the pack
    order.subarray(0, -1),
    Buffer.concat([order, Buffer.alloc(1)]),
  ]) {
    rmSync(join(directory, name));
    writeFileSync(join(directory, name), bytes);
    assert.equal(await answer(made, tips), undefined);
  }
});

test('thousands of objects are chosen by bitmaps with long runs', async () => {
  const made = make(10);
  const { git, path } = made;
  const file = (name: string): string => `M 100644 inline ${name}\ndata ${name.length}\n${name}\n`;
  const commit = (branch: string, names: readonly string[]): string => {
    const head = `commit refs/heads/${branch}\ncommitter C <c@example.com> 1500000000 +0000\ndata 1\nm\n`;
    return `${head}${names.map(file).join('')}\n`;
  };
  const names = Array.from({ length: 9000 }, (_, index) => `d${index % 90}/f${index}`);
  fastImport(path, Buffer.from(commit('many', names) + commit('few', names.slice(0, 2000))));
  const wants = [['many'], ['few'], ['few', 'c30'], ['many', 'few', 's3']].map((each) =>
    git('rev-parse', ...each).split('\n'),
  );
  for (const pack of [packAll, PACKINGS['one pack without a reverse index']]) {
    pack(made);
    for (const each of wants)
      assert.deepEqual(idsIn(packIn((await answer(made, each)) ?? []), 'sha1'), idsFor(made, each));
  }
});

for (const how of ['one pack', 'one pack with names of bases'] as const)
  test(`deltas stay deltas in a part of ${how}`, async () => {
    const made = make(11);
    PACKINGS[how](made);
    const client = join(fixture.root, `client-${++count}.git`);
    initRepository(client);

    const answered = await answer(made, [made.git('rev-parse', 's20')]);

    const name = gitOutput(client, ['index-pack', '--stdin'], packIn(answered ?? [])).split('\t')[1];
    const lines = gitOutput(client, ['verify-pack', '-v', `objects/pack/pack-${name?.trim()}.idx`]);
    // Versions of a file, of which git's threads make one or two chains.
    assert.match(lines, /^chain length = (?:[5-9]|1\d): /m);
  });

test('entries behind the first gap find bases before it', async () => {
  const made = make(14);
  const { git, path } = made;
  const tips = tipsOf(made);
  const unwanted = gitOutput(path, ['hash-object', '-w', '--stdin'], git('show', 's24:similar').slice(9));
  git('update-ref', 'refs/files/unwanted', unwanted);
  packAll(made);
  const repository = fixture.storages.open({ storageName: 'default', relativePath: made.relativePath });
  const { signal } = new AbortController();
  await using reused = await findReusedPacks({ repository, config: [] }, requestOf(tips), {
    trace: { env: {} },
    signal,
  });
  const [{ gap, range } = assert.fail()] = reused.packs;
  assert.ok(gap > range.first + 100 && gap < range.end - 10, `gap at ${gap}`);

  assert.deepEqual(idsIn(packIn((await answer(made, tips)) ?? []), 'sha1'), idsFor(made, tips));
});

test('a client without the base of a pushed delta gets the whole object', async () => {
  const made = make(15);
  const { git, path } = made;
  unpackAll(path);
  const base = git('cat-file', 'blob', 's24:similar');
  const file = gitOutput(path, ['hash-object', '-w', '--stdin'], `${base}\nchanged\n`);
  const pushed = gitOutput(path, ['mktree'], `100644 blob ${file}\tsimilar\n`);
  const orphan = git('commit-tree', '-m', 'other history', pushed);
  // As a shallow client pushes: a delta to an object that is loose here, and becomes the last one.
  const thin = execFileSync(
    'git',
    ['-C', path, 'pack-objects', '-q', '--thin', '--shallow', '--revs', '--stdout'],
    { input: `${orphan}\n^${git('rev-parse', 's24')}\n` },
  );
  gitOutput(path, ['index-pack', '--fix-thin', '--stdin'], thin);
  git('update-ref', 'refs/heads/orphan', orphan);
  git('prune-packed');
  git('repack', '-dq');
  git('multi-pack-index', 'write', '--bitmap');

  const answered = await answer(made, [orphan]);

  assert.deepEqual(idsIn(packIn(answered ?? []), 'sha1'), idsFor(made, [orphan]));
});

test('git answers clones of a shallow history', async () => {
  const made = make(16);
  const { git, path } = made;
  writeFileSync(join(path, 'shallow'), `${git('rev-parse', 's20')}\n`);
  packAll(made);
  assert.equal(typeof (await answer(made, [git('rev-parse', 's24')])), 'undefined');
});

test('a damaged pack ends the answer with an error', async () => {
  const made = make(12);
  packAll(made);
  const directory = join(made.path, 'objects/pack');
  const [name = ''] = readdirSync(directory).filter((each) => each.endsWith('.pack'));
  const file = made.git('rev-parse', 's20:similar');
  const lines = made.git('verify-pack', '-v', join(directory, name.replace('.pack', '.idx'))).split('\n');
  const offset = Number(lines.find((line) => line.startsWith(file))?.split(/ +/)[4]);
  const pack = readFileSync(join(directory, name));
  pack[offset] = 0; // no type
  rmSync(join(directory, name));
  writeFileSync(join(directory, name), pack);

  await assert.rejects(answer(made, [made.git('rev-parse', 's20')]), {
    code: 'INTERNAL',
    message: 'a pack is damaged',
  });
});

test('git answers if a new object is missing', async () => {
  const made = make(13);
  packAll(made);
  const { git, path } = made;
  const tree = gitOutput(path, ['mktree'], `100644 blob ${git('rev-parse', 's20:similar')}\tnew\n`);
  const commit = git('commit-tree', '-m', 'new', '-p', 's20', tree);
  assert.ok(await answer(made, [commit]));

  rmSync(join(path, 'objects', tree.slice(0, 2), tree.slice(2)));

  assert.equal(await answer(made, [commit]), undefined);
});

test('a pack with another number of objects than its header gets no checksum', async () => {
  const made = make(1);
  packAll(made);
  const repository = fixture.storages.open({ storageName: 'default', relativePath: made.relativePath });
  const { signal } = new AbortController();
  for (const wants of [tipsOf(made), tipsOf(made).slice(0, 1)]) {
    await using reused = await findReusedPacks({ repository, config: [] }, requestOf(wants), {
      trace: { env: {} },
      signal,
    });
    const broken: Violation[] = [];
    using _listening = onViolation((violation) => broken.push(violation));
    const chunks: Buffer[] = [];
    const write = (bytes: Buffer): undefined => void chunks.push(Buffer.from(bytes));
    const { beyond, head, packs, selected } = reused;
    const planted = {
      beyond,
      head,
      packs,
      selected,
      count: reused.count + 1,
      [Symbol.asyncDispose]: async () => {},
    };

    await assert.rejects(
      sendReusedPacks(planted, { write }, { objects: repository.objects, hasProgress: false, signal }),
      { code: 'INTERNAL' },
    );

    const what = 'a pack has another number of objects than its header';
    assert.deepEqual(broken, [{ invariant: 'pack-entries', what }]);
    assert.doesNotMatch(Buffer.concat(chunks).toString('latin1'), /0000$/);
  }
});
