import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { assertCpuBelow } from '#testkit/measure/cpu-limit';
import { initRepository } from '#testkit/repositories/init-repository';
import { type Random, seededRandom } from '#testkit/repositories/random-history';
import { GIT_ENVIRONMENT } from '#testkit/repositories/run-git';
import { outputSync } from '#testkit/run-program-sync';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { repetitions } from '#testkit/soak';
import { testSeed } from '#testkit/test-seed';
import { FallBackToGit } from '../command/in-process.ts';
import { MAX_LINES } from '../lines/split-lines.ts';
import { MAX_MERGED_BYTES, mergeLines, type ThreeFiles } from './merge-lines.ts';

const root = makeScratchDirectory('merge-lines');
mkdirSync(root, { recursive: true });
after(() => rmSync(root, { recursive: true }));

const FILES = repetitions('MERGED_FILES', { short: 600, long: 20_000 });
const SEED = testSeed();
const CONFLICTS = 'a file has conflicts';
let made = 0;

/** Merges files with one `git merge-tree`, and returns the results without conflicts. */
function mergesOfGit(files: readonly ThreeFiles[]): (Buffer | undefined)[] {
  const path = join(root, `${made++}.git`);
  initRepository(path);
  const git = (args: readonly string[], input: string | Buffer): Buffer =>
    outputSync('git', args, { cwd: path, env: GIT_ENVIRONMENT, input });
  const marks = join(root, 'marks');
  const imported = files.flatMap(({ base, ours, theirs }, index) =>
    [base, ours, theirs].map((data, side) => {
      const from = side === 0 ? '' : `from :${index * 3 + 1}\n`;
      const head = `commit refs/heads/x\nmark :${index * 3 + side + 1}\ncommitter a <a@x> 1 +0000\ndata 0\n`;
      const file = `${from}M 100644 inline f\ndata ${data.length}\n`;
      const reset = side === 0 ? 'reset refs/heads/x\n\n' : '';
      return Buffer.concat([Buffer.from(reset + head + file), data, Buffer.from('\n\n')]);
    }),
  );
  git(['fast-import', '--quiet', '--force', `--export-marks=${marks}`], Buffer.concat(imported));
  const oids = new Map(
    readFileSync(marks, 'utf8')
      .trim()
      .split('\n')
      .map((line) => line.split(' ') as [string, string]), // a mark and its id
  );
  const sides = files.map(
    (_, index) => `${oids.get(`:${index * 3 + 2}`)} ${oids.get(`:${index * 3 + 3}`)}\n`,
  );
  const merges = git(['merge-tree', '--stdin', '--no-messages'], sides.join('')).toString('latin1');
  // `<1 for clean>\0<tree>\0<entries>…\0\0`; after a clean one's tree nothing follows.
  const trees = [...merges.matchAll(/(?:^|\0)([01])\0([0-9a-f]{40})\0/g)];
  assert.equal(trees.length, files.length);
  const clean = trees.flatMap(([, isClean, tree]) => (isClean === '1' ? [`${tree}:f\n`] : []));
  let contents = git(['cat-file', '--batch'], clean.join(''));
  return trees.map(([, isClean]) => {
    if (isClean !== '1') return undefined;
    const start = contents.indexOf(0x0a) + 1;
    const end = start + Number(contents.toString('latin1', 0, start).split(' ')[2]);
    const data = contents.subarray(start, end);
    contents = contents.subarray(end + 1);
    return data;
  });
}

/** Merges in process; the reason if that is left to git. */
function merged(files: ThreeFiles): Buffer | string {
  try {
    return mergeLines(files);
  } catch (error) {
    if (!(error instanceof FallBackToGit)) throw error;
    return error.message;
  }
}

/** Generates versions of a file. Few different lines make many ways to align them. */
function randomFiles(random: Random): ThreeFiles {
  const below = (limit: number): number => Math.floor(random() * limit);
  const pick = (numbers: readonly number[]): number => numbers[below(numbers.length)] ?? 0;
  const words = pick([2, 3, 5, 10, 40, 400]);
  const line = (): string => {
    const word = below(words);
    return word % 7 === 0 ? '' : `${'x'.repeat(word % 3)}${word}`;
  };
  const lines = (count: number): string[] => Array.from({ length: count }, line);
  const edited = (before: readonly string[]): string[] => {
    const after = [...before];
    for (let edits = 1 + below(4); edits > 0; edits--) {
      const at = below(after.length + 1);
      const kind = below(5);
      if (kind === 0) after.splice(at, 1 + below(3));
      else if (kind === 1) after.splice(at, 0, ...lines(1 + below(4)));
      else if (kind === 2) after.splice(at, 1 + below(2), line());
      else if (kind === 3) after.splice(below(after.length + 1), 0, ...after.slice(at, at + 1 + below(5)));
      else {
        const moved = after.splice(at, 1 + below(4));
        after.splice(below(after.length + 1), 0, ...moved);
      }
    }
    return after;
  };
  const bytes = (all: readonly string[]): Buffer =>
    Buffer.from(all.join('\n') + (all.length > 0 && below(5) > 0 ? '\n' : ''));
  const base = lines(pick([0, 1, 3, 8, 20, 60, 200]));
  // Sides often share a change.
  const common = below(4) === 0 ? edited(base) : base;
  return { base: bytes(base), ours: bytes(edited(common)), theirs: bytes(edited(common)) };
}

test(`files are merged as git merges them (SEED=${SEED})`, () => {
  const random = seededRandom(SEED);
  const files = Array.from({ length: FILES }, () => randomFiles(random));
  const expected = mergesOfGit(files);

  let inProcess = 0;
  for (const [index, versions] of files.entries()) {
    const result = merged(versions);
    const show = (): string => JSON.stringify(Object.values(versions).map(String));
    if (result === CONFLICTS) assert.equal(expected[index], undefined, show());
    if (typeof result === 'string') continue;
    inProcess++;
    assert.ok(expected[index]?.equals(result), show());
  }
  const clean = expected.filter((result) => result !== undefined).length;
  assert.ok(inProcess > clean * 0.8 && inProcess < FILES, `${inProcess} of ${clean}`);
});

const text = (...lines: string[]): Buffer => Buffer.from(lines.map((line) => `${line}\n`).join(''));

test('changes of different lines are merged, those of touching lines are left to git', () => {
  const base = text('1', '2', '3', '4', '5');

  const apart = merged({
    base,
    ours: text('one', '2', '3', '4', '5'),
    theirs: text('1', '2', '3', '4', 'five'),
  });
  const touching = merged({
    base,
    ours: text('1', 'x', '3', '4', '5'),
    theirs: text('1', '2', 'y', '4', '5'),
  });
  const same = merged({
    base,
    ours: text('1', 'x', '3', '4', '5'),
    theirs: text('1', 'x', '3', '4', '5', '6'),
  });

  assert.equal(String(apart), String(text('one', '2', '3', '4', 'five')));
  assert.equal(touching, CONFLICTS);
  assert.equal(String(same), String(text('1', 'x', '3', '4', '5', '6')));
});

test('lines that occur 64 times can be merged, and those that occur more often are left to git', () => {
  const results = [64, 65].map((count) => {
    const base = Array.from({ length: count }, () => 'x');
    return merged({ base: text(...base), ours: text('1', ...base, '2'), theirs: text(...base) });
  });

  assert.equal(String(results[0]), String(text('1', ...Array.from({ length: 64 }, () => 'x'), '2')));
  assert.equal(results[1], 'the lines of a file repeat');
});

// A newer git compares a run of changed lines again after it has moved it.
test('lines that versions of git compare differently are left to git', () => {
  const base = text('a', 'a', 'c');
  const result = merged({ base, ours: text('a', 'c', 'a', 'c'), theirs: base });

  assert.equal(result, 'versions of git compare a file differently');
});

const numbered = (count: number): string[] => Array.from({ length: count }, (_, index) => `${index % 999}`);
for (const [name, base, reason] of [
  ['a binary file', Buffer.from('a\0b\n'), 'a file to merge is binary'],
  ['a large file', Buffer.alloc(MAX_MERGED_BYTES + 1, 'x\n'), 'a file to merge is large'],
  ['lines that repeat', text(...Array.from({ length: 66 }, () => 'x')), 'the lines of a file repeat'],
  ['many lines', text(...numbered(MAX_LINES + 1)), 'a file has very many lines'],
] as const) {
  test(`${name}: left to git within milliseconds`, async () => {
    const change = (head: string, tail: string): Buffer => Buffer.concat([text(head), base, text(tail)]);
    const files = { base, ours: change('1', 'x'), theirs: change('x', '2') };

    await assertCpuBelow(100, () => assert.equal(merged(files), reason));
  });
}
