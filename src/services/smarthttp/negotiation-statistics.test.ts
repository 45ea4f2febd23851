import assert from 'node:assert/strict';
import { Readable, Writable } from 'node:stream';
import { test } from 'node:test';
import { dialSidechannel, postUploadPack, SidechannelRegistry } from '#client/index';
import { addCommit, gitOutput, initServed } from '#testkit/repositories/init-repository';
import { FLUSH, packet } from '#testkit/repositories/push';
import { startGitaly } from '#testkit/start-gitaly';

const repository = { storageName: 'default', relativePath: 'r.git' };

test('a fetch of protocol v0 returns every statistic of the negotiation', async () => {
  await using gitaly = await startGitaly();
  const path = initServed(gitaly, 'r.git');
  const oids = [1, 2, 3].map((number) => addCommit(path, number));
  gitOutput(path, ['config', 'uploadpack.allowFilter', 'true']);
  gitOutput(path, ['config', 'uploadpack.allowAnySHA1InWant', 'true']);
  const [first = '', second = '', third = ''] = oids;
  const lines = [
    `want ${third} filter no-progress agent=git/2.45.0\n`,
    `want ${second}\n`,
    `shallow ${first}\n`,
    'deepen 2\n',
    'filter blob:none\n',
  ];
  const haves = [`have ${first}\n`, `have ${'1'.repeat(40)}\n`];
  const request = [...lines.map(packet), FLUSH, ...haves.map(packet), packet('done\n')].join('');
  const registry = new SidechannelRegistry();
  await using connection = await dialSidechannel(gitaly.address, registry);

  const statistics = await postUploadPack(
    connection,
    registry,
    {
      stdin: Readable.from([Buffer.from(request)]),
      stdout: new Writable({ write: (_chunk, _encoding, done) => done() }),
    },
    { repository },
  );

  // `done` is no packet that counts, but its bytes do, as in Gitaly.
  const payload = [...lines, ...haves, 'done\n'].reduce((sum, line) => sum + line.trimEnd().length, 0);
  assert.deepEqual(statistics && { ...statistics, $typeName: '' }, {
    $typeName: '',
    payloadSize: BigInt(payload),
    packets: BigInt(lines.length + 1 + haves.length),
    caps: ['filter', 'no-progress', 'agent=git/2.45.0'],
    wants: 2n,
    haves: 2n,
    shallows: 1n,
    deepen: 'deepen 2',
    filter: 'blob:none',
  });
});
