import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { ServerHistory } from '#calls/history/call-history';
import type { ServerStatus } from '#calls/top/status';
import { until } from '#testkit/until';
import { repository, startFamily } from './family.ts';
import { hold } from './held-calls.ts';
import { startUpFamily } from './up-family.ts';

const SLOW_MS = 500;

test('the console ends calls of workers, and shows those that were slow', async () => {
  await using gitaly = await startFamily('[console]\nlisten_addr = "127.0.0.1:0"\n', { choice: 'worker' });
  const console = /(http:\/\/\S+\/-\/console)/.exec(gitaly.log())?.[1] ?? '';
  const page = async <T>(name: string): Promise<T> =>
    (await (await fetch(`${console}/${name}?format=json`)).json()) as T; // the page's own data
  const connection = await gitaly.connect();
  await connection.repository.createRepository({ repository });
  const call = hold(connection);
  const running = async () => (await page<ServerStatus>('running')).calls[0];
  await until(async () => (await running()) !== undefined, 'the call is shown');
  const id = (await running())?.correlation_id ?? '';
  assert.notEqual((await running())?.worker, 0);
  const html = await (await fetch(`${console}/running`)).text();
  const [, action = ''] = /<form method="post" action="([^"]+)"/.exec(html) ?? [];
  const address = new URL(action.replaceAll('&amp;', '&'), console);
  assert.equal(address.searchParams.get('cancel'), id);
  await delay(SLOW_MS);

  const ended = await fetch(address, {
    method: 'POST',
    headers: { Origin: new URL(console).origin },
    redirect: 'manual',
  });

  assert.equal(ended.status, 303);
  assert.equal(await call.outcome, 'CANCELLED');
  const { calls } = await page<{ calls: ServerHistory['slow_calls'] }>('slow');
  assert.deepEqual(
    calls.map(({ correlation_id, status }) => [correlation_id, status]),
    [[id, 'Canceled']],
  );
});

test('a form that a worker receives changes a repository', async () => {
  await using up = await startUpFamily({ args: [] });
  const page = `${up.http}/-/console/repository/hello.git/-/settings`;
  const html = await (await fetch(page)).text();
  const [, action = ''] = /<form class="setting" method="post" action="([^"]+)"/.exec(html) ?? [];
  const address = new URL(action.replaceAll('&amp;', '&'), up.http);
  const body = new URLSearchParams({ description: 'größer & <b>' });

  const { status } = await fetch(address, {
    method: 'POST',
    headers: { Origin: up.http },
    body,
    redirect: 'manual',
  });

  assert.equal(status, 303);
  const shown = (await (await fetch(`${page}?format=json`)).json()) as Record<string, unknown>;
  assert.equal(shown.description, 'größer & <b>');
});

test('a worker sends files itself, which need not be text', async () => {
  await using up = await startUpFamily({ args: [] });
  const raw = `${up.http}/-/console/repository/hello.git/-/raw/README.md`;

  for (let attempt = 0; attempt < 4; attempt++) {
    const response = await fetch(raw, { headers: { connection: 'close', range: 'bytes=2-6' } });
    assert.deepEqual([response.status, await response.text()], [206, 'hello']);
  }
  const archive = await fetch(raw.replace('/raw/README.md', '/archive?as=zip'));
  assert.equal(Buffer.from(await archive.arrayBuffer()).toString('latin1', 0, 2), 'PK');
});
