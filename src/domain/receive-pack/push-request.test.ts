import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FLUSH, packet, pushBody, ZERO_OID } from '#testkit/repositories/push';
import { HeldInput } from './held-input.ts';
import { readPushRequest } from './push-request.ts';

const OID = '1'.repeat(40);
const COMMAND = `${ZERO_OID} ${OID} refs/heads/new`;

function inPieces(bytes: Uint8Array, length: number): HeldInput {
  return new HeldInput(
    (async function* () {
      for (let at = 0; at < bytes.length; at += length) yield bytes.subarray(at, at + length);
    })(),
  );
}

function packHeader(objects: number, version = 2): Buffer {
  const header = Buffer.from('PACK\0\0\0\0\0\0\0\0', 'latin1');
  header.writeUInt32BE(version, 4);
  header.writeUInt32BE(objects, 8);
  return header;
}

for (const length of [1, 7, 1000]) {
  test(`a push is read in pieces of ${length} bytes up to the header of its pack`, async () => {
    const capabilities = 'report-status-v2 side-band-64k atomic quiet object-format=sha1 agent=git/2';
    const pack = Buffer.concat([packHeader(99), Buffer.from('rest')]);
    const body = pushBody([COMMAND], { capabilities, pushOptions: ['a', 'b c\n'], pack });

    const request = await readPushRequest(inPieces(body, length), 'sha1');

    assert.notEqual(request, 'nothing');
    const { commands, rest, ...others } = request as Exclude<typeof request, 'nothing'>;
    assert.deepEqual(
      commands.map(({ reference, ...oids }) => ({ reference: reference.toString(), ...oids })),
      [{ reference: 'refs/heads/new', oldOid: ZERO_OID, newOid: OID }],
    );
    assert.equal('rest'.startsWith(rest.toString()), true);
    assert.deepEqual(others, {
      report: true,
      isQuiet: true,
      isAtomic: true,
      pushOptions: ['a', 'b c'],
      objects: 99,
    });
  });
}

test('a client without changes has nothing to push', async () => {
  assert.equal(await readPushRequest(inPieces(Buffer.from(FLUSH), 4), 'sha1'), 'nothing');
});

const creations = (count: number): string[] =>
  Array.from({ length: count }, (_, index) => `${ZERO_OID} ${OID} refs/heads/b${index}`);

for (const count of [16, 2000])
  test(`a push that creates ${count} references is read`, async () => {
    const request = await readPushRequest(inPieces(pushBody(creations(count)), 60_000), 'sha1');

    assert.notEqual(request, 'nothing');
    const { commands } = request as Exclude<typeof request, 'nothing'>;
    assert.deepEqual(
      [commands.length, commands.at(-1)?.reference.toString()],
      [count, `refs/heads/b${count - 1}`],
    );
  });

const WORDS = 'report-status side-band-64k';
const LEFT_TO_GIT: Readonly<Record<string, Buffer>> = {
  'a pack of 100 objects': pushBody([COMMAND], { pack: packHeader(100) }),
  'another version of packs': pushBody([COMMAND], { pack: packHeader(1, 3) }),
  'no pack': pushBody([COMMAND], { pack: Buffer.alloc(0) }),
  'ids of another length': pushBody([`${ZERO_OID} ${'1'.repeat(64)} refs/heads/new`]),
  'ids in capitals': pushBody([`${ZERO_OID} ${'A'.repeat(40)} refs/heads/new`]),
  'no capabilities': Buffer.from(packet(COMMAND) + FLUSH),
  'another object format': pushBody([COMMAND], { capabilities: `${WORDS} object-format=sha256` }),
  'fifteen new references': pushBody(creations(15)),
  'an update among new references': pushBody([...creations(16), `${'2'.repeat(40)} ${OID} refs/heads/x`]),
  'a deletion among new references': pushBody([...creations(16), `${OID} ${ZERO_OID} refs/heads/x`]),
  'a name twice': pushBody([...creations(16), ...creations(1)]),
  'new references, atomically': pushBody(creations(16), { capabilities: `${WORDS} atomic` }),
  'a certificate after commands': Buffer.from(
    packet(`${COMMAND}\0${WORDS}`) + packet(`push-cert\0${WORDS}`) + FLUSH,
  ),
  'a megabyte of commands': pushBody(creations(12_000)),
  'a shallow client': Buffer.from(packet(`shallow ${OID}`) + packet(`${COMMAND}\0${WORDS}`) + FLUSH),
  'a certificate': Buffer.from(packet(`push-cert\0${WORDS}`)),
  'a delimiter': Buffer.from('0001'),
  'no packet': Buffer.from('what'),
  'an option with NUL': pushBody([COMMAND], { pushOptions: ['a\0b'] }),
  'many options': pushBody([COMMAND], { pushOptions: Array.from({ length: 101 }, () => 'x') }),
  'long options': pushBody([COMMAND], { pushOptions: ['x'.repeat(40_000), 'x'.repeat(40_000)] }),
};

for (const [what, body] of Object.entries(LEFT_TO_GIT)) {
  test(`${what}: git receives the push`, async () => {
    await assert.rejects(() => readPushRequest(inPieces(body, 1000), 'sha1'), { name: 'FallBackToGit' });
  });
}
