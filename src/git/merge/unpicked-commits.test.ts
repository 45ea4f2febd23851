import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fc } from '#testkit/fast-check';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { runSync } from '#testkit/run-program-sync';
import { FallBackToGit } from '../command/in-process.ts';
import { ObjectWriter } from '../objects/write/write-objects.ts';
import { nearUnpickedCommits, unpickedCommits } from './unpicked-commits.ts';

type Files = ReadonlyMap<string, string>;

const ARGS = ['rev-list', '--cherry-pick', '--right-only', '--no-merges', '--topo-order', '--reverse'];
const { signal } = new AbortController();

/** git leaves white space out when it compares names; `d` may be a file or a directory. */
const PATHS = ['a', 'a b', 'ab', 'c', 'd', 'd/x', 'd/y'];
/** Files and texts are few, so that commits of both sides often make the same change. */
const change = fc.record({
  path: fc.constantFrom(...PATHS),
  text: fc.constantFrom('one', 'two', '', 'x:two'),
});
const commit = fc.record({
  changes: fc.array(change, { maxLength: 2 }),
  /** Numbers of commits before, counted backwards. */
  other: fc.option(fc.nat(8), { freq: 6 }),
  seconds: fc.integer({ min: -2, max: 3 }),
});
const history = fc.record({
  base: fc.array(commit, { minLength: 1, maxLength: 3 }),
  left: fc.array(commit, { minLength: 1, maxLength: 5 }),
  right: fc.array(
    fc.record({ changes: commit.map(({ changes }) => changes), seconds: fc.integer({ min: -2, max: 3 }) }),
    {
      minLength: 1,
      maxLength: 4,
    },
  ),
});

function changed(files: Files, changes: readonly { path: string; text: string }[]): Files {
  const now = new Map(files);
  for (const { path, text } of changes) {
    for (const name of now.keys())
      if (name.startsWith(`${path}/`) || path.startsWith(`${name}/`)) now.delete(name);
    if (text === '') now.delete(path);
    else now.set(path, text);
  }
  return now;
}

async function writeFiles(writer: ObjectWriter, files: Files): Promise<string> {
  const below = new Map(
    [...files].flatMap(([path, text]) => (path[1] === '/' ? [[path.slice(2), text]] : [])),
  );
  const entries = [];
  for (const [path, text] of files) {
    if (path[1] === '/') continue;
    const mode = text.startsWith('x:') ? 0o100755 : 0o100644;
    entries.push({ name: Buffer.from(path), mode, oid: await writer.write('blob', Buffer.from(text)) });
  }
  if (below.size > 0)
    entries.push({ name: Buffer.from('d'), mode: 0o040000, oid: await writeFiles(writer, below) });
  return await writer.writeTree(entries);
}

for (const objectFormat of ['sha1', 'sha256'] as const) {
  test(`the commits to rebase of a ${objectFormat} repository are those that git lists`, async () => {
    await using fixture = await StorageFixture.create();
    const repository = fixture.init('x.git', { objectFormat });
    await using writer = new ObjectWriter(repository, objectFormat);
    let inProcess = 0;
    const examples = fc.sample(history, 60);
    for (const { base, left, right } of examples) {
      let clock = 1_700_000_000;
      const add = async (
        from: { oid: string; files: Files } | undefined,
        other: string | undefined,
        { changes, seconds }: { changes: readonly { path: string; text: string }[]; seconds: number },
      ) => {
        const files = changed(from?.files ?? new Map(), changes);
        const parents = new Set([from?.oid, other].filter((oid) => oid !== undefined));
        const lines = [...parents].map((oid) => `parent ${oid}\n`).join('');
        clock += seconds;
        const person = `a <> ${clock} +0000`;
        const tree = await writeFiles(writer, files);
        const text = `tree ${tree}\n${lines}author ${person}\ncommitter ${person}\n\n${clock}\n`;
        return { oid: await writer.write('commit', Buffer.from(text)), files };
      };
      const all: { oid: string; files: Files }[] = [];
      for (const each of [...base, ...left]) {
        const other = each.other === null ? undefined : all.at(-each.other - 1)?.oid;
        all.push(await add(all.at(-1), other, each));
      }
      const onto = all.at(-1)?.oid ?? '';
      clock = 1_700_000_000 + base.length;
      let tip = all[base.length - 1];
      for (const each of right) tip = await add(tip, undefined, each);
      await writer.finish();
      const sides = { onto, tip: tip?.oid ?? '' };

      const range = `${sides.onto}...${sides.tip}`;
      const expected = runSync('git', [...ARGS, range], { cwd: repository.path }).stdout.toString();

      const listed = await nearUnpickedCommits(repository, sides, { signal }).catch(undefinedOnFallBack);
      if (listed !== undefined) inProcess++;
      const actual = listed ?? (await unpickedCommits(repository, sides, { signal }));
      assert.equal(actual.map((oid) => `${oid}\n`).join(''), expected, JSON.stringify({ base, left, right }));
    }
    // On average one half.
    assert.ok(inProcess > examples.length / 10, `only ${inProcess} of ${examples.length}`);
  });
}

// Symptom: a rebase picked commits that git leaves out.
test('a common commit that is newer than its child counts as one of the other side, as in git', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git');
  await using writer = new ObjectWriter(repository, 'sha1');
  const add = async (seconds: number, text: string, ...parents: string[]): Promise<string> => {
    const tree = await writeFiles(writer, new Map([['a', text]]));
    const lines = parents.map((oid) => `parent ${oid}\n`).join('');
    const person = `a <> ${1_700_000_000 + seconds} +0000`;
    const commit = `tree ${tree}\n${lines}author ${person}\ncommitter ${person}\n\n${seconds}\n`;
    return await writer.write('commit', Buffer.from(commit));
  };
  const root = await add(45, 'root');
  const early = await add(50, 'root', root);
  const base = await add(55, 'base', await add(1, 'two', await add(2, 'one', early)));
  const onto = await add(60, 'base', base, early);
  const empty = await add(57, 'base', base);
  const tip = await add(58, 'right', empty);
  await writer.finish();

  const listed = await unpickedCommits(repository, { onto, tip }, { signal });

  const expected = runSync('git', [...ARGS, `${onto}...${tip}`], { cwd: repository.path });
  assert.deepEqual(listed, expected.stdout.toString().trimEnd().split('\n'));
  assert.deepEqual(listed, [tip]);
});

test('changes in a directory are those of its files, whatever becomes of the directory', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git');
  await using writer = new ObjectWriter(repository, 'sha1');
  let clock = 1_700_000_000;
  const add = async (parent: string | undefined, files: Record<string, string>): Promise<string> => {
    const tree = await writeFiles(writer, new Map(Object.entries(files)));
    const person = `a <> ${clock++} +0000`;
    const lines = parent === undefined ? '' : `parent ${parent}\n`;
    const text = `tree ${tree}\n${lines}author ${person}\ncommitter ${person}\n\n${clock}\n`;
    return await writer.write('commit', Buffer.from(text));
  };
  const base = await add(undefined, { a: 'a', 'd/x': 'x', 'd/y': 'y' });
  const changed = await add(base, { a: 'a', 'd/x': 'one', 'd/y': 'y' });
  const without = await add(base, { a: 'a' });
  const again = await add(without, { a: 'a', 'd/z': 'z' });
  const other = await add(base, { a: 'a', 'd/x': 'x', 'd/y': 'two' });
  const added = await add(other, { a: 'a', 'd/x': 'x', 'd/y': 'two', 'd/z': 'z' });
  await writer.finish();

  for (const { onto, tip, listed } of [
    { onto: changed, tip: added, listed: [other, added] },
    { onto: again, tip: added, listed: [other] },
  ]) {
    const near = await nearUnpickedCommits(repository, { onto, tip }, { signal }).catch(undefinedOnFallBack);
    const all = await unpickedCommits(repository, { onto, tip }, { signal });

    const expected = runSync('git', [...ARGS, `${onto}...${tip}`], { cwd: repository.path });
    assert.deepEqual(all, expected.stdout.toString().trimEnd().split('\n'));
    assert.deepEqual(all, listed);
    // Both sides add a file in the same way, which only git compares.
    assert.deepEqual(near, onto === changed ? listed : undefined);
  }
});

test('a new file of another mode is another change, as in git', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git');
  await using writer = new ObjectWriter(repository, 'sha1');
  let clock = 1_700_000_000;
  const add = async (mode: number, text: string, parent?: string): Promise<string> => {
    const oid = await writer.write('blob', Buffer.from(text));
    const entries = mode === 0 ? [] : [{ mode, name: Buffer.from('a'), oid }];
    const person = `a <> ${clock++} +0000`;
    const lines = parent === undefined ? '' : `parent ${parent}\n`;
    const tree = await writer.writeTree(entries);
    const commit = `tree ${tree}\n${lines}author ${person}\ncommitter ${person}\n\n${clock}\n`;
    return await writer.write('commit', Buffer.from(commit));
  };
  const [plain, executable] = [0o100644, 0o100755];
  const empty = await add(0, '');
  const cases = [
    { onto: await add(plain, 'two', empty), tip: await add(executable, 'two', empty), isPicked: false },
    { onto: await add(executable, 'two', empty), tip: await add(executable, 'two', empty), isPicked: true },
  ];
  await writer.finish();

  for (const { onto, tip, isPicked } of cases) {
    const near = await nearUnpickedCommits(repository, { onto, tip }, { signal }).catch(undefinedOnFallBack);
    const all = await unpickedCommits(repository, { onto, tip }, { signal });

    const expected = runSync('git', [...ARGS, `${onto}...${tip}`], { cwd: repository.path });
    assert.equal(all.map((oid) => `${oid}\n`).join(''), expected.stdout.toString());
    assert.deepEqual(all, isPicked ? [] : [tip]);
    assert.deepEqual(near, isPicked ? undefined : [tip]);
  }
});

test('commits that change many or deep directories are left to git', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git');
  await using writer = new ObjectWriter(repository, 'sha1');
  let clock = 1_700_000_000;
  const blobs = await Promise.all(['one', 'two'].map((text) => writer.write('blob', Buffer.from(text))));
  const nested = async (levels: number, oid: string): Promise<string> => {
    let tree = await writer.writeTree([{ mode: 0o100644, name: Buffer.from('f'), oid }]);
    for (let level = 0; level < levels; level++)
      tree = await writer.writeTree([{ mode: 0o040000, name: Buffer.from('d'), oid: tree }]);
    return tree;
  };
  const wide = async (count: number, oid: string): Promise<string> => {
    const below = await nested(0, oid);
    const name = (index: number): Buffer => Buffer.from(`${index}`);
    const entries = Array.from({ length: count }, (_, index) => ({
      mode: 0o040000,
      name: name(index),
      oid: below,
    }));
    return await writer.writeTree(entries);
  };
  const commit = async (tree: string, parent?: string): Promise<string> => {
    const person = `a <> ${clock++} +0000`;
    const lines = parent === undefined ? '' : `parent ${parent}\n`;
    const text = `tree ${tree}\n${lines}author ${person}\ncommitter ${person}\n\n${clock}\n`;
    return await writer.write('commit', Buffer.from(text));
  };
  const [before = '', later = ''] = blobs;
  for (const { make, allowed, reason } of [
    { make: wide, allowed: 499, reason: 'very many trees have to be read' },
    { make: nested, allowed: 100, reason: 'directories are nested deep' },
  ]) {
    for (const size of [allowed, allowed + 1]) {
      const base = await commit(await make(size, before));
      const tip = await commit(await make(size, later), base);
      const onto = await commit(await make(size, before), base);
      await writer.finish();

      const listed = nearUnpickedCommits(repository, { onto, tip }, { signal });

      if (size === allowed) assert.deepEqual(await listed, [tip]);
      else await assert.rejects(listed, { name: 'FallBackToGit', message: reason });
    }
  }
});

function undefinedOnFallBack(error: unknown): undefined {
  if (!(error instanceof FallBackToGit)) throw error;
}
