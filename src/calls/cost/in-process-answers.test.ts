import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { addCommit, initServed } from '#testkit/repositories/init-repository';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';

const repository = { storageName: 'default', relativePath: 'x.git' };

function refExists(gitaly: TestGitaly): Promise<{ value: boolean }> {
  return gitaly.connection.ref.refExists({ repository, ref: Buffer.from('refs/heads/main') });
}

async function start(config: Record<string, unknown> = {}): Promise<{ gitaly: TestGitaly; path: string }> {
  const gitaly = await startGitaly({ config: { prometheus_listen_addr: '127.0.0.1:0', ...config } });
  const path = initServed(gitaly, 'x.git');
  addCommit(path);
  return { gitaly, path };
}

async function counted(gitaly: TestGitaly, name: string): Promise<string[]> {
  const address = String(gitaly.log.find(({ msg }) => msg === 'starting prometheus listener')?.address);
  const metrics = await (await fetch(`http://${address}/metrics`)).text();
  return metrics.split('\n').filter((line) => line.startsWith(`gitaly_ts_in_process_total{name="${name}"`));
}

function lineOf(gitaly: TestGitaly): Record<string, unknown> | undefined {
  return gitaly.log.findLast(
    (line) => line['grpc.method'] === 'RefExists' && line['grpc.code'] !== undefined,
  );
}

test('an answer in process is counted, and not logged', async () => {
  const { gitaly } = await start();
  await using _ = gitaly;

  assert.equal((await refExists(gitaly)).value, true);

  assert.deepEqual(await counted(gitaly, 'ref_exists'), [
    'gitaly_ts_in_process_total{name="ref_exists",path="in_process"} 1',
  ]);
  assert.equal(lineOf(gitaly)?.['in_process.fallbacks'], undefined);
});

test('a question that only git can answer is counted, and its reason is logged', async () => {
  const { gitaly, path } = await start();
  await using _ = gitaly;
  writeFileSync(join(path, 'packed-refs'), '# pack-refs with: peeled \n');

  assert.equal(
    (await gitaly.connection.ref.refExists({ repository, ref: Buffer.from('refs/heads/x') })).value,
    false,
  );

  assert.deepEqual(await counted(gitaly, 'ref_exists'), [
    'gitaly_ts_in_process_total{name="ref_exists",path="git"} 1',
  ]);
  const line = lineOf(gitaly);
  assert.equal(line?.['in_process.fallbacks'], 1);
  assert.equal(line?.['in_process.reasons'], 'ref_exists: packed-refs is not sorted');
  assert.equal(line?.['command.count'], 1);
});

test('with git.in_process = false git answers, and nothing is logged as unusual', async () => {
  const { gitaly } = await start({ git: { in_process: false } });
  await using _ = gitaly;

  assert.equal((await refExists(gitaly)).value, true);

  assert.deepEqual(await counted(gitaly, 'ref_exists'), [
    'gitaly_ts_in_process_total{name="ref_exists",path="git"} 1',
  ]);
  const line = lineOf(gitaly);
  assert.equal(line?.['in_process.fallbacks'], undefined);
  assert.equal(line?.['command.count'], 1);
});
