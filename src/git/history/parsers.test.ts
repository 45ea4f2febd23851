import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fc } from '#testkit/fast-check';
import { splitSignature } from './commit-signature.ts';
import { parseNode } from './graph/commit-nodes.ts';
import { DateQueue } from './graph/date-queue.ts';
import { type LogEntry, parseEntries } from './log-entries.ts';

const hex = (length: number) =>
  fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: length, maxLength: length });
const oid = fc.oneof(hex(40), hex(64));
const lineOf = (bytes: readonly number[]) =>
  fc.string({ unit: fc.constantFrom(...bytes.map((byte) => String.fromCharCode(byte))) });
const word = lineOf([0x61, 0x62, 0x2d, 0xff]).map((text) => `x${text}`);

async function collect(batches: AsyncIterable<LogEntry[]>): Promise<LogEntry[]> {
  return (await Array.fromAsync(batches)).flat();
}

const entry = fc.record(
  {
    oid: hex(40),
    referencedBy: fc.array(
      word.map((name) => Buffer.from(`refs/heads/${name}`, 'latin1')),
      { maxLength: 3 },
    ),
    shortStats: fc.record(
      { changedFiles: fc.nat(9), additions: fc.nat(9), deletions: fc.nat(9) },
      { noNullPrototype: true },
    ),
  },
  { requiredKeys: ['oid'], noNullPrototype: true },
);

/** Formats an entry as git does: nothing for no lines, a plural for more than one. */
function format({ oid, referencedBy, shortStats }: LogEntry): Buffer[] {
  const decoration =
    referencedBy === undefined ? '' : `\x02${referencedBy.map((name) => name.toString('latin1')).join(', ')}`;
  const lines = [Buffer.from(`\x01${oid}${decoration}`, 'latin1')];
  if (shortStats === undefined) return lines;
  const { changedFiles, additions, deletions } = shortStats;
  const parts = [` ${changedFiles} file${changedFiles === 1 ? '' : 's'} changed`];
  if (additions > 0) parts.push(`${additions} insertion${additions === 1 ? '' : 's'}(+)`);
  if (deletions > 0) parts.push(`${deletions} deletion${deletions === 1 ? '' : 's'}(-)`);
  return [...lines, Buffer.alloc(0), Buffer.from(parts.join(', '))];
}

test('entries of a log are read as they were written, wherever the batches end', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(entry, { maxLength: 8 }),
      fc.array(fc.integer({ min: 1, max: 4 })),
      async (entries, cuts) => {
        const lines = entries.flatMap(format);
        const batches: Buffer[][] = [];
        for (const cut of cuts) batches.push(lines.splice(0, cut));

        assert.deepEqual(await collect(parseEntries([...batches, lines], true)), entries);
      },
    ),
  );
});

test('commits without statistics come with the batch of their line, each once', async () => {
  const ids = ['1', '2', '3'].map((digit) => digit.repeat(40));
  const [first, second, third] = ids.map((id) => Buffer.from(`\x01${id}`));
  assert.ok(first !== undefined && second !== undefined && third !== undefined);

  const batches = await Array.fromAsync(parseEntries([[first, second], [Buffer.from('x')], [third]], false));

  assert.deepEqual(
    batches.map((entries) => entries.map((each) => each.oid)),
    [ids.slice(0, 2), ids.slice(2)],
  );
});

test('a log that is no log gives no entries, and no error', async () => {
  const noise = fc.array(fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)));
  await fc.assert(
    fc.asyncProperty(noise, fc.boolean(), async (lines, hasStats) => {
      const entries = await collect(parseEntries([lines], hasStats));

      assert.equal(entries.length, lines.filter((line) => line[0] === 1).length);
    }),
  );
});

const HEADERS = [
  'tree 1',
  'parent 2',
  'author A <a@x> 1 +0000',
  'committer C <c@x> 1 +0000',
  'encoding latin1',
  'mergetag x\n y',
];
const signature = fc.record({
  name: fc.constantFrom('gpgsig', 'gpgsig-sha256'),
  lines: fc.array(word, { minLength: 1, maxLength: 4 }),
});

test('a commit without its signatures is what was signed, and the first signature is the one', async () => {
  const header = fc.oneof(fc.constantFrom(...HEADERS), signature);
  await fc.assert(
    fc.asyncProperty(fc.array(header), lineOf([0x0a, 0x20, 0x61, 0xff]), async (headers, message) => {
      const format = (each: (typeof headers)[number]): string =>
        typeof each === 'string' ? `${each}\n` : `${each.name} ${each.lines.join('\n ')}\n`;
      const object = Buffer.from(`${headers.map(format).join('')}\n${message}`, 'latin1');
      const signatures = headers.filter((each) => typeof each !== 'string');
      const signed = headers.filter((each) => typeof each === 'string');

      const found = await splitSignature(object);

      assert.equal(found?.signature.toString('latin1'), signatures[0]?.lines.join('\n'));
      if (found !== undefined) {
        assert.equal(found.signedText.toString('latin1'), `${signed.map(format).join('')}\n${message}`);
      }
    }),
  );
});

test('what is no commit is taken apart without an error, and nothing is added to it', async () => {
  const piece = fc.oneof(
    fc.constantFrom('gpgsig ', 'gpgsig-sha256 ', '\n', ' ', '\n\n', 'gpgsig', '\r'),
    word,
  );
  await fc.assert(
    fc.asyncProperty(fc.array(piece), async (pieces) => {
      const data = Buffer.from(pieces.join(''), 'latin1');

      const found = await splitSignature(data);

      if (found !== undefined) assert.ok(found.signature.length + found.signedText.length < data.length);
    }),
  );
});

test('the shape of a commit is read as it was written', () => {
  fc.assert(
    fc.property(
      oid,
      fc.nat(4),
      fc.integer({ min: 0, max: 2_000_000_000 }),
      word,
      (id, count, seconds, name) => {
        const parents = Array.from({ length: count }, (_, index) => id.slice(1) + index);
        const data = Buffer.from(
          `tree ${id}\n${parents.map((parent) => `parent ${parent}\n`).join('')}author ${name} <a@x> 5 ` +
            '+0000\n' +
            `committer ${name} <c@x> ${seconds} -0130\n\n${name}`,
          'latin1',
        );

        assert.deepEqual(parseNode(id, data), { oid: id, treeOid: id, parents, seconds });
      },
    ),
  );
});

test('a commit with an odd date has none, and what begins like no commit is none', () => {
  const id = 'a'.repeat(40);
  const commit = (committer: string): Buffer =>
    Buffer.from(`tree ${id}\nauthor A <a@x> 5 +0000\ncommitter ${committer}\n\n`);

  for (const committer of [
    'C <c@x> -5 +0000',
    'C <c@x>',
    'C',
    'C <c@x> 5',
    'C <c>@x> 5 +0000',
    'C <c@x> 99999999999999 +0000',
  ]) {
    assert.deepEqual(parseNode(id, commit(committer)), {
      oid: id,
      treeOid: id,
      parents: [],
      seconds: undefined,
    });
  }
  for (const data of [
    '',
    'tree',
    `tree ${'a'.repeat(39)}\n`,
    `parent ${id}\n`,
    `tree ${id}`,
    `tree ${'a'.repeat(64)}\n`,
  ]) {
    assert.equal(parseNode(id, Buffer.from(data)), undefined);
  }
});

test('a queue gives the newest first, and of the same date the one that came first', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(6)), (dates) => {
      const queue = new DateQueue<number>();
      for (const [index, seconds] of dates.entries()) queue.push(index, seconds);

      const order = dates.map(() => queue.pop());

      const expected = dates
        .map((_, index) => index)
        .toSorted((a, b) => (dates[b] ?? 0) - (dates[a] ?? 0) || a - b);
      assert.deepEqual(order, expected);
      assert.equal(queue.pop(), undefined);
    }),
  );
});
