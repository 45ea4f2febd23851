import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { test } from 'node:test';
import { type Connection, dialSidechannel, SidechannelRegistry } from '#client/index';
import { createSmallRepository, REPOSITORY } from '#testkit/operation-fixture';
import { FLUSH, packet } from '#testkit/repositories/push';
import { startGitaly } from '#testkit/start-gitaly';

/**
 * Answers every sidechannel with the same bytes, regardless of the protocol, and keeps what
 * arrives.
 */
class StubbornRegistry extends SidechannelRegistry {
  readonly #bytes: string;
  readonly #received: Buffer[] = [];

  constructor(bytes: string) {
    super();
    this.#bytes = bytes;
  }

  override async accept(stream: Duplex): Promise<void> {
    stream.on('data', (chunk: Buffer) => this.#received.push(chunk));
    stream.write(`ok${this.#bytes}`);
    await once(stream, 'end');
    stream.end();
  }

  get received(): string {
    return Buffer.concat(this.#received).toString('latin1');
  }
}

const METADATA = { metadata: { 'gitaly-sidechannel-id': '1' } };
const overHttp = ({ smartHttp }: Connection) =>
  smartHttp.postUploadPackWithSidechannel({ repository: REPOSITORY }, METADATA);
const overSsh = ({ ssh }: Connection) =>
  ssh.sshUploadPackWithSidechannel({ repository: REPOSITORY }, METADATA);

/**
 * Expected end of each call when the client's bytes end behind a complete request: git had all it
 * needs.
 */
const ENDINGS = [
  { bytes: '0002', reason: 'sidechannel: invalid header 2' },
  { bytes: 'ffff', reason: 'pktLineSplitter: invalid length: 65535' },
];

for (const { bytes, reason } of ENDINGS) {
  test(`malformed sidechannel data does not keep git's response from its client: ${bytes}`, async () => {
    await using gitaly = await startGitaly();
    const oid = createSmallRepository(gitaly).oid;
    const request = packet(`${packet(`want ${oid} no-progress\n`)}${FLUSH}${packet('done\n')}`);

    for (const [call, outcome] of [
      [overHttp, `running upload-pack: waiting for upload-pack: ${reason}`],
      [overSsh, 'OK'],
    ] as const) {
      const registry = new StubbornRegistry(request + bytes);
      await using connection = await dialSidechannel(gitaly.address, registry);

      const ended = await call(connection).then(
        () => 'OK',
        (error: Error) => error.message,
      );

      assert.equal(ended, outcome);
      assert.match(registry.received, /PACK/);
    }
  });
}

test('where git cannot do without what did not come, its exit code is the answer', async () => {
  await using gitaly = await startGitaly();
  createSmallRepository(gitaly).oid;

  for (const [call, outcome] of [
    [
      overHttp,
      {
        code: 'FAILED_PRECONDITION',
        message: 'running upload-pack: waiting for upload-pack: exit status 128',
      },
    ],
    [overSsh, { code: 'CANCELLED', message: 'running upload-pack: user canceled the request' }],
  ] as const) {
    const registry = new StubbornRegistry('zzzz');
    await using connection = await dialSidechannel(gitaly.address, registry);

    await assert.rejects(call(connection), outcome);
  }
});
