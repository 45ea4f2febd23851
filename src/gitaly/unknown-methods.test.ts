import assert from 'node:assert/strict';
import { test } from 'node:test';
import { configFrom } from '#platform/config/load-config';
import { startGitaly } from '#testkit/start-gitaly';
import { unknownMethods } from './unknown-methods.ts';

const BASE = { listen_addr: ':0', storage: [{ name: 'a', path: '/tmp' }] };
const MEANT = 'did you mean "/gitaly.CommitService/FindCommit"?';

for (const { rpc, hint } of [
  { rpc: '/gitaly.CommitService/FindComit', hint: `, ${MEANT}` },
  { rpc: 'gitaly.CommitService/FindCommit', hint: `, ${MEANT}` },
  { rpc: 'CommitService/FindCommit', hint: `, ${MEANT}` },
  { rpc: 'FindCommit', hint: `, ${MEANT}` },
  { rpc: '', hint: '; it is a full name such as "/gitaly.CommitService/FindCommit"' },
  { rpc: 'x', hint: '; it is a full name such as "/gitaly.CommitService/FindCommit"' },
]) {
  test(`a limit of ${JSON.stringify(rpc)} limits nothing`, () => {
    const good = { rpc: '/gitaly.SSHService/SSHUploadPack' };

    const found = unknownMethods(
      configFrom({ ...BASE, concurrency: [good, { rpc }], rate_limiting: [{ rpc }] }),
    );

    const text = `names no RPC of this server: ${JSON.stringify(rpc)}${hint}`;
    assert.deepEqual(
      found.map(({ message }) => message),
      [`concurrency[1].rpc ${text}`, `rate_limiting[0].rpc ${text}`],
    );
  });
}

test('a server with such a limit starts with a warning', async () => {
  await using gitaly = await startGitaly({ config: { concurrency: [{ rpc: 'nonsense', max_per_repo: 1 }] } });

  const line = gitaly.log.find(({ key }) => key === 'concurrency[0].rpc');
  assert.equal(line?.level, 'warning');
  assert.match(String(line?.msg), /^concurrency\[0\]\.rpc names no RPC of this server: "nonsense"/);
});
