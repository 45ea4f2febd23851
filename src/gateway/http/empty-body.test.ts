import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startHttpGateway, storageMapping } from '#gateway/index';
import { startWithCommit } from '#testkit/clients/ssh-gateway-fixture';

// It was 500, and the operator read of a failure of the server.
test('a request of git without a body is the fault of the client', async () => {
  await using gitaly = await startWithCommit();
  const failures: unknown[] = [];
  await using gateway = await startHttpGateway({
    gitaly: { address: gitaly.address },
    listen: { host: '127.0.0.1', port: 0 },
    mapping: storageMapping('default'),
    onFailure: (error) => failures.push(error),
  });
  const post = async (name: string, service: string): Promise<readonly [number, string]> => {
    const headers = { 'Content-Type': `application/x-${service}-request` };
    const response = await fetch(`${gateway.url}/${name}/${service}`, { method: 'POST', headers });
    return [response.status, await response.text()];
  };

  for (const service of ['git-upload-pack', 'git-receive-pack']) {
    assert.deepEqual(await post('a.git', service), [400, 'The request has no body.\n'], service);
    assert.equal((await post('none.git', service))[0], 404, service);
  }
  assert.deepEqual(failures, []);
});
