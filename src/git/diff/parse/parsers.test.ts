import assert from 'node:assert/strict';
import { test } from 'node:test';
import { quotePath } from '#git/names/quote-path';
import { unescapePath, unquotePath } from '#git/names/unquote-path';
import { fc } from '#testkit/fast-check';
import { parseRangeDiff, type RangeDiffItem } from '../range-diff.ts';
import { DiffFormatError } from './diff-format-error.ts';
import { type FileStat, parseNumstat } from './numstat.ts';
import { piecesOfPatch } from './patch-pieces.ts';
import { parseRawLine, splitTypeChange } from './raw-line.ts';
import { parseRawRecords, type RawRecord } from './raw-records.ts';

const OID = fc.stringMatching(/^[0-9a-f]{40}$/);
/** Any bytes that a tree entry can hold, including slashes. */
const PATH = fc
  .uint8Array({ minLength: 1, maxLength: 40 })
  .map((bytes) => Buffer.from(bytes.map((byte) => byte || 1)));
const MODE = fc.constantFrom(0, 0o100644, 0o100755, 0o120000, 0o160000);

/** Splits bytes at random places, as pipes do. */
function chunked(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
  return [0, ...places].map((place, index) => bytes.subarray(place, places[index] ?? bytes.length));
}

const CUTS = fc.array(fc.nat(), { maxLength: 6 });

async function flat<T>(batches: AsyncIterable<readonly T[]>): Promise<T[]> {
  const all: T[] = [];
  for await (const batch of batches) all.push(...batch);
  return all;
}

test('a path that git quoted comes back as it was', () => {
  fc.assert(fc.property(PATH, (path) => unquotePath(quotePath(path)).equals(path)));
});

for (const [text, expected] of [
  ['plain', 'plain'],
  ['"', '"'],
  ['""', ''],
  ['"a', '"a'],
  [String.raw`"\q"`, String.raw`\q`],
  [String.raw`"\400"`, String.raw`\400`],
  [String.raw`"\48x"`, String.raw`\48x`],
  [String.raw`"\"`, String.raw`\ `.trim()],
  [String.raw`"\/\'"`, `/'`],
] as const) {
  test(`the odd quoted path ${text} is read as Gitaly reads it`, () => {
    assert.equal(unquotePath(Buffer.from(text)).toString(), expected);
  });
}

test('unquoting takes any bytes', () => {
  fc.assert(fc.property(fc.uint8Array(), (bytes) => unescapePath(Buffer.from(bytes)).length <= bytes.length));
});

test('a raw line is read back', () => {
  const change = fc.record({
    oldMode: MODE,
    newMode: MODE,
    fromOid: OID,
    toOid: OID,
    status: fc.constantFrom('A', 'M', 'D', 'T', 'R', 'C'),
    from: PATH,
    to: PATH,
  });
  fc.assert(
    fc.property(change, ({ oldMode, newMode, fromOid, toOid, status, from, to }) => {
      const isRename = status === 'R' || status === 'C';
      const head =
        `:${oldMode.toString(8).padStart(6, '0')} ${newMode.toString(8)} ${fromOid} ` +
        `${toOid} ${status}${isRename ? '042' : ''}`;
      const paths = isRename ? [from, to] : [from];
      const line = Buffer.concat([
        Buffer.from(head),
        ...paths.flatMap((path) => [Buffer.from('\t'), quotePath(path)]),
      ]);

      const parsed = parseRawLine(line, 40);

      const fromPath = from;
      const toPath = isRename ? to : from;
      assert.deepEqual(parsed, { status, oldMode, newMode, fromOid, toOid, fromPath, toPath });
    }),
  );
});

for (const line of [
  '',
  ':',
  ':100644 100644 a b M\tx',
  `:100644 100648 ${'0'.repeat(40)} ${'0'.repeat(40)} M\tx`,
  'x',
]) {
  test(`the raw line ${JSON.stringify(line)} is refused`, () => {
    assert.throws(() => parseRawLine(Buffer.from(line), 40), new DiffFormatError('raw line regexp mismatch'));
  });
}

test('a change of type is a deletion and an addition, any other change is itself', () => {
  const [oid, zero] = ['1'.repeat(40), '0'.repeat(40)];
  const path = Buffer.from('x');
  const change = {
    oldMode: 0o100644,
    newMode: 0o120000,
    fromOid: oid,
    toOid: oid,
    fromPath: path,
    toPath: path,
  };

  assert.deepEqual(splitTypeChange({ ...change, status: 'T' }), [
    { ...change, status: 'T', newMode: 0, toOid: zero },
    { ...change, status: 'A', oldMode: 0, fromOid: zero },
  ]);
  assert.deepEqual(splitTypeChange({ ...change, status: 'M' }), [{ ...change, status: 'M' }]);
});

const SOURCE = fc.record(
  { status: fc.constantFrom('A', 'M', 'D', 'T', 'R', 'C'), mode: MODE, oid: OID },
  { noNullPrototype: true },
);
const RECORD = fc.record({
  commitOid: fc.option(OID, { nil: undefined }),
  sources: fc.array(SOURCE, { minLength: 1, maxLength: 4 }),
  newMode: MODE,
  newOid: OID,
  path: PATH,
  oldPath: PATH,
});

interface GeneratedRecord {
  readonly commitOid: string | undefined;
  readonly sources: readonly { readonly status: string; readonly mode: number; readonly oid: string }[];
  readonly newMode: number;
  readonly newOid: string;
  readonly path: Buffer;
  readonly oldPath: Buffer;
}

/** Formats a record as `git diff-tree --stdin -z` does. */
function printRecord({ commitOid, sources, newMode, newOid, path, oldPath }: GeneratedRecord): Buffer {
  const modes = [...sources.map(({ mode }) => mode), newMode].map((mode) =>
    mode.toString(8).padStart(6, '0'),
  );
  const statuses = sources
    .map(({ status }) => (sources.length === 1 && hasTwo(status) ? `${status}100` : status))
    .join('');
  const words = [...modes, ...sources.map(({ oid }) => oid), newOid, statuses].join(' ');
  const paths = sources.length === 1 && hasTwo(sources[0]?.status) ? [oldPath, Buffer.of(0), path] : [path];
  const commit = commitOid === undefined ? [] : [Buffer.from(`${commitOid}\0`)];
  return Buffer.concat([
    ...commit,
    Buffer.from(`${':'.repeat(sources.length)}${words}\0`),
    ...paths,
    Buffer.of(0),
  ]);
}

function hasTwo(status: string | undefined): boolean {
  return status === 'R' || status === 'C';
}

function expectRecords(records: readonly GeneratedRecord[]): unknown[] {
  let commit: string | undefined;
  return records.map(({ commitOid, sources, newMode, newOid, path, oldPath }) => {
    commit = commitOid ?? commit;
    const isRename = sources.length === 1 && hasTwo(sources[0]?.status);
    return { commitOid: commit, sources, newMode, newOid, path, oldPath: isRename ? oldPath : undefined };
  });
}

test('raw records are read back, however they are cut', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(RECORD, { maxLength: 5 }), CUTS, async (records, cuts) => {
      const printed = Buffer.concat(records.map(printRecord));

      assert.deepEqual(
        await flat<RawRecord>(parseRawRecords(chunked(printed, cuts))),
        expectRecords(records),
      );
    }),
  );
});

test('raw records that break off are a beginning of the whole ones', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(RECORD, { minLength: 1, maxLength: 4 }), fc.nat(), async (records, cut) => {
      const printed = Buffer.concat(records.map(printRecord));
      const found = await flat<RawRecord>(parseRawRecords([printed.subarray(0, cut % printed.length)]));

      assert.ok(found.length < records.length);
      assert.deepEqual(found, expectRecords(records).slice(0, found.length));
    }),
  );
});

test('two trees that git names on a line before a record are passed over', async () => {
  const [oid, zero] = ['a'.repeat(40), '0'.repeat(40)];
  const printed = Buffer.from(`${oid} ${oid}\n:000000 100644 ${zero} ${oid} A\0x\0${oid} ${oid}\n`);

  const [record] = await flat<RawRecord>(parseRawRecords([printed]));

  assert.deepEqual(
    [record?.commitOid, record?.path.toString(), record?.sources[0].status],
    [undefined, 'x', 'A'],
  );
});

test('a record whose modes, ids and statuses are not as many as its colons is refused', async () => {
  const oid = 'a'.repeat(40);
  for (const header of [
    `:100644 100644 ${oid} ${oid} AM`,
    `::100644 100644 100644 ${oid} ${oid} ${oid} M`,
    `:100644 100644 ${oid} ${oid} ${oid} M`,
    `:100644 100644 ${oid} M`,
    `:100644 10064x ${oid} ${oid} m`,
    `:100644 x ${oid} ${oid} M`,
  ])
    await assert.rejects(
      flat<RawRecord>(parseRawRecords([Buffer.from(`${header}\0x\0`)])),
      new DiffFormatError(`git diff-tree parsing failed on: ${JSON.stringify(header)}`),
    );
});

const STAT = fc.record(
  { path: PATH, oldPath: fc.option(PATH, { nil: undefined }), additions: fc.nat(), deletions: fc.nat() },
  { noNullPrototype: true },
);

function printStat({ path, oldPath, additions, deletions }: FileStat): Buffer {
  const paths = oldPath === undefined ? [path] : [Buffer.of(0), oldPath, Buffer.of(0), path];
  return Buffer.concat([Buffer.from(`${additions}\t${deletions}\t`), ...paths, Buffer.of(0)]);
}

test('line counts are read back, however they are cut', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(STAT, { maxLength: 6 }), CUTS, async (stats, cuts) => {
      const printed = Buffer.concat(stats.map(printStat));

      assert.deepEqual(await flat<FileStat>(parseNumstat(chunked(printed, cuts))), stats);
    }),
  );
});

test('line counts that break off are a beginning of the whole ones', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(STAT, { minLength: 1, maxLength: 4 }), fc.nat(), async (stats, cut) => {
      const printed = Buffer.concat(stats.map(printStat));
      const found = await flat<FileStat>(parseNumstat([printed.subarray(0, cut % printed.length)]));

      assert.deepEqual(found, stats.slice(0, found.length));
    }),
  );
});

test('a binary file has no lines', async () => {
  const [stat] = await flat<FileStat>(parseNumstat([Buffer.from('-\t-\tx\0')]));

  assert.deepEqual([stat?.additions, stat?.deletions], [0, 0]);
});

for (const [name, parse] of [
  ['raw records', (bytes: Buffer) => flat<unknown>(parseRawRecords([bytes]))],
  ['line counts', (bytes: Buffer) => flat<unknown>(parseNumstat([bytes]))],
  ['range-diffs', (bytes: Buffer) => Array.fromAsync(parseRangeDiff([bytes]))],
] as const) {
  test(`garbage instead of ${name} is refused or read, and never anything else`, async () => {
    await fc.assert(
      fc.asyncProperty(GARBAGE, async (bytes) => {
        await parse(bytes).catch((error: unknown) =>
          assert.ok(error instanceof DiffFormatError, String(error)),
        );
      }),
    );
  });
}

const GARBAGE = fc
  .array(
    fc.oneof(
      fc.uint8Array({ maxLength: 20 }),
      fc.constantFrom(':', '::', '\0', '\n', ' ', '1\t2\t', 'M\0x\0', `1:  ${'a'.repeat(40)} ! `),
    ),
  )
  .map((parts) => Buffer.concat(parts.map((part) => Buffer.from(part))));

test('pieces joined are the bytes, each of the given size but the last', () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 30 }), { maxLength: 8 }),
      fc.integer({ min: 1, max: 40 }),
      (parts, size) => {
        const buffers = parts.map((part) => Buffer.from(part));

        const pieces = [...piecesOfPatch(buffers, size)];

        assert.deepEqual(Buffer.concat(pieces), Buffer.concat(buffers));
        assert.ok(pieces.slice(0, -1).every(({ length }) => length === size));
        assert.ok(pieces.every(({ length }) => length > 0 && length <= size));
      },
    ),
  );
});

test('a piece that lies in one buffer is not copied', () => {
  const buffer = Buffer.alloc(100, 'x');

  const pieces = [...piecesOfPatch([buffer], 40)];

  assert.deepEqual(
    pieces.map(({ length, buffer: memory }) => [length, memory === buffer.buffer]),
    [
      [40, true],
      [40, true],
      [20, true],
    ],
  );
});

const PAIR = fc.record({
  fromOid: fc.oneof(OID, fc.constant('-'.repeat(40))),
  toOid: fc.oneof(OID, fc.constant('-'.repeat(40))),
  comparison: fc.constantFrom('=' as const, '<' as const, '>' as const, '!' as const),
  title: fc.stringMatching(/^[^\n\ud800-\udfff]{0,20}$/),
  patch: fc.array(fc.constantFrom('@@ x (new)', '+ +line', '- -line', '', '  1:  not a pair'), {
    maxLength: 4,
  }),
});

test('a range-diff is read back, however it is cut', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(PAIR, { maxLength: 5 }), CUTS, async (pairs, cuts) => {
      const lines = pairs.flatMap(({ fromOid, toOid, comparison, title, patch }, index) => [
        ` ${index}:  ${fromOid} ${comparison} ${index}:  ${toOid}${title === '' ? '' : ` ${title}`}`,
        ...patch.map((line) => `    ${line}`),
      ]);
      const printed = Buffer.from(lines.map((line) => `${line}\n`).join(''));

      const found: RangeDiffItem[] = await Array.fromAsync(parseRangeDiff(chunked(printed, cuts)));

      const expected = pairs.flatMap(({ patch, ...pair }) => [pair, ...patch.map((line) => `${line}\n`)]);
      assert.deepEqual(
        found.map((item) => item.pair ?? item.patch.toString()),
        expected,
      );
    }),
  );
});

// RangeDiff failed, or returned the line as a part of the patch before.
test('a range-diff has pairs of commits without a message', async () => {
  const [from, to] = ['a'.repeat(40), 'b'.repeat(40)];

  const items = await Array.fromAsync(parseRangeDiff([Buffer.from(`1:  ${from} = 1:  ${to}\n`)]));

  assert.deepEqual(items, [{ pair: { fromOid: from, toOid: to, comparison: '=', title: '' } }]);
});

test('a range-diff that does not begin with a pair, or has a line without indent, is refused', async () => {
  const pair = `1:  ${'a'.repeat(40)} ! 1:  ${'b'.repeat(40)} title\n`;

  await assert.rejects(
    Array.fromAsync(parseRangeDiff([Buffer.from('    x\n')])),
    /range-diff commit pair not found, current line: {5}x/,
  );
  await assert.rejects(
    Array.fromAsync(parseRangeDiff([Buffer.from(`${pair}abc\n`)])),
    /range-diff patch data too short, line size: 3/,
  );
});
