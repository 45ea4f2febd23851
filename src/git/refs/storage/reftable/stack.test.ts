import assert from 'node:assert/strict';
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { crc32 } from 'node:zlib';
import { FallBackToGit } from '#git/command/in-process';
import { OID_BYTES, type OidBytes } from '#git/names/object-id';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { listStack } from './list-stack.ts';
import type { Stack } from './stack.ts';
import { Stacks } from './stacks.ts';
import { Table } from './table.ts';

const FIXTURES = join(import.meta.dirname, 'fixtures');
const STACKS: readonly (readonly [string, OidBytes])[] = [
  ['compacted', OID_BYTES.sha1],
  ['tables', OID_BYTES.sha1],
  ['tables-sha256', OID_BYTES.sha256],
  ['index', OID_BYTES.sha1],
  ['index-sha256', OID_BYTES.sha256],
];
const FOOTER_BYTES = 68;

const directory = makeScratchDirectory('stack');
after(() => rmSync(directory, { recursive: true }));
let count = 0;

/** Copies a fixture into a git directory. */
function copyOf(name: string): string {
  const path = join(directory, String(count++));
  cpSync(join(FIXTURES, name), join(path, 'reftable'), { recursive: true });
  return path;
}

function expectedOf(name: string): string[] {
  return readFileSync(join(FIXTURES, name, 'expected.txt'), 'latin1')
    .split('\n')
    .slice(0, -1);
}

async function listed(
  path: string,
  oidBytes: OidBytes,
  patterns = ['refs/'],
  { stacks = new Stacks(), exclude }: { stacks?: Stacks; exclude?: readonly Buffer[] } = {},
) {
  const { stack, held } = stacks.use(path, oidBytes, (each) => ({ stack: each, held: each.hold() }));
  using _ = held;
  const found = await Array.fromAsync(
    listStack(stack, {
      patterns: patterns.map((each) => Buffer.from(each)),
      ...(exclude && { exclude }),
    }),
  );
  return found.flat().map((ref) => `${ref.oid} ${ref.name.toString('latin1')} ${ref.peeledOid ?? ''}`);
}

for (const [name, oidBytes] of STACKS) {
  test(`the stack ${name} has the references that git lists`, async () => {
    const path = copyOf(name);
    const expected = expectedOf(name);

    assert.deepEqual(await listed(path, oidBytes), expected);
    for (const prefix of ['refs/heads/', 'refs/tags/', 'refs/merge-requests/1', 'refs/none/']) {
      const found = await listed(path, oidBytes, [`${prefix}*`, `${prefix}*/*`]);
      const wanted = expected.filter((line) => line.includes(` ${prefix}`));
      assert.deepEqual(found, wanted, prefix);
    }
    const exclude = ['refs/heads/m*', 'refs/merge-requests/1'].map((each) => Buffer.from(each));
    assert.deepEqual(
      await listed(path, oidBytes, ['refs/'], { exclude }),
      expected.filter((line) => !/ refs\/(?:heads\/m|merge-requests\/1\/)/.test(line)),
    );
  });

  test(`each name of the stack ${name} is found, and no other one`, () => {
    const path = copyOf(name);
    const stacks = new Stacks();
    const find = (ref: string) => stacks.use(path, oidBytes, (stack) => stack.read(Buffer.from(ref)));

    for (const line of expectedOf(name)) {
      const [oid, ref = ''] = line.split(' ');
      if (ref === 'refs/heads/symbolic') continue;
      assert.deepEqual(find(ref), { oid }, ref);
      for (const other of [`${ref}!`, `${ref}/x`, ref.slice(0, -1)])
        if (!expectedOf(name).some((each) => each.includes(` ${other} `)))
          assert.equal(find(other), undefined);
    }
    assert.deepEqual(find('HEAD'), { symbolicTarget: Buffer.from('refs/heads/main') });
    assert.deepEqual(find('refs/heads/symbolic'), { symbolicTarget: Buffer.from('refs/heads/main') });
    assert.deepEqual(find('refs/heads/dangling'), { symbolicTarget: Buffer.from('refs/heads/absent') });
    for (const absent of ['refs/heads/deleted', 'A', 'zzz', '']) assert.equal(find(absent), undefined);
  });
}

test('a damaged table is left to git, or has the same references', async () => {
  const name = 'index';
  const path = copyOf(name);
  const expected = expectedOf(name);
  const [table = ''] = readdirSync(join(path, 'reftable')).filter((each) => each.includes('004-'));
  const file = join(path, 'reftable', table);
  const good = readFileSync(file);

  for (let at = 0; at < good.length; at += 23) {
    const bad = Buffer.from(good);
    bad[at] = (bad[at] ?? 0) ^ (1 << (at % 8));
    writeFileSync(file, bad);
    try {
      // Ids and names have no checksums: git returns changed ones, too.
      for (const line of await listed(path, OID_BYTES.sha1)) {
        const isKnown = expected.includes(line);
        assert.ok(isKnown || at < good.length - FOOTER_BYTES, `${at}: ${line}`);
      }
    } catch (error) {
      assert.ok(error instanceof FallBackToGit, String(error));
    }
  }
  for (let length = 0; length < good.length; length += 61) {
    writeFileSync(file, good.subarray(0, length));
    await assert.rejects(listed(path, OID_BYTES.sha1), FallBackToGit, String(length));
  }
});

/** Replaces a table by one with changed bytes and a right checksum. @returns its path. */
function rewrite(path: string, name: string, change: (bytes: Buffer) => Buffer): string {
  const [table = ''] = readdirSync(join(path, 'reftable')).filter((each) => each.includes(name));
  const file = join(path, 'reftable', table);
  const bytes = change(readFileSync(file));
  const footer = bytes.length - FOOTER_BYTES;
  bytes.writeUInt32BE(crc32(bytes.subarray(footer, -4)), bytes.length - 4);
  writeFileSync(file, bytes);
  return file;
}

test('only whole blocks are marked as checked, and only in tables that have not too many', () => {
  for (const [blockSize, bytes, isMarked] of [
    [16, 20_000, true],
    [1, 512 * 1024, true],
    [1, 512 * 1024 + 1, false],
    [0, 20_000, false],
  ] as const) {
    const file = rewrite(copyOf('index'), '004-', (table) => {
      const footer = table.length - FOOTER_BYTES;
      for (const header of [0, footer]) table.writeUIntBE(blockSize, header + 5, 3);
      return Buffer.concat([table.subarray(0, footer), Buffer.alloc(bytes - footer), table.subarray(footer)]);
    });
    const table = new Table(file);
    assert.equal(table.size, bytes);

    table.markChecked(8 * blockSize + 0.5 * blockSize);
    assert.ok(!table.isChecked(8 * blockSize));
    table.markChecked(8 * blockSize);

    assert.deepEqual(
      [7, 8, 9, 8.5].map((block) => table.isChecked(block * blockSize)),
      [false, isMarked, false, false],
    );
  }
});

/** Damage, by the reason that is logged. */
const BROKEN: readonly (readonly [string, string, (bytes: Buffer) => void])[] = [
  [
    'an index outside of the file',
    'an index is outside of the table',
    (bytes) => bytes.writeBigUInt64BE(1n << 40n, bytes.length - FOOTER_BYTES + 24),
  ],
  [
    'an index that is no block of an index',
    'a block is missing',
    (bytes) => bytes.writeBigUInt64BE(256n, bytes.length - FOOTER_BYTES + 24),
  ],
  ['a block longer than the file', 'a block is too large', (bytes) => bytes.writeUIntBE(0xffffff, 25, 3)],
  [
    'a block that ends before its last number',
    'a block is too short',
    (bytes) => bytes.writeUIntBE(29, 25, 3),
  ],
  [
    'a block without restart points',
    'a block has wrong restart points',
    (bytes) => bytes.writeUInt16BE(0, bytes.readUIntBE(25, 3) - 2),
  ],
  [
    'more restart points than records',
    'a block has wrong restart points',
    (bytes) => bytes.writeUInt16BE(0xffff, bytes.readUIntBE(25, 3) - 2),
  ],
  [
    'an unknown version',
    'a header is unknown',
    (bytes) => {
      bytes[4] = 3;
      bytes[bytes.length - FOOTER_BYTES + 4] = 3;
    },
  ],
];

for (const [what, reason, change] of BROKEN) {
  test(`git reads a table with ${what}`, async () => {
    const path = copyOf('index');
    rewrite(path, '004-', (bytes) => {
      change(bytes);
      return bytes;
    });

    await assert.rejects(listed(path, OID_BYTES.sha1), new FallBackToGit(`reftable: ${reason}`));
  });
}

test('git reads a table whose footer has a wrong checksum', async () => {
  const path = copyOf('index');
  const file = rewrite(path, '004-', (bytes) => bytes);
  const bytes = readFileSync(file);
  // The position of the reflogs, which no list reads.
  bytes.writeBigUInt64BE(1n, bytes.length - FOOTER_BYTES + 48);
  writeFileSync(file, bytes);

  const error = new FallBackToGit('reftable: a footer has a wrong checksum');
  await assert.rejects(listed(path, OID_BYTES.sha1), error);
});

test('git reads a stack of another hash, and one with unusual names of tables', async () => {
  await assert.rejects(listed(copyOf('tables'), OID_BYTES.sha256), FallBackToGit);
  for (const name of ['../x', '/etc/passwd', '.hidden', 'a b', 'absent.ref']) {
    const path = copyOf('tables');
    writeFileSync(join(path, 'reftable/tables.list'), `${name}\n`);
    await assert.rejects(listed(path, OID_BYTES.sha1), FallBackToGit, name);
  }
});

test('a list that changes is read again, and its known tables are not', async () => {
  const path = copyOf('tables');
  const list = join(path, 'reftable/tables.list');
  const stacks = new Stacks();
  const current = (): Stack => stacks.use(path, OID_BYTES.sha1, (stack) => stack);
  const first = current();
  assert.equal(current(), first);

  const lines = readFileSync(list, 'latin1').split('\n');
  writeFileSync(list, lines.slice(0, 1).join('\n'));
  const second = current();

  assert.notEqual(second, first);
  assert.deepEqual(second.tables, first.tables.slice(0, 1));
  assert.deepEqual(await listed(path, OID_BYTES.sha1, ['refs/'], { stacks }), []);
  stacks.forget(path);
  assert.notEqual(current(), second);
});
