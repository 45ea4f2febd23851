import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ClientSlots } from '#gateway/client-slots';
import { startApi } from '#testkit/servers/start-api';
import { RequestRate } from './request-rate.ts';

const PER_MINUTE = 3;

test('each token and each address without one has its requests in a minute', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const rate = new RequestRate(new ClientSlots({ total: 100, perClient: PER_MINUTE }));
  const client = (authorization?: string, remoteAddress = '192.0.2.1') => ({
    ...{ remoteAddress, scheme: 'https' as const },
    headers: authorization === undefined ? {} : { authorization },
  });
  const send = async (...given: Parameters<typeof client>): Promise<number> =>
    await rate.count(client(...given)).then(
      () => 200,
      ({ headers, status }) => (headers['Retry-After'] === '10' ? status : 0),
    );
  const sendAll = async (...given: Parameters<typeof client>): Promise<number[]> => [
    await send(...given),
    await send(...given),
    await send(...given),
    await send(...given),
  ];

  assert.deepEqual(await sendAll('Bearer a'), [200, 200, 200, 429]);
  assert.deepEqual(await sendAll('Bearer b'), [200, 200, 200, 429]);
  for (const name of ['ann', 'bob']) {
    const basic = Buffer.from(`${name}:b`).toString('base64');
    assert.equal(await send(`Basic ${basic}`), 429, 'a token is the password of any name');
  }
  assert.equal(await send('bearer  b'), 429);
  assert.deepEqual(await sendAll('Bearer eyJh.e30.AA'), [200, 200, 200, 429]);
  assert.equal(await send('Bearer eyJh.e30.AB'), 429, 'the same signature, in another spelling');
  assert.equal(await send('Bearer a', '192.0.2.2'), 429, 'the token counts, not the address');
  assert.deepEqual(await sendAll(undefined), [200, 200, 200, 429]);
  assert.equal(await send(undefined, '192.0.2.2'), 200);
  context.mock.timers.tick(59_999);
  assert.equal(await send('Bearer a'), 429);
  context.mock.timers.tick(1);
  assert.equal(await send('Bearer a'), 200, 'a minute later');
});

test('requests of operations and tools count together', async () => {
  await using api = await startApi({ limits: { maxApiRequestsPerMinute: PER_MINUTE } });

  assert.equal((await api.send('GET', 'commits/main')).status, 200);
  assert.equal((await api.send('GET', 'commits/none')).status, 404);
  const tool = await api.callTool('list_repositories', {});
  assert.equal(tool.json.result.isError, undefined);
  const over = await api.send('GET', 'commits/main');
  assert.deepEqual([over.status, over.headers.get('retry-after')], [429, '10']);
  const refused = await api.callTool('list_repositories', {});
  assert.match(refused.json.result.content[0].text, /:too-many-requests"/);
});
