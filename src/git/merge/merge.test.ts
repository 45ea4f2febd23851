import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import type { Repository } from '#storage/repository';
import { fc } from '#testkit/fast-check';
import { addManyParents } from '#testkit/repositories/generated/many-parents';
import { gitOutput } from '#testkit/repositories/init-repository';
import { GIT_ENVIRONMENT } from '#testkit/repositories/run-git';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { outputSync, runSync } from '#testkit/run-program-sync';
import { FallBackToGit } from '../command/in-process.ts';
import { mergeBase, nearMergeBase } from '../history/graph/merge-base.ts';
import { parseTreeInTurns } from '../objects/parse/parse-tree.ts';
import { formatTree, type NewTreeEntry } from '../objects/write/format-tree.ts';
import { ObjectWriter } from '../objects/write/write-objects.ts';
import { type FileVersions, mergeInProcess, type TreeAccess } from './merge-in-process.ts';
import { mergeLines } from './merge-lines.ts';
import { TreeMerges } from './tree-merges.ts';

/** Contents by path. */
type Files = Readonly<Record<string, string>>;

const TEXT = Array.from({ length: 12 }, (_, index) => `line ${index}`).join('\n');
const PATHS = ['a', 'b', 'd/a', 'd/b', 'd/e/a', 'd/e/b', 'f', 'f/x', 'g/x'];

/** Names and contents are few, so that sides often make the same change, conflict, and rename. */
const change = fc.record({
  path: fc.constantFrom(...PATHS),
  kind: fc.constantFrom('write', 'write', 'remove', 'executable', 'move'),
  to: fc.constantFrom(...PATHS),
  text: fc.constantFrom(`${TEXT}\nx\n`, `y\n${TEXT}\n`, 'short\n', `${TEXT}\n`),
});
const side = fc.array(change, { minLength: 1, maxLength: 3 });
const base = fc.subarray(PATHS, { minLength: 2 });

function baseFiles(paths: readonly string[]): Files {
  let files: Files = {};
  for (const path of paths) files = put(files, path, `${path}\n${TEXT}\n`);
  return files;
}

function put(files: Files, path: string, text: string): Files {
  const others = Object.entries(files).filter(
    ([name]) => !name.startsWith(`${path}/`) && !path.startsWith(`${name}/`),
  );
  return { ...Object.fromEntries(others), [path]: text };
}

function changed(
  files: Files,
  changes: readonly { path: string; kind: string; to: string; text: string }[],
): Files {
  let now = files;
  for (const { path, kind, to, text } of changes) {
    const { [path]: old, ...others } = now;
    if (kind === 'write') now = put(now, path, text);
    else if (old === undefined) continue;
    else if (kind === 'remove') now = others;
    else if (kind === 'executable') now = { ...now, [path]: `#x${old.replace(/^#x/, '')}` };
    else now = put(others, to, old);
  }
  return now;
}

/** Writes one tree. */
type WriteTree = (entries: readonly NewTreeEntry[]) => Promise<string>;

async function writeFiles(
  writer: ObjectWriter,
  files: Files,
  writeTree: WriteTree = (entries) => writer.writeTree(entries),
): Promise<string> {
  const entries: NewTreeEntry[] = [];
  const directories = new Map<string, Record<string, string>>();
  for (const [path, text] of Object.entries(files)) {
    const slash = path.indexOf('/');
    if (slash === -1) {
      const mode = text.startsWith('#x') ? 0o100755 : 0o100644;
      const oid = await writer.write('blob', Buffer.from(text.replace(/^#x/, '')));
      entries.push({ name: Buffer.from(path), mode, oid });
    } else {
      const name = path.slice(0, slash);
      directories.set(name, { ...directories.get(name), [path.slice(slash + 1)]: text });
    }
  }
  for (const [name, below] of directories) {
    const oid = await writeFiles(writer, below, writeTree);
    entries.push({ name: Buffer.from(name), mode: 0o040000, oid });
  }
  return await writeTree(entries);
}

/** Forms of trees that git does not write, by old or faulty programs. */
const UNUSUAL_FORMS = {
  'old modes': (entries: readonly Buffer[]) => entries.map((entry) => replaced(entry, '100644', '100664')),
  'leading zeros': (entries: readonly Buffer[]) => entries.map((entry) => replaced(entry, '', '0')),
  'another order': (entries: readonly Buffer[]) => entries.toReversed(),
} as const;

function replaced(entry: Buffer, start: string, by: string): Buffer {
  if (entry.toString('latin1', 0, start.length) !== start) return entry;
  return Buffer.concat([Buffer.from(by), entry.subarray(start.length)]);
}

/**
 * Runs one process that merges all examples, because starting git for each would take a minute.
 */
function gitMerges(
  repository: Repository,
  pairs: readonly (readonly [string, string])[],
): (string | undefined)[] {
  const input = pairs.map(([ours, theirs]) => `${ours} ${theirs}\n`).join('');
  const output = outputSync('git', ['merge-tree', '--stdin', '--no-messages'], {
    cwd: repository.path,
    env: GIT_ENVIRONMENT,
    input,
  }).toString('latin1');
  // `<1 for clean>\0<tree>\0<entries>…\0\0`; after a clean one's tree nothing follows.
  return [...output.matchAll(/(?:^|\0)([01])\0([0-9a-f]{40})\0/g)].map(([, clean, tree]) =>
    clean === '1' ? tree : undefined,
  );
}

function accessOf(repository: Repository, writer: ObjectWriter): TreeAccess {
  const read = async (oid: string): Promise<Buffer> =>
    (await repository.objects.readObject(oid))?.data ?? Buffer.alloc(0);
  return {
    readTree: async (oid) => parseTreeInTurns(await read(oid), 20),
    writeTree: (entries) => writer.writeTree(entries),
    mergeFile: async ({ base, ours, theirs }: FileVersions) =>
      writer.write(
        'blob',
        mergeLines({ base: await read(base), ours: await read(ours), theirs: await read(theirs) }),
      ),
  };
}

test('trees are merged in process as git merge-tree merges them, or not at all', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git');
  await using writer = new ObjectWriter(repository, 'sha1');
  const access = accessOf(repository, writer);
  const examples = fc.sample(fc.tuple(base, side, side), 400);
  const merges: { trees: { base: string; ours: string; theirs: string }; sides: [string, string] }[] = [];
  for (const [paths, left, right] of examples) {
    const files = baseFiles(paths);
    const trees = {
      base: await writeFiles(writer, files),
      ours: await writeFiles(writer, changed(files, left)),
      theirs: await writeFiles(writer, changed(files, right)),
    };
    const person = 'author a <> 0 +0000\ncommitter a <> 0 +0000\n\n';
    const root = await writer.write('commit', Buffer.from(`tree ${trees.base}\n${person}`));
    const commit = (tree: string) =>
      writer.write('commit', Buffer.from(`tree ${tree}\nparent ${root}\n${person}`));
    merges.push({ trees, sides: [await commit(trees.ours), await commit(trees.theirs)] });
  }
  await writer.finish();

  const ofGit = gitMerges(
    repository,
    merges.map(({ sides }) => sides),
  );

  let inProcess = 0;
  assert.equal(ofGit.length, merges.length);
  for (const [index, { trees }] of merges.entries()) {
    const merged = await mergeInProcess(access, trees).catch(undefinedOnFallBack);
    if (merged === undefined) continue;
    inProcess++;
    assert.equal(merged, ofGit[index], JSON.stringify(examples[index]));
  }
  assert.ok(inProcess > merges.length / 5, `only ${inProcess} of ${merges.length}`);
});

// Symptom: a cherry-pick was empty, and trees differed from those of git.
for (const [form, rewrite] of Object.entries(UNUSUAL_FORMS)) {
  test(`trees with ${form} are merged in process as git merges them, or not at all`, async () => {
    await using fixture = await StorageFixture.create();
    const repository = fixture.init('x.git');
    await using writer = new ObjectWriter(repository, 'sha1');
    const access = accessOf(repository, writer);
    const person = 'author a <> 0 +0000\ncommitter a <> 0 +0000\n\n';
    const commit = (tree: string, parent = '', message = '') =>
      writer.write('commit', Buffer.from(`tree ${tree}\n${parent}${person}${message}`));
    let inProcess = 0;
    for (const [paths, left, right, isOdd] of fc.sample(
      fc.tuple(base, side, side, fc.func(fc.boolean())),
      80,
    )) {
      const write = async (files: Files) =>
        await writeFiles(writer, files, async (entries) => {
          // The same directories in all three trees.
          if (!isOdd(entries.map(({ name }) => name.toString('latin1')).sort()[0]))
            return await writer.writeTree(entries);
          const parsed = await parseTreeInTurns(formatTree(entries), 20);
          const pieces = parsed.map((entry) => formatTree([entry]));
          return await writer.write('tree', Buffer.concat(rewrite(pieces)));
        });
      const files = baseFiles(paths);
      const ours = await write(changed(files, left));
      const theirs = await write(changed(files, right));
      const trees = { base: await write(files), ours, theirs };
      const root = await commit(trees.base);
      const parent = `parent ${root}\n`;
      const sides = [await commit(ours, parent, 'ours'), await commit(theirs, parent, 'theirs')];
      await writer.finish();
      const { code, stdout } = runSync('git', ['merge-tree', '--write-tree', ...sides], {
        cwd: repository.path,
        env: GIT_ENVIRONMENT,
      });

      const merged = await mergeInProcess(access, trees).catch(undefinedOnFallBack);
      if (merged === undefined) continue;
      inProcess++;
      assert.equal(
        merged,
        code === 0 ? stdout.toString().trim() : undefined,
        JSON.stringify({ paths, left, right }),
      );
    }
    assert.ok(inProcess > 5, `only ${inProcess}`);
  });
}

for (const objectFormat of ['sha1', 'sha256'] as const) {
  test(`three trees of a ${objectFormat} repository are merged by any git`, async () => {
    await using fixture = await StorageFixture.create();
    const repository = fixture.init('x.git', { objectFormat });
    await using writer = new ObjectWriter(repository, objectFormat);
    const labels = { ours: 'one', theirs: 'other' };
    const merges = await TreeMerges.start(repository);
    const merge = async (...files: [Files, Files, Files]) => {
      const [base = '', ours = '', theirs = ''] = await Promise.all(
        files.map((each) => writeFiles(writer, each)),
      );
      await writer.finish();
      return await merges.merge({ base, ours, theirs, labels });
    };
    const old = `top\n${TEXT}\nend\n`;

    const clean = await merge({ a: old }, { a: old.replace('top', 'TOP') }, { b: old.replace('end', 'END') });
    const conflict = await merge({ a: 'x\n' }, { a: 'y\n' }, { 'a/b': 'z\n' });
    const long = 'n'.repeat(200_000); // comes in several pieces
    const inPieces = await merge({ [long]: 'x\n' }, { [long]: 'y\n' }, { [long]: 'z\n' });
    const after = await merge({ a: 'x\n' }, { a: 'x\n' }, { a: 'z\n' });
    await assert.rejects(merges.merge({ base: '0'.repeat(40), ours: 'x', theirs: 'y', labels }), {
      name: 'GitExitError',
    });
    await merges[Symbol.asyncDispose]();

    assert.equal(clean.isClean, true);
    assert.equal(clean.treeOid, await writeFiles(writer, { b: `TOP\n${TEXT}\nEND\n` }));
    assert.equal(after.treeOid, await writeFiles(writer, { a: 'z\n' }));
    assert.equal(conflict.isClean, false);
    assert.deepEqual(
      conflict.conflicts.map(({ stage, path }) => `${stage} ${path}`),
      ['1 a~one', '2 a~one'],
    );
    assert.deepEqual(
      inPieces.conflicts.map(({ stage, path }) => [stage, path.equals(Buffer.from(long))]),
      [1, 2, 3].map((stage) => [stage, true]),
    );
    assert.equal(fixture.runGit(repository.path, ['fsck', '--no-dangling']), '');
    assert.deepEqual(
      readdirSync(repository.objectDirectory).filter((name) => name.startsWith('merge-')),
      [],
    );
  });
}

test('commits of any history have the merge base that git finds', async () => {
  const history = fc.array(fc.record({ parents: fc.array(fc.nat(), { maxLength: 2 }), seconds: fc.nat(5) }), {
    minLength: 2,
    maxLength: 25,
  });
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git');
  await using writer = new ObjectWriter(repository, 'sha1');
  const tree = await writer.writeTree([]);

  for (const commits of fc.sample(history, 12)) {
    const oids: string[] = [];
    for (const [index, { parents, seconds }] of commits.entries()) {
      const named = new Set(
        parents.map((number) => oids[number % (index + 1)]).filter((oid) => oid !== undefined),
      );
      const lines = [...named].map((oid) => `parent ${oid}\n`).join('');
      const person = `a <> ${1_700_000_000 + index + seconds * 2} +0000`;
      oids.push(
        await writer.write(
          'commit',
          Buffer.from(`tree ${tree}\n${lines}author ${person}\ncommitter ${person}\n\n${index}\n`),
        ),
      );
    }
    await writer.finish();
    const [one = '', other = ''] = oids.slice(-2);

    const expected = runSync('git', ['merge-base', one, other], { cwd: repository.path })
      .stdout.toString()
      .trim();

    assert.equal(await mergeBase(repository, one, other), expected === '' ? undefined : expected);
  }
});

test('which of two merge bases is best is left to git', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git', { commits: 1 });
  const { path } = repository;
  const commit = (...parents: string[]): string =>
    gitOutput(path, ['commit-tree', '-m', 'x', ...parents.flatMap((oid) => ['-p', oid]), 'main^{tree}']);
  const root = gitOutput(path, ['rev-parse', 'main']);
  const sides = [
    commit(root),
    gitOutput(path, ['commit-tree', '-m', 'y', '-p', root, 'main^{tree}']),
  ] as const;
  const [one, other] = [commit(...sides), commit(...sides.toReversed())];

  assert.equal(gitOutput(path, ['merge-base', '--all', one, other]).split('\n').length, 2);
  await assert.rejects(nearMergeBase(repository, one, other), FallBackToGit);
});

test('a history whose commits have a thousand parents each is left to git', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git', { commits: 1 });
  const root = gitOutput(repository.path, ['rev-parse', 'main']);
  const [near, far] = [1, 6].map((count) => addManyParents(repository.path, root, count)) as [string, string];

  assert.equal(await nearMergeBase(repository, near, root), root);
  await assert.rejects(nearMergeBase(repository, far, root), FallBackToGit);
  assert.equal(await mergeBase(repository, far, root), root);
});

function undefinedOnFallBack(error: unknown): undefined {
  if (!(error instanceof FallBackToGit)) throw error;
}
