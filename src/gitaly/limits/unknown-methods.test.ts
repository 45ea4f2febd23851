import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { ConfigError } from '#platform/config/config-error';
import { configFrom } from '#platform/config/load-config';
import { startGitaly } from '#testkit/start-gitaly';
import { checkLimitedMethods, unknownMethods } from './unknown-methods.ts';

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
      found.map(({ message, isFatal }) => ({ message, isFatal })),
      [
        { message: `concurrency[1].rpc ${text}`, isFatal: rpc !== '' },
        { message: `rate_limiting[0].rpc ${text}`, isFatal: false },
      ],
    );
  });
}

/** The interface of 15.0, 16.7 and 19.0, from their protocol files. */
const wire: { services: Record<string, { methods: Record<string, unknown> }> } = JSON.parse(
  readFileSync(new URL('../../wire/fixtures/wire.json', import.meta.url), 'utf8'),
);

test('a limit of any RPC of any supported release is accepted', () => {
  const concurrency = Object.entries(wire.services).flatMap(([service, { methods }]) =>
    Object.keys(methods).map((name) => ({ rpc: `/${service}/${name}`, max_per_repo: 1 })),
  );
  assert.ok(concurrency.length >= 197, `${concurrency.length} RPCs`);

  const config = configFrom({
    ...BASE,
    concurrency: [...concurrency, { rpc: '/grpc.health.v1.Health/Check', max_per_repo: 1 }],
  });

  assert.deepEqual(checkLimitedMethods(config), []);
});

// Symptom: a limit with a typing error was a warning among the first lines of the log, and the RPC
// had no limit.
test('a server with a limit of an RPC that does not exist does not start', async () => {
  const start = startGitaly({ config: { concurrency: [{ rpc: 'FindCommit', max_per_repo: 1 }] } });

  await assert.rejects(start, (error) => {
    assert.ok(error instanceof ConfigError);
    const message = `concurrency[0].rpc names no RPC of this server: "FindCommit", ${MEANT}`;
    assert.equal(error.message, `invalid config: ${message}`);
    assert.match(error.explanation, /^ {2}key {7}concurrency\[0\]\.rpc\n {2}read {6}"FindCommit"\n/);
    return true;
  });
});

test('a server with a limit without a name starts with a warning', async () => {
  await using gitaly = await startGitaly({ config: { concurrency: [{ max_per_repo: 1 }] } });

  const line = gitaly.log.find(({ key }) => key === 'concurrency[0].rpc');
  assert.equal(line?.level, 'warning');
  assert.match(String(line?.msg), /^concurrency\[0\]\.rpc names no RPC of this server: ""/);
});
