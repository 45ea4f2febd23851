import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FLUSH_PACKET, packet, textPacket } from '#base/pkt-line/packet';
import { AccessEntry } from './access-entry.ts';
import { accessLine } from './access-log.ts';
import type { AccessRecord } from './access-record.ts';

const [NONE, ONE, TWO] = ['0', '1', '2'].map((digit) => digit.repeat(40));

interface Conversation {
  readonly service: 'git-upload-pack' | 'git-receive-pack';
  readonly input: Buffer;
  readonly output: Buffer;
}

/** Returns the record of a conversation whose bytes arrive in pieces of a size. */
function recordOf({ input, output, service }: Conversation, pieceBytes: number): AccessRecord {
  const records: AccessRecord[] = [];
  const observer = (record: AccessRecord): number => records.push(record);
  const entry = new AccessEntry({ observer, transport: 'http', remoteAddress: '::1' });
  entry.purpose = service;
  for (let at = 0; at < input.length; at += pieceBytes) entry.input(input.subarray(at, at + pieceBytes));
  for (let at = 0; at < output.length; at += pieceBytes) entry.output(output.subarray(at, at + pieceBytes));
  entry.report();
  entry.report();
  assert.equal(records.length, 1);
  return records[0] as AccessRecord; // checked
}

const band = (number: number, text: string | Buffer): Buffer =>
  packet(Buffer.concat([Buffer.from([number]), Buffer.from(text)]));
const report = Buffer.concat([
  ...['unpack ok\n', `ng refs/heads/a pre-receive hook declined\n`, 'ok refs/heads/b\n'].map((line) =>
    textPacket(line),
  ),
  FLUSH_PACKET,
]);
const PUSH: Conversation = {
  service: 'git-receive-pack',
  input: Buffer.concat([
    textPacket(`${ONE} ${TWO} refs/heads/a\0 report-status side-band-64k`),
    textPacket(`${NONE} ${ONE} refs/heads/b`),
    FLUSH_PACKET,
    Buffer.from('PACK0000 is no packet'),
  ]),
  output: Buffer.concat([
    band(2, 'Resolving deltas:  50% (1/2)\rResolving deltas: 100% (2/2), done.\n'),
    band(2, 'rule 1 denies it\n'),
    band(1, report.subarray(0, 20)),
    band(1, report.subarray(20)),
    FLUSH_PACKET,
  ]),
};

for (const bytes of [1, 3, 5, 64, 10_000]) {
  test(`a push is read in the same way in pieces of ${bytes} bytes`, () => {
    const { outcome, reason, referenceCount, references } = recordOf(PUSH, bytes);

    assert.equal(outcome, 'refused');
    assert.equal(reason, 'pre-receive hook declined: rule 1 denies it');
    assert.equal(referenceCount, 2);
    assert.deepEqual(references, [
      { name: 'refs/heads/a', oldId: ONE, newId: TWO, reason: 'pre-receive hook declined' },
      { name: 'refs/heads/b', oldId: NONE, newId: ONE },
    ]);
  });

  test(`wants and common commits are read in the same way in pieces of ${bytes} bytes`, () => {
    const start = [textPacket('command=fetch'), Buffer.from('0001'), textPacket(`want ${ONE}\n`)];
    const output = Buffer.concat([textPacket('packfile\n'), band(1, 'PACK'), FLUSH_PACKET]);
    const operationOf = (...more: readonly Buffer[]): string => {
      const input = Buffer.concat([...start, ...more, textPacket('done\n'), FLUSH_PACKET]);
      return recordOf({ service: 'git-upload-pack', input, output }, bytes).operation;
    };

    assert.equal(operationOf(), 'clone');
    assert.equal(operationOf(textPacket(`have ${TWO}\n`)), 'fetch');
    assert.equal(operationOf(textPacket(`shallow ${TWO}\n`)), 'fetch');
  });
}

test('the references of a large push are counted, and the first hundred kept', () => {
  const commands = Array.from({ length: 5000 }, (_, index) =>
    textPacket(`${NONE} ${ONE} refs/tags/${index}`),
  );
  const input = Buffer.concat([...commands, FLUSH_PACKET]);

  const { referenceCount, references } = recordOf(
    { service: 'git-receive-pack', input, output: Buffer.alloc(0) },
    4096,
  );

  assert.deepEqual([referenceCount, references.length], [5000, 100]);
});

test('names of users and references cannot add a line or a field to the log', () => {
  const record: AccessRecord = {
    ...recordOf(PUSH, 64),
    identity: { glId: 'user-1', username: 'eve\noutcome=ok "x" user=ann' },
    references: [{ name: 'refs/heads/a b\n{"user":"ann"}', oldId: ONE ?? '', newId: TWO ?? '' }],
  };

  const json = accessLine(record, 'json');
  const text = accessLine(record, 'text');

  assert.equal(JSON.parse(json).user, 'eve\noutcome=ok "x" user=ann');
  assert.deepEqual(
    [json, text].map((line) => line.split('\n').length),
    [2, 2],
  );
  assert.ok(text.includes('user="eve\\noutcome=ok \\"x\\" user=ann"'));
});
