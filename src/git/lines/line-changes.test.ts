import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { after, test } from 'node:test';
import { initRepository } from '#testkit/repositories/init-repository';
import { seededRandom } from '#testkit/repositories/random-history';
import { GIT_ENVIRONMENT } from '#testkit/repositories/run-git';
import { outputSync } from '#testkit/run-program-sync';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { testSeed } from '#testkit/test-seed';
import { FallBackToGit } from '../command/in-process.ts';
import { CompareWork } from './compare-work.ts';
import { type LineChange, type LineVersions, lineChangesOfDiff, lineChangesOfMerge } from './line-changes.ts';
import { LineSplitter } from './split-lines.ts';

const path = makeScratchDirectory('line-changes');
initRepository(path);
after(() => rmSync(path, { recursive: true }));

const SEED = testSeed();
const random = seededRandom(SEED);
const below = (limit: number): number => Math.floor(random() * limit);

type Texts = readonly [string, string];

/** Returns the changes that git shows, of all pairs with one command. */
function changesOfGit(pairs: readonly Texts[], options: readonly string[]): LineChange[][] {
  const run = (args: readonly string[], input = ''): string =>
    outputSync('git', args, {
      cwd: path,
      env: GIT_ENVIRONMENT,
      input: Buffer.from(input, 'latin1'),
    }).toString('latin1');
  const commits = [0, 1].map((side) => {
    const files = pairs.map((pair, index) => {
      const text = pair[side] ?? '';
      return `M 100644 inline ${index}\ndata ${text.length}\n${text}\n`;
    });
    return `commit refs/heads/x\ncommitter a <a@x> 1 +0000\ndata 0\ndeleteall\n${files.join('')}\n`;
  });
  run(['fast-import', '--quiet', '--force'], commits.join(''));
  const found: LineChange[][] = pairs.map(() => []);
  // Without context git leaves equal ends of files out, and then moves changes less far.
  const patches = run(['diff-tree', '-r', '-U1', '--no-renames', ...options, 'x~1', 'x']).split(
    'diff --git ',
  );
  for (const patch of patches.slice(1)) found[Number(/^a\/(\d+) /.exec(patch)?.[1])] = changesIn(patch);
  return found;
}

/** Returns the changes of a patch of one file, with context. */
function changesIn(patch: string): LineChange[] {
  const changes: LineChange[] = [];
  for (const hunk of patch.split('\n@@ -').slice(1)) {
    const [head = '', ...lines] = hunk.split('\n');
    const [, start, count, newStart, newCount] = /^(\d+)(,0)?\S* \+(\d+)(,0)?/.exec(head) ?? [];
    let at = Number(start) - (count === undefined ? 1 : 0);
    let newAt = Number(newStart) - (newCount === undefined ? 1 : 0);
    for (const run of lines
      .map((line) => line.charAt(0))
      .join('')
      .match(/ +|[-+\\]+/g) ?? []) {
      const removed = run.split('-').length - 1;
      const added = run.split('+').length - 1;
      if (removed + added > 0) changes.push({ at, removed, newAt, added });
      at += run.startsWith(' ') ? run.length : removed;
      newAt += run.startsWith(' ') ? run.length : added;
    }
  }
  return changes;
}

/** Compares all pairs in process and by git. Returns how many were left to git. */
function assertSame(
  pairs: readonly Texts[],
  changesHere: (versions: LineVersions, work: CompareWork) => LineChange[],
  options: readonly string[],
): number {
  let left = 0;
  for (const [index, expected] of changesOfGit(pairs, options).entries()) {
    const splitter = new LineSplitter();
    const [before, now] = (pairs[index] ?? ['', '']).map((text) =>
      splitter.split(Buffer.from(text, 'latin1')),
    );
    assert.ok(before !== undefined && now !== undefined);
    try {
      const found = changesHere({ before, after: now, idCount: splitter.count }, new CompareWork());
      assert.deepEqual(found, expected, JSON.stringify(pairs[index]));
    } catch (error) {
      if (!(error instanceof FallBackToGit)) throw error;
      left++;
    }
  }
  return left;
}

/** Few different lines make many places where a change can be shown. */
const LINES = [
  '',
  '',
  ' ',
  'a',
  'b',
  '  a',
  '    b',
  '\ta',
  '}',
  `${' '.repeat(199)}a`,
  `${' '.repeat(201)}a`,
];

/** Returns two versions of a file with up to a number of lines. */
function randomTexts(maxLines: number): Texts {
  const words = LINES.slice(below(8), 3 + below(9));
  const line = (): string => words[below(words.length)] ?? '';
  const lines = (count: number): string[] => Array.from({ length: count }, line);
  const before = lines(below(maxLines));
  const later = [...before];
  for (let edits = below(4); edits >= 0; edits--) {
    const at = below(later.length + 1);
    if (below(2) === 0) later.splice(at, 0, ...later.slice(at, at + 1 + below(5)));
    else later.splice(at, below(4), ...lines(below(4)));
  }
  const text = (all: readonly string[]): string => all.join('\n') + (below(8) > 0 ? '\n' : '');
  return below(2) === 0 ? [text(before), text(later)] : [text(later), text(before)];
}

/** Cases that are rare among random ones. */
const RARE: readonly Texts[] = [
  // The weight of a file's start decides.
  [
    '    b\n}\n\ta\n\nb\n}\n\ta\n\ta\n    b\n',
    '    b\n}\n    b\n}\n\ta\n\n    b\n}\n\ta\n\nb\n}\n\ta\n\ta\n    b\n',
  ],
  // A histogram looks at each line of a common part only once.
  ['\n \n\n \n\n\n', '\n \n\n\n\n'],
];
/** A change can be shown in several places, and another one is best if any weight is one more or less. */
const CLOSE: readonly Texts[] = [
  ['\n  a\n\n        }\n  b\n\n        }\n', '\n  a\n\n        }\n'],
  ['\n  a\n\n  a\n\n\n\n\n    }\n', '\n  a\n\n\n\n\n    }\n'],
  ['    b\n\n\n\n  a\n\na\n', '    b\n\n\n\n  a\n\n  a\n\na\n'],
  ['\n}\n        b\n\n\n}\n\n}\n        b\n\n\n}\n', '\n}\n        b\n\n\n}\n'],
  ['        a\n  a\n  a\n}\n        b\n\n  a\n}\n  b\n    b\n', '        a\n  a\n  a\n}\n  b\n    b\n'],
  ['        a\n    b\n    b\n\n  b\n\n    b\n    }\n  b\n\n  b\n', '        a\n    b\n    b\n\n  b\n\n  b\n'],
  ['        }\na\n\n        b\n    a\na\n        }\na\n\n        b\n', '        }\na\n\n        b\n'],
  ['\n    b\n    a\n\n\n  b\n    }\nb\na\n}\n\n  b\n    }\nb\n', '\n    b\n    a\n\n\n  b\n    }\nb\n'],
  ['}\n  b\n\n    }\n    }\nb\n', '}\n  b\n\n    }\n    }\n    a\n  b\n\n    }\n    }\nb\n'],
  ['b\n    }\n', 'b\n    }\n    a\n        a\n  b\n    b\n\n\n    }\n'],
  ['        a\n\n  }\n        }\n\n        a\n\n  }\n        }\n\n\n', '        a\n\n  }\n        }\n\n\n'],
  ['\n    b\n  }\n        b\n  b\n', '\n    b\n\n    b\n  }\n        b\n  b\n'],
  ['  }\na\n\n        }\n    }\n', '  }\na\n\n        }\n\n  }\na\n\n        }\n    }\n'],
  [
    '    }\n    }\nb\n    b\n}\n\n    }\n    }\nb\n    b\n}\n    }\n  b\nb\n',
    '    }\n    }\nb\n    b\n}\n    }\n  b\nb\n',
  ],
];
const MERGE_OPTIONS = ['--diff-algorithm=histogram', '--no-indent-heuristic'];

test('changes are shown where the weights of indents suit best', () => {
  assert.equal(assertSame(CLOSE, lineChangesOfDiff, []), 0);
});

test('changes of unusual files are those that git shows', () => {
  assert.equal(assertSame(RARE, lineChangesOfDiff, []), 0);
  assert.equal(assertSame(RARE, lineChangesOfMerge, MERGE_OPTIONS), 0);
});

test(`changes of small files are those that git shows (SEED=${SEED})`, () => {
  const pairs = Array.from({ length: 3_000 }, () => randomTexts(12));

  assert.equal(assertSame(pairs, lineChangesOfDiff, []), 0);
  const left = assertSame(pairs, lineChangesOfMerge, MERGE_OPTIONS);
  assert.ok(left < pairs.length / 10, `${left} left to git`);
});

test(`changes of files with frequent lines are those that git shows (SEED=${SEED})`, () => {
  const pairs = Array.from({ length: 300 }, () => randomTexts(150));

  assert.equal(assertSame(pairs, lineChangesOfDiff, []), 0);
});
