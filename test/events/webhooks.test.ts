import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import type { ServerStatus } from '#calls/top/status';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import { until } from '#testkit/until';
import type { WebhookStatus } from '#webhooks/webhook-status';
import { type Receiver, SECRET, startReceiver } from './webhook-receiver.ts';

function configOf(receiver: Pick<Receiver, 'url'>, webhook: Readonly<Record<string, unknown>> = {}) {
  const table = { name: 'test', url: receiver.url, secret: SECRET, allow_private_addresses: true };
  return {
    prometheus_listen_addr: '127.0.0.1:0',
    events: { enabled: true },
    webhook: [{ ...table, ...webhook }],
  };
}

async function webhookStatus({ log }: TestGitaly): Promise<WebhookStatus | undefined> {
  const address = log.find(({ msg }) => msg === 'starting prometheus listener')?.address;
  const response = await fetch(`http://${address}/debug/top`);
  return ((await response.json()) as ServerStatus).webhooks?.[0]; // of this server
}

test('a receiver gets the life of a repository, signed and in order', async (context) => {
  const receiver = await startReceiver(context);
  await using gitaly = await startGitaly({ config: configOf(receiver) });
  const made = await gitaly.createRepository({ relativePath: 'a.git', commits: 2 });
  const head = await made.git(['rev-parse', 'main']);
  const { repository } = gitaly.connection;
  const target = { storageName: 'default', relativePath: 'b/c.git' };
  await repository.createRepository({ repository: target });
  await repository.writeRef({
    repository: made,
    ref: Buffer.from('refs/heads/side'),
    revision: Buffer.from(head),
  });
  await repository.renameRepository({ repository: target, relativePath: 'd.git' });
  await repository.removeRepository({ repository: { ...target, relativePath: 'd.git' } });
  await until(() => receiver.events.length === 7);

  const brief = (path: string) =>
    receiver.events
      .filter(({ previous_repository, repository: name }) => name === path || previous_repository === path)
      .map(({ new_value, old_value, reference = '', type }) =>
        [type, reference, old_value, new_value].join(' ').trim(),
      );
  assert.deepEqual(brief('a.git').at(-1), `reference refs/heads/side  ${head}`);
  assert.deepEqual(brief('b/c.git'), ['created', 'reference HEAD  ref: refs/heads/main', 'renamed']);
  assert.deepEqual(brief('d.git'), ['renamed', 'removed']);
});

test('a refused event is shown with its reason, and comes when the receiver is back', async (context) => {
  const receiver = await startReceiver(context);
  await using gitaly = await startGitaly({ config: configOf(receiver) });
  receiver.status = 503;
  await gitaly.connection.repository.createRepository({
    repository: { storageName: 'default', relativePath: 'a.git' },
  });
  await until(async () => ((await webhookStatus(gitaly))?.failed_attempts ?? 0) > 0);
  const refused = await webhookStatus(gitaly);
  assert.equal(refused?.last_problem, 'the receiver responded with 503');
  assert.equal(refused?.waiting, 2);

  receiver.status = 200;
  await until(() => receiver.events.length === 2);
  assert.deepEqual(
    receiver.events.map(({ reference = '', type }) => `${type} ${reference}`),
    ['created ', 'reference HEAD'],
  );
  await until(async () => (await webhookStatus(gitaly))?.waiting === 0);
});

test('a private address is refused unless it is allowed', async (context) => {
  const receiver = await startReceiver(context);
  await using gitaly = await startGitaly({
    config: configOf(receiver, { allow_private_addresses: false }),
  });
  await gitaly.connection.repository.createRepository({
    repository: { storageName: 'default', relativePath: 'a.git' },
  });
  await until(async () => ((await webhookStatus(gitaly))?.failed_attempts ?? 0) > 0);

  const status = await webhookStatus(gitaly);
  assert.equal(status?.last_problem, '127.0.0.1 is not a public address: set allow_private_addresses');
  assert.deepEqual(receiver.events, []);
});

test('a slow receiver does not slow down the server', async (context) => {
  const server = createServer(() => {}).listen(0, '127.0.0.1'); // never responds
  context.after(() => server.close().closeAllConnections());
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo; // of TCP
  await using gitaly = await startGitaly({ config: configOf({ url: `http://127.0.0.1:${port}/` }) });

  const made = await gitaly.createRepository({ relativePath: 'a.git', commits: 1 });
  assert.match(await made.git(['rev-parse', 'main']), /^[0-9a-f]{40}$/);
});
