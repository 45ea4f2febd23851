import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fc } from '#testkit/fast-check';
import { DiffFormatError } from './diff-format-error.ts';
import { type FileDiff, parseDiff } from './parse-diff.ts';
import type { PatchProgress, PatchRules } from './patch-reader.ts';

const OID = 'a'.repeat(40);

async function* chunks(bytes: Buffer, cuts: readonly number[] = []): AsyncGenerator<Buffer> {
  const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
  for (const [index, place] of [0, ...places].entries())
    yield bytes.subarray(place, places[index] ?? bytes.length);
}

interface ParseOptions {
  readonly rulesFor?: () => PatchRules;
  readonly cuts?: readonly number[];
}

async function parse(text: string | Buffer, { cuts, ...visitor }: ParseOptions = {}): Promise<FileDiff[]> {
  return await all(chunks(Buffer.from(text), cuts), visitor);
}

async function all(
  source: AsyncIterable<Buffer>,
  visitor: Pick<ParseOptions, 'rulesFor'> = {},
): Promise<FileDiff[]> {
  return (
    await Array.fromAsync(parseDiff(source, { hexLength: 40, take: (diff) => diff, ...visitor }))
  ).flat();
}

function raw(path: string, status = 'M'): string {
  return `:100644 100644 ${OID} ${OID} ${status}\t${path}\n`;
}

function shown({ change, patch }: FileDiff): Record<string, unknown> {
  const { isPresent, isBinary, linesAdded, linesRemoved, lineCount, byteCount, patchBytes, pieces } = patch;
  const text = Buffer.concat([...pieces]).toString('latin1');
  return {
    path: change.toPath.toString(),
    isPresent,
    isBinary,
    linesAdded,
    linesRemoved,
    lineCount,
    byteCount,
    patchBytes,
    text,
  };
}

/**
 * A file as git prints it: lines before the patch that are dropped, and the lines of the patch.
 */
const FILE = fc.record({
  path: fc.stringMatching(/^[a-z]{1,8}$/),
  headers: fc.array(
    fc.constantFrom(
      'index 1..2 100644',
      'old mode 100644',
      'rename from x',
      '--- a/x',
      '+++ b/x',
      'similarity index 90%',
    ),
  ),
  hunks: fc.array(
    fc.array(
      fc.oneof(
        fc.constantFrom(
          '+',
          '-',
          ' ',
          '\\ No newline at end of file',
          '~',
          '+++ x',
          '--- y',
          '-- z',
          '+diff --git a/x b/x',
          ' @@ x',
          '-Binary',
        ),
        fc.string({ maxLength: 100 }).map((text) => `+${text.replace(/[\n]/g, '')}`),
      ),
      { maxLength: 12 },
    ),
    { maxLength: 3 },
  ),
});

test('files and their patches are read back, however they are cut', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(FILE, { selector: ({ path }) => path, maxLength: 5 }),
      fc.array(fc.nat(), { maxLength: 12 }),
      async (files, cuts) => {
        const patches = files.map(({ hunks }) =>
          hunks.flatMap((lines) => ['@@ -1 +1 @@', ...lines].map((line) => `${line}\n`)),
        );
        const text = [
          ...files.map(({ path }) => raw(path)),
          '\n',
          ...files.flatMap(({ path, headers }, index) => [
            `diff --git a/${path} b/${path}\n`,
            ...headers.map((line) => `${line}\n`),
            ...(patches[index] ?? []),
          ]),
        ].join('');

        const found = (await parse(text, { cuts })).map(shown);

        const expected = files.map(({ path, hunks }, index) => {
          const lines = hunks.flat();
          const patch = (patches[index] ?? []).join('');
          return {
            path,
            isPresent: true,
            isBinary: false,
            linesAdded: lines.filter((line) => line.startsWith('+')).length,
            linesRemoved: lines.filter((line) => line.startsWith('-')).length,
            lineCount: lines.length,
            byteCount: lines.reduce((sum, line) => sum + Buffer.byteLength(line) + 1, 0),
            patchBytes: Buffer.byteLength(patch),
            text: Buffer.from(patch).toString('latin1'),
          };
        });
        assert.deepEqual(found, expected);
      },
    ),
  );
});

test('a file for which git prints nothing has no patch, and the next one has its own', async () => {
  const text = `${raw('a')}${raw('b')}${raw('c')}\ndiff --git a/b b/b\n@@ -1 +1 @@\n+x\n`;

  assert.deepEqual(
    (await parse(text)).map(({ patch }) => patch.isPresent),
    [false, true, false],
  );
});

test('after a header whose path holds " b/", that file and later ones lose their patches', async () => {
  const header = 'diff --git a/x b/y b/x b/y\n@@ -1 +1 @@\n+1\n';
  const text = `${raw('x b/y')}${raw('z')}\n${header}diff --git a/z b/z\n@@ -1 +1 @@\n+2\n`;

  assert.deepEqual(
    (await parse(text)).map(({ patch }) => patch.isPresent),
    [false, false],
  );
});

test('a binary file keeps the words for it', async () => {
  const [diff] = await parse(
    `${raw('x')}\ndiff --git a/x b/x\nindex 1..2\nBinary files a/x and b/x differ\n`,
  );

  assert.deepEqual(
    [diff?.patch.isBinary, diff && shown(diff).text],
    [true, 'Binary files a/x and b/x differ\n'],
  );
});

test('a line of any length is handed on as views of what was read', async () => {
  const line = Buffer.alloc(1 << 20, 'x');
  const parts = [
    Buffer.from(`${raw('x')}\ndiff --git a/x b/x\n@@ -1 +1 @@\n+`),
    line,
    line,
    Buffer.from('\n'),
  ];

  const [diff] = await all(
    (async function* () {
      yield* parts;
    })(),
  );

  assert.equal(diff?.patch.byteCount, 2 * line.length + 2);
  assert.equal(diff?.patch.pieces.filter(({ buffer }) => buffer === line.buffer).length, 2);
});

test('a patch that is no longer wanted is counted to its end, and not held', async () => {
  const seen: number[] = [];
  const isWanted = ({ patchBytes }: PatchProgress) => {
    seen.push(patchBytes);
    return patchBytes < 100;
  };
  const lines = '+0123456789\n'.repeat(100);

  const [diff] = await parse(`${raw('x')}\ndiff --git a/x b/x\n@@ -1 +1 @@\n${lines}`, {
    cuts: Array.from({ length: 40 }, (_, index) => index * 40),
    rulesFor: () => ({ isWanted }),
  });

  assert.deepEqual([diff?.patch.linesAdded, diff?.patch.pieces.length], [100, 0]);
  assert.ok(Math.max(...seen) < 200, 'it was asked again after it had said no');
});

test('lines that look like file headers count as such where nothing is collected', async () => {
  const text = `${raw('x')}\ndiff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n+++ plus\n+line\n--- minus\n`;

  const [collected] = await parse(text);
  const [skipped] = await parse(text, { rulesFor: () => ({ isSkipped: true }) });

  assert.deepEqual([collected?.patch.linesAdded, collected?.patch.linesRemoved], [2, 1]);
  assert.deepEqual(
    [skipped?.patch.linesAdded, skipped?.patch.linesRemoved, skipped?.patch.patchBytes],
    [1, 0, 0],
  );
});

test('output that breaks off gives what came before', async () => {
  const hunks = '\ndiff --git a/a b/a\n@@ -1 +1 @@\n+1\ndiff --git a/b b/b\n@@ -1 +1 @@\n+2\n';
  const whole = raw('a') + raw('b') + hunks;
  const complete = (await parse(whole)).map(shown);
  for (let length = 0; length < whole.length; length++) {
    const found = (await parse(whole.slice(0, length))).map(shown);

    assert.ok(found.length <= complete.length);
    for (const [index, file] of found.entries()) {
      assert.equal(file.path, complete[index]?.path);
      assert.ok(String(complete[index]?.text).startsWith(String(file.text)), `${length} bytes`);
    }
  }
});

for (const [name, text, message] of [
  ['colors in the patch', `${raw('x')}\n\x1b[1mdiff --git a/x b/x\n`, 'diff header regexp mismatch'],
  ['no prefixes', `${raw('x')}\ndiff --git x x\n`, 'diff header regexp mismatch'],
  ['an endless line', `:${'x'.repeat(2 << 20)}`, 'line exceeds 2097152 bytes'],
  ['short ids', ':100644 100644 abc def M\tx\n\n', 'raw line regexp mismatch'],
] as const) {
  test(`${name} are refused with Gitaly's words`, async () => {
    await assert.rejects(parse(text), new DiffFormatError(message));
  });
}

test('the limit of a line is that of its own bytes, wherever it is in what was read', async () => {
  const limit = 2 << 20;
  const path = 'x'.repeat(limit - raw('').length + 1);
  const [longest] = await parse(`${raw(path)}\n`, { cuts: [limit] });
  assert.equal(longest?.change.toPath.length, path.length);

  const text = raw('x').repeat(Math.ceil(limit / raw('x').length));
  assert.ok((await parse(`${text}\n`, { cuts: [text.length - 1] })).length > 10_000);
  await assert.rejects(parse(`${raw('x')}:${'x'.repeat(limit)}`), /line exceeds 2097152 bytes/);
});

test('garbage is refused or read, and never anything else', async () => {
  const words = [
    raw('x'),
    ':',
    '\n',
    'diff --git a/x b/x\n',
    'diff --git ',
    '@@',
    '@',
    '~',
    '~\n',
    'Bin',
    'Binary',
    '+',
    '-',
    '---',
    ' ',
    'd',
  ];
  const garbage = fc
    .array(fc.oneof(fc.constantFrom(...words), fc.string({ maxLength: 8 })))
    .map((parts) => parts.join(''));
  await fc.assert(
    fc.asyncProperty(garbage, fc.array(fc.nat(), { maxLength: 8 }), async (text, cuts) => {
      const outcome = (rules: ParseOptions) =>
        parse(text, rules).then((diffs) => JSON.stringify(diffs.map(shown)), String);

      const whole = await outcome({});

      assert.ok(whole.startsWith('[') || whole.startsWith('DiffFormatError'), whole);
      assert.equal(await outcome({ cuts }), whole, 'it depends on where the bytes are cut');
    }),
    { numRuns: 500 },
  );
});

test('a reader that leaves ends the source', async () => {
  let isLeft = false;
  async function* source(): AsyncGenerator<Buffer> {
    try {
      yield Buffer.from(`${raw('a')}${raw('b')}\ndiff --git a/a b/a\n@@ -1 +1 @@\n+1\ndiff --git a/b b/b\n`);
      yield Buffer.from('@@ -1 +1 @@\n+1\n');
    } finally {
      isLeft = true;
    }
  }

  for await (const _ of parseDiff(source(), { hexLength: 40, take: (diff) => diff })) break;

  assert.ok(isLeft);
});
