import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { packetHeader } from '#base/pkt-line/packet';
import { FLUSH, packet, pushBody, ZERO_OID } from '#testkit/repositories/push';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { PushRecording } from './push-recording.ts';

const OID = '1'.repeat(40);
const CREATE = `${ZERO_OID} ${OID}`;
const WORDS = 'report-status side-band-64k';
const MEBIBYTE = 1024 * 1024;

interface Recorded {
  /** The bytes that git got before the names were noted. */
  readonly before: string;
  readonly names: readonly string[] | undefined;
}

/** Passes an input on to git, and returns what was recorded and what git got. */
async function record(input: AsyncIterable<Uint8Array>) {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('r.git');
  const recorded: Recorded[] = [];
  let passed = '';
  let ended = 0;
  fixture.caches.changeRecorder = {
    async begin(_, names) {
      await new Promise(setImmediate);
      recorded.push({ before: passed, names });
      return { succeeded: () => {}, [Symbol.asyncDispose]: async () => void ended++ };
    },
  };
  {
    await using recording = new PushRecording(repository);
    for await (const chunk of recording.watch(input)) passed += Buffer.from(chunk).toString('latin1');
    assert.equal(ended, 0);
  }
  return { recorded, passed, ended };
}

async function* inPieces(bytes: Uint8Array, length: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += length) yield bytes.subarray(at, at + length);
}

const OTHERS =
  packet(`shallow ${OID}\n`) + packet(`${CREATE} refs/heads/c\n`) + packet(`${CREATE} refs/heads/d`);

for (const length of [1, 5, 10_000])
  test(`references in pieces of ${length} bytes are noted before git changes them`, async () => {
    // A name that is not UTF-8.
    const name = Buffer.from('refs/heads/\xe9', 'latin1');
    const first = [Buffer.from(`${CREATE} `), name, Buffer.from(`\0 ${WORDS}`)];
    const firstPacket = Buffer.concat([packetHeader(Buffer.concat(first).length), ...first]);
    const body = Buffer.concat([firstPacket, Buffer.from(`${OTHERS}${FLUSH}PACK`)]);

    const { recorded, passed, ended } = await record(inPieces(body, length));

    assert.ok(recorded[0] !== undefined && recorded.length === 1);
    assert.deepEqual(recorded[0].names, ['refs/heads/\xe9', 'refs/heads/c', 'refs/heads/d']);
    assert.ok(recorded[0].before.length < body.indexOf('PACK'));
    assert.deepEqual([passed, ended], [body.toString('latin1'), 1]);
  });

const command = packet(`${CREATE} refs/heads/a\0 ${WORDS}`);
const UNKNOWN: Readonly<Record<string, string>> = {
  'a signed push': packet(`push-cert\0 ${WORDS}`) + packet('certificate version 0.1\n') + FLUSH,
  'a command in another form': command + packet(`${'A'.repeat(40)} ${OID} refs/heads/b`) + FLUSH,
  'a command without a name': command + packet(`${CREATE} `) + FLUSH,
  'no packets': `${command}what`,
  'many commands': packet(`${CREATE} refs/heads/${'x'.repeat(60_000)}`).repeat(290) + FLUSH,
};

for (const [what, body] of Object.entries(UNKNOWN))
  test(`${what}: any reference may change`, async () => {
    const { recorded, passed } = await record(inPieces(Buffer.from(body), MEBIBYTE));

    assert.deepEqual(
      recorded.map(({ names }) => names),
      [undefined],
    );
    assert.equal(passed.length, body.length);
  });

test('a client that leaves before the end of its commands changes nothing', async () => {
  const { recorded, passed, ended } = await record(inPieces(Buffer.from(command), 7));

  assert.deepEqual([recorded, passed, ended], [[], command, 0]);
});

test('a stream is not destroyed by git that reads no more', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('r.git');
  fixture.caches.changeRecorder = { begin: async () => undefined };
  const stream = Readable.from([Buffer.from(command + FLUSH), Buffer.from('more')]);
  await using recording = new PushRecording(repository);

  for await (const _ of recording.watch(stream)) break;

  assert.equal(stream.destroyed, false);
});

test('without a listener the input is passed on as it is', async () => {
  await using fixture = await StorageFixture.create();
  await using recording = new PushRecording(fixture.init('r.git'));
  const input = inPieces(pushBody([`${CREATE} refs/heads/a`]), 10);

  assert.equal(recording.watch(input), input);
});
