import assert from 'node:assert/strict';
import { randomFillSync } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { FallBackToGit } from '#git/command/in-process';
import { fc } from '#testkit/fast-check';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { ImmutableFile } from './immutable-file.ts';
import { PageCache } from './page-cache.ts';
import { SortedNames } from './sorted-names.ts';

const root = makeScratchDirectory('page-cache');
after(() => rmSync(root, { recursive: true }));

const MIB = 1024 * 1024;
const FAN_OUT = 256;

test('bytes are those of the file, also when pages take the memory of others', () => {
  const contents = randomFillSync(Buffer.alloc(12 * MIB + 100)); // 12 MiB: more than is cached
  const path = join(root, 'large');
  writeFileSync(path, contents);
  const file = new ImmutableFile(path);
  const pages = new PageCache();

  fc.assert(
    fc.property(fc.nat(contents.length - 1), fc.integer({ min: 1, max: 40_000 }), (position, wanted) => {
      const length = Math.min(wanted, contents.length - position);
      const expected = contents.subarray(position, position + length);
      assert.ok(expected.equals(pages.bytes(file, position, length)), `${position}, ${length} bytes`);
    }),
    { numRuns: 2000 },
  );
  assert.throws(() => pages.bytes(file, contents.length - 1, 2), FallBackToGit);
  file.close();
});

test('files that are read in turns keep their own bytes', () => {
  const pages = new PageCache();
  const files = ['one', 'two', 'three'].map((name) => {
    const contents = randomFillSync(Buffer.alloc(100_000));
    writeFileSync(join(root, name), contents);
    return { contents, file: new ImmutableFile(join(root, name)) };
  });

  for (const position of [0, 20_000, 0, 99_000, 20_000])
    for (const { contents, file } of files)
      assert.ok(pages.bytes(file, position, 1000).equals(contents.subarray(position, position + 1000)));

  for (const { file } of files) file.close();
});

/** Writes a table of ids as pack indexes have it. */
function writeTable(path: string, names: readonly Buffer[]): void {
  const fanOut = Buffer.alloc(FAN_OUT * 4);
  for (let byte = 0; byte < FAN_OUT; byte++)
    fanOut.writeUInt32BE(names.filter((name) => (name[0] ?? 0) <= byte).length, byte * 4);
  writeFileSync(path, Buffer.concat([fanOut, ...names]));
}

test('an id is found wherever it is, however unevenly ids are spread', () => {
  const path = join(root, 'names');
  const pages = new PageCache();
  const name = fc.oneof(
    fc.uint8Array({ minLength: 20, maxLength: 20 }),
    // Somebody may choose the beginnings of ids.
    fc.uint8Array({ minLength: 18, maxLength: 18 }).map((end) => Buffer.concat([Buffer.from([7, 0]), end])),
    fc.nat(2000).map((end) => Buffer.from(end.toString(16).padStart(40, '7f'), 'hex')),
  );
  fc.assert(
    fc.property(
      fc.array(name, { maxLength: 600, size: 'max' }),
      fc.array(name, { maxLength: 20 }),
      (some, others) => {
        const unique = new Map(
          [...some].map((each) => [Buffer.from(each).toString('hex'), Buffer.from(each)]),
        );
        const sorted = [...unique.values()].sort(Buffer.compare);
        writeTable(path, sorted);
        const file = new ImmutableFile(path);
        const table = new SortedNames(file, pages, 0);

        assert.equal(table.count, sorted.length);
        for (const [index, each] of sorted.entries()) assert.equal(table.indexOf(each), index);
        for (const other of others.map((each) => Buffer.from(each))) {
          const index = sorted.findIndex((each) => each.equals(other));
          assert.equal(table.indexOf(other), index === -1 ? undefined : index);
        }
        file.close();
      },
    ),
    { numRuns: 100 },
  );
});
