import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Patch } from '#git/diff/parse/patch-reader';
import { fc } from '#testkit/fast-check';
import { DiffLimiter, type DiffLimits, UNLIMITED } from './diff-limiter.ts';

const PATH = Buffer.from('dir/file.txt');
const PLENTY: DiffLimits = {
  ...UNLIMITED,
  enforce: true,
  maxFiles: 1000,
  maxLines: 10_000,
  maxBytes: 1_000_000,
  maxPatchBytes: 100_000,
  safeMaxFiles: 1000,
  safeMaxLines: 10_000,
  safeMaxBytes: 1_000_000,
};

/** Returns a patch with one hunk header of 10 bytes and lines of 10 bytes. */
function patch(lines: number, { isPresent = true } = {}): Patch {
  const byteCount = lines * 10;
  const patchBytes = lines === 0 ? 0 : byteCount + 10;
  return {
    isPresent,
    isBinary: false,
    linesAdded: lines,
    linesRemoved: 0,
    lineCount: lines,
    byteCount,
    patchBytes,
    pieces: [],
  };
}

/**
 * Returns the results of files with these numbers of lines: `.` shown, `c` collapsed, `t` too
 * large, `o` overflow.
 */
function fates(limits: Partial<DiffLimits>, lines: readonly number[], path = PATH): string {
  const limiter = new DiffLimiter({ ...PLENTY, ...limits });
  const verdicts = lines.map((count) => limiter.classify(path, patch(count)));
  return verdicts
    .map(
      ({ isCollapsed, isTooLarge, isOverflow }) =>
        `${isCollapsed ? 'c' : ''}${isTooLarge ? 't' : ''}${isOverflow ? 'o' : ''}` || '.',
    )
    .join(' ');
}

for (const [name, limits, lines, expected] of [
  ['nothing reached', {}, [10, 10, 10], '. . .'],
  ['as many files as allowed', { maxFiles: 3 }, [1, 1, 1], '. . .'],
  ['one file more', { maxFiles: 2 }, [1, 1, 1], '. . o'],
  ['no file allowed', { maxFiles: 0 }, [1], 'o'],
  ['one line below', { maxLines: 21 }, [10, 10], '. .'],
  ['as many lines', { maxLines: 20 }, [10, 10], '. o'],
  ['one byte below', { maxBytes: 201 }, [10, 10], '. .'],
  ['as many bytes, hunk headers not counted', { maxBytes: 200 }, [10, 10], '. o'],
  ['a patch one byte below its own limit', { maxPatchBytes: 111 }, [10], '.'],
  ['a patch of its own limit, hunk header counted', { maxPatchBytes: 110 }, [10], 't'],
  ['no patch allowed', { maxPatchBytes: 0 }, [0, 1], 't t'],
  ['a negative limit', { maxPatchBytes: -1 }, [0], 't'],
  ['a dropped patch is taken off the totals', { maxPatchBytes: 100, maxLines: 15 }, [50, 5, 5], 't . .'],
  ['limits that are not enforced', { enforce: false, maxFiles: 0, maxPatchBytes: 0 }, [10], '.'],
  [
    'only the limit on a patch',
    { patchLimitsOnly: true, maxFiles: 0, maxLines: 0, maxPatchBytes: 50 },
    [10, 1],
    't .',
  ],
  ['as many safe files', { collapse: true, safeMaxFiles: 2 }, [1, 1, 1], '. . c'],
  ['as many safe lines', { collapse: true, safeMaxLines: 20 }, [10, 10, 1], '. . c'],
  ['as many safe bytes', { collapse: true, safeMaxBytes: 200 }, [10, 10, 1], '. . c'],
  ['a collapsed file is taken off the totals', { collapse: true, safeMaxLines: 20 }, [10, 100, 10], '. c .'],
  ['an empty patch is not collapsed', { collapse: true, safeMaxFiles: 0 }, [0, 1], '. c'],
  [
    'a collapsed patch is too large when nothing is allowed',
    { collapse: true, safeMaxFiles: 0, maxPatchBytes: 0 },
    [1],
    'ct',
  ],
  [
    'a collapsed patch is not too large otherwise',
    { collapse: true, safeMaxFiles: 0, maxPatchBytes: 1 },
    [1],
    'c',
  ],
  ['safe limits that are not asked for', { safeMaxFiles: 0 }, [1], '.'],
] as const) {
  test(`limits: ${name}`, () => {
    assert.equal(fates(limits, lines), expected);
  });
}

for (const [path, key] of [
  ['dir/file.txt', '.txt'],
  ['a.tar.gz', '.gz'],
  ['dir.d/Makefile', 'Makefile'],
  ['.gitignore', '.gitignore'],
  ['x.', '.'],
] as const) {
  test(`the limit for ${path} is found under ${key}`, () => {
    const limits = { maxPatchBytesFor: new Map([[key, 5]]) };

    assert.equal(fates(limits, [10], Buffer.from(path)), 't');
    assert.equal(
      fates({ ...limits, maxPatchBytesFor: new Map([[`${key}x`, 5]]) }, [10], Buffer.from(path)),
      '.',
    );
  });
}

test('a limit for an extension may be above what is allowed for all', () => {
  assert.equal(fates({ maxPatchBytes: 10, maxPatchBytesFor: new Map([['.txt', 10_000]]) }, [10]), '.');
});

test('no request can go beyond the upper bounds', () => {
  const limits = { maxFiles: 1e6, maxLines: 1e9, maxBytes: 1e9, maxPatchBytes: 1e9 };

  assert.equal(
    fates(
      { ...limits, maxFiles: 1e6 },
      Array.from({ length: 5001 }, () => 0),
    ).at(-1),
    'o',
  );
  assert.equal(fates(limits, [51_199]), 't', 'a patch of 512,000 bytes');
  assert.equal(fates(limits, [51_198]), '.');
});

test('a file without a patch counts as a file, and nothing else happens to it', () => {
  const limiter = new DiffLimiter({ ...PLENTY, maxFiles: 1, maxPatchBytes: 0 });

  assert.deepEqual(limiter.classify(PATH, patch(0, { isPresent: false })), {
    isCollapsed: false,
    isTooLarge: false,
    isOverflow: false,
  });
  assert.deepEqual(limiter.classify(PATH, patch(0, { isPresent: false })), {
    isCollapsed: false,
    isTooLarge: false,
    isOverflow: false,
  });
  assert.equal(limiter.classify(PATH, patch(1)).isOverflow, true);
});

test('a patch that is shown in the end was wanted all the time', () => {
  const limit = fc.integer({ min: -1, max: 40 });
  const limits = fc.record({
    enforce: fc.boolean(),
    collapse: fc.boolean(),
    collectAllPaths: fc.boolean(),
    maxFiles: limit,
    maxLines: limit,
    maxBytes: fc.integer({ min: 0, max: 400 }),
    safeMaxFiles: limit,
    safeMaxLines: limit,
    safeMaxBytes: fc.integer({ min: 0, max: 400 }),
    maxPatchBytes: fc.integer({ min: -1, max: 300 }),
  });
  fc.assert(
    fc.property(limits, fc.array(fc.nat({ max: 30 }), { maxLength: 8 }), (given, files) => {
      const limiter = new DiffLimiter(given);
      for (const lines of files) {
        const wanted = Array.from({ length: lines + 1 }, (_, seen) => limiter.isWanted(PATH, patch(seen)));
        const { isCollapsed, isTooLarge, isOverflow } = limiter.classify(PATH, patch(lines));
        const isShown = !(isCollapsed || isTooLarge || isOverflow);

        assert.equal(wanted.at(-1), isShown);
        if (isShown) assert.ok(wanted.every(Boolean), 'it was given up too early');
        if (isOverflow) return;
      }
    }),
  );
});
