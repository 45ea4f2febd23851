import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GitalyError } from '#base/gitaly-error';
import { fc } from '#testkit/fast-check';
import { type MergeTreeOutput, parseMergeTree } from './parse-merge-tree.ts';

const OID = '34ddcbdc37ba2ce99207accc4dc063fc44b15169';

const fieldBytes = fc
  .uint8Array({ maxLength: 20 })
  .map((bytes) => Buffer.from(bytes.filter((byte) => byte !== 0)));
const path = fieldBytes.filter((bytes) => bytes.length > 0);
const oid = fc.oneof(fc.stringMatching(/^[0-9a-f]{40}$/), fc.stringMatching(/^[0-9a-f]{64}$/));
const output: fc.Arbitrary<MergeTreeOutput> = fc.record({
  treeOid: oid,
  conflicts: fc.array(
    fc.record({
      mode: fc.constantFrom(0o100644, 0o100755, 0o120000, 0o160000, 0o040000),
      oid,
      stage: fc.constantFrom(1, 2, 3),
      path,
    }),
  ),
  messages: fc.array(
    fc.record({
      paths: fc.array(fieldBytes, { maxLength: 3 }),
      type: fc.constantFrom('Auto-merging', 'CONFLICT (contents)', ''),
      text: fieldBytes,
    }),
  ),
});

function format({ treeOid, conflicts, messages }: MergeTreeOutput): Buffer {
  const entries = conflicts.map(({ mode, oid, stage, path }) =>
    Buffer.concat([Buffer.from(`${mode.toString(8).padStart(6, '0')} ${oid} ${stage}\t`), path]),
  );
  const words = messages.flatMap(({ paths, type, text }) => [String(paths.length), ...paths, type, text]);
  return Buffer.concat(
    [treeOid, ...entries, '', ...words].map((field) => Buffer.concat([Buffer.from(field), Buffer.of(0)])),
  );
}

/** Generated records have no prototype. */
function withPrototypes({ treeOid, conflicts, messages }: MergeTreeOutput): MergeTreeOutput {
  return {
    treeOid,
    conflicts: conflicts.map((entry) => ({ ...entry })),
    messages: messages.map((message) => ({ ...message })),
  };
}

test('what git merge-tree prints is read back', async () => {
  await fc.assert(
    fc.asyncProperty(output, async (merged) =>
      assert.deepEqual(await parseMergeTree(format(merged)), withPrototypes(merged)),
    ),
  );
});

test('a clean merge is its tree alone', async () => {
  assert.deepEqual(await parseMergeTree(Buffer.from(`${OID}\0`)), {
    treeOid: OID,
    conflicts: [],
    messages: [],
  });
});

test('advice behind the messages is not read', async () => {
  const text = `${OID}\0\x001\0sub\0CONFLICT (contents)\0CONFLICT in sub\n\0Please merge by hand.\n`;

  assert.deepEqual((await parseMergeTree(Buffer.from(text))).messages, [
    { paths: [Buffer.from('sub')], type: 'CONFLICT (contents)', text: Buffer.from('CONFLICT in sub\n') },
  ]);
});

for (const text of [
  '',
  '\0',
  OID,
  `${OID}0\0`,
  `${OID}\0x`,
  `${OID}\0${'100644'} ${OID} 4\tf\0\0`,
  `${OID}\0${'100644'} ${OID} 1\t\0\0`,
  `${OID}\0\0-1\0a\0b\0`,
  `${OID}\0\x005\0a\0b\0`,
]) {
  test(`${JSON.stringify(text)} is no output of merge-tree`, async () => {
    await assert.rejects(
      parseMergeTree(Buffer.from(text)),
      /^GitalyError: couldn't parse merge tree output: /,
    );
  });
}

test('an output that was cut off is an error with the place', async () => {
  await assert.rejects(parseMergeTree(Buffer.from(`${OID}\0x`)), { metadata: { offset: 41 } });
});

test('nothing that git could print makes the parser fail in another way', async () => {
  const damaged = fc.tuple(output, fc.nat(), fc.nat(255)).map(([merged, at, byte]) => {
    const bytes = format(merged);
    bytes[at % bytes.length] = byte;
    return bytes;
  });
  await fc.assert(
    fc.asyncProperty(fc.oneof(fc.uint8Array().map(Buffer.from), damaged), async (bytes) => {
      try {
        await parseMergeTree(Buffer.from(bytes));
      } catch (error) {
        assert.ok(error instanceof GitalyError);
      }
    }),
  );
});
