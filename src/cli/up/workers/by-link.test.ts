import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { GitalyError } from '#base/gitaly-error';
import { ClientSlots } from '#gateway/client-slots';
import type { Authenticator, PageRequest, PageSource } from '#gateway/index';
import { noAuthentication } from '#gateway/index';
import { RememberedRepositories } from '#gateway/new-repositories';
import { LinkedFamily } from '#testkit/servers/linked-family';
import { until } from '#testkit/until';
import { RemotePages, sharePages } from './pages-by-link.ts';
import { repositoriesOf, shareRepositories } from './repositories-by-link.ts';
import { shareSlots, slotsOf } from './slots-by-link.ts';

test('slots are counted over all processes, and those of an ended one are free', async () => {
  const processes = new LinkedFamily();
  shareSlots(processes.supervisor.desk, 'requests', new ClientSlots({ total: 3, perClient: 2 }));
  const [first, second] = [processes.start(), processes.start()];
  const [ofFirst, ofSecond] = [first, second].map(({ link }) => slotsOf(link, 'requests'));
  const held = await ofFirst?.take('192.0.2.1');
  await ofSecond?.take('192.0.2.1');

  assert.equal(await ofSecond?.take('192.0.2.1'), 'client');
  assert.equal(typeof (await ofFirst?.take('192.0.2.2')), 'object');
  assert.equal(await ofSecond?.take('192.0.2.3'), 'total');

  if (typeof held !== 'object') assert.fail();
  held[Symbol.dispose]();
  await until(async () => typeof (await ofSecond?.take('192.0.2.1')) === 'object', 'the slot is free');
  first.end();
  assert.equal(typeof (await ofSecond?.take('192.0.2.2')), 'object');
  assert.equal(await ofSecond?.take('192.0.2.3'), 'total');
});

test('a new repository is known to all processes, and taken by one', async () => {
  const processes = new LinkedFamily();
  shareRepositories(processes.supervisor.desk, new RememberedRepositories());
  const [first, second] = [processes.start(), processes.start()].map(({ link }) => repositoriesOf(link));
  assert.equal(await second?.take('a'), false);

  first?.add('a');
  first?.add('b');

  assert.equal(await first?.take('b'), true);
  assert.equal(await second?.take('a'), true);
  assert.equal(await first?.take('a'), false);
});

test('one process at a time creates a repository, and the next one when that has ended', async () => {
  const processes = new LinkedFamily();
  shareRepositories(processes.supervisor.desk, new RememberedRepositories());
  const [first, second] = [processes.start(), processes.start()];
  const turn = await repositoriesOf(first.link).turn('a');
  assert.equal(turn.hasWaited, false);
  let isWaiting = true;
  const next = repositoriesOf(second.link)
    .turn('a')
    .finally(() => {
      isWaiting = false;
    });
  assert.equal((await repositoriesOf(second.link).turn('b')).hasWaited, false);
  assert.equal(isWaiting, true);

  first.end();

  assert.equal((await next).hasWaited, true);
});

/** Opens the pages of a supervisor in a worker. */
function remotePages(pages: PageSource, authenticator = noAuthentication()): RemotePages {
  const processes = new LinkedFamily();
  sharePages(processes.supervisor.desk, () => ({ pages, authenticator }));
  return new RemotePages(processes.start().link);
}

function request(signal: AbortSignal): PageRequest {
  return {
    method: 'GET',
    target: '/-/console/x?y=1',
    headers: { accept: 'text/html' },
    body: Buffer.from('a=b'),
    scheme: 'https',
    remoteAddress: '192.0.2.1',
    apiAddress: '/-/api',
    signal,
    // Rights are checked where the pages are.
    access: new Proxy({} as PageRequest['access'], { get: () => assert.fail('the rights were asked for') }),
  };
}

test('a page comes from the supervisor, which checks the rights', async () => {
  const pages = remotePages({
    answer: async ({ access, body: form, headers, method, remoteAddress, scheme, target }) => {
      const isAllowed = (await access.refusalAt('a.git')) === undefined;
      const body = JSON.stringify([
        ...[method, target, headers.accept, scheme, remoteAddress, isAllowed],
        Buffer.from(form).toString(),
      ]);
      return { status: 203, headers: { 'X-A': 'b' }, body: Buffer.from(body) };
    },
  });

  const { body, headers, status, stream } = await pages.answer(request(new AbortController().signal));

  assert.deepEqual([status, headers, stream], [203, { 'X-A': 'b' }, undefined]);
  assert.deepEqual(JSON.parse(Buffer.from(body).toString()), [
    ...['GET', '/-/console/x?y=1', 'text/html', 'https', '192.0.2.1', true, 'a=b'],
  ]);
});

test('the error of a page keeps its code', async () => {
  const pages = remotePages({
    answer: async () => {
      throw new GitalyError('NOT_FOUND', 'no such thing');
    },
  });

  await assert.rejects(pages.answer(request(new AbortController().signal)), { code: 'NOT_FOUND' });
});

/** A page that sends numbers until nobody listens. */
function countingPages(): { readonly pages: PageSource; readonly ended: Promise<number> } {
  const { promise: ended, resolve } = Promise.withResolvers<number>();
  async function* count(signal: AbortSignal): AsyncGenerator<string> {
    let number = 0;
    try {
      while (!signal.aborted) {
        yield `${number++}\n`;
        await nextTurn();
      }
    } finally {
      resolve(number);
    }
  }
  const answer: PageSource['answer'] = async ({ signal }) => ({
    ...{ status: 200, headers: {}, body: '' },
    stream: count(signal),
  });
  return { pages: { answer }, ended };
}

test('a live page passes its pieces on in order, and ends with its client', async () => {
  const { ended, pages } = countingPages();
  const client = new AbortController();
  const { stream } = await remotePages(pages).answer(request(client.signal));
  const read: string[] = [];

  for await (const piece of stream ?? []) {
    read.push(String(piece));
    if (read.length === 5) break;
  }

  assert.deepEqual(read, ['0\n', '1\n', '2\n', '3\n', '4\n']);
  await ended;
});

test('a live page whose client does not read ends, and so do all at the end of the gateway', async () => {
  const [slow, open] = [countingPages(), countingPages()];
  const unread = await remotePages(slow.pages).answer(request(new AbortController().signal));

  assert.ok((await slow.ended) >= 64);

  const pieces: string[] = [];
  for await (const piece of unread.stream ?? []) pieces.push(String(piece));
  assert.equal(pieces.length, 64);
  const remote = remotePages(open.pages);
  await remote.answer(request(new AbortController().signal));
  remote.endStreams();
  await open.ended;
});

test('a change that was made on a page of the supervisor is known to the worker', async () => {
  const removed: string[] = [];
  const authenticator: Authenticator = {
    ...noAuthentication(),
    account: async () => ({
      ...{ name: 'ann', credential: { kind: 'password', name: '' }, rights: [], keys: [], tokens: [] },
    }),
    removeOwn: async (_, { name }) => removed.push(name) > 0,
  };
  const pages = remotePages(
    {
      answer: async ({ access, apiAddress }) => {
        await access.removeOwn?.({ kind: 'key', name: 'laptop' });
        return { status: 200, headers: {}, body: `${apiAddress}` };
      },
    },
    authenticator,
  );

  const { body, change } = await pages.answer(request(new AbortController().signal));

  assert.deepEqual(
    [removed, body, change],
    [
      ['laptop'],
      '/-/api',
      { credential: { kind: 'password', name: '' }, name: 'ann', text: 'removed key laptop' },
    ],
  );
});
