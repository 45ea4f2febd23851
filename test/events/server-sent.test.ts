import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { EventPayload } from '#events/event-payload';
import {
  type Authenticator,
  fileAuthentication,
  formatAuthLine,
  type HttpGateway,
  scopedTokenAuthentication,
  startHttpGateway,
  storageMapping,
} from '#gateway/index';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import { until } from '#testkit/until';
import { quickPasswordHash } from '#testkit/values/quick-password-hash';
import { issueToken } from '#tokens/issue';
import { parseScope } from '#tokens/scope';
import { TokenStore } from '#tokens/token-store';
import { TokenVerifier } from '#tokens/token-verifier';

const FEED = { config: { events: { enabled: true } } };

interface Stream {
  readonly status: number;
  readonly events: EventPayload[];
  /** The last `id:` line, which browsers send when they connect again. */
  lastId: string;
  ended: boolean;
  close(): void;
}

async function openStream(url: string, headers: Record<string, string> = {}): Promise<Stream> {
  const ending = new AbortController();
  const response = await fetch(url, { headers, signal: ending.signal });
  const stream: Stream = {
    status: response.status,
    events: [],
    lastId: '',
    ended: false,
    close: () => ending.abort(),
  };
  const read = async (): Promise<void> => {
    let rest = '';
    for await (const chunk of response.body ?? []) {
      const blocks = (rest + Buffer.from(chunk).toString()).split('\n\n');
      rest = blocks.pop() ?? '';
      for (const block of blocks) add(stream, block);
    }
  };
  void read()
    .catch(() => {}) // closed
    .finally(() => {
      stream.ended = true;
    });
  return stream;
}

function add(stream: Stream, block: string): void {
  const fields = new Map(
    block.split('\n').map((line) => [line.split(': ', 1)[0], line.replace(/^\w+: /, '')]),
  );
  stream.lastId = fields.get('id') ?? stream.lastId;
  const data = fields.get('data');
  if (data === undefined) return;
  const event = JSON.parse(data) as EventPayload; // of this server
  assert.equal(fields.get('id'), `${event.sequence}`);
  assert.equal(fields.get('event'), event.type);
  stream.events.push(event);
}

async function gatewayTo(
  context: TestContext,
  gitaly: TestGitaly,
  authenticator?: Authenticator,
): Promise<HttpGateway> {
  const gateway = await startHttpGateway({
    gitaly: { address: gitaly.address },
    listen: { host: '127.0.0.1', port: 0 },
    mapping: storageMapping('default'),
    events: { storage: 'default' },
    ...(authenticator && { authenticator }),
  });
  context.after(() => gateway.close());
  return gateway;
}

const create = (gitaly: TestGitaly, relativePath: string) =>
  gitaly.connection.repository.createRepository({ repository: { storageName: 'default', relativePath } });

const brief = ({ reference = '', repository, type }: EventPayload): string =>
  [type, repository, reference].join(' ').trim();

test('events come as they happen, and go on behind the last id', async (context) => {
  await using gitaly = await startGitaly(FEED);
  const { url } = await gatewayTo(context, gitaly);
  await create(gitaly, 'a.git');
  const stream = await openStream(`${url}/-/events`);
  await until(() => stream.events.length === 2);
  await create(gitaly, 'b.git');
  await until(() => stream.events.length === 4);
  stream.close();
  await create(gitaly, 'c.git');
  const next = await openStream(`${url}/-/events?after=1`, { 'Last-Event-ID': stream.lastId });
  await until(() => next.events.length === 2);
  next.close();

  assert.deepEqual([...stream.events, ...next.events].map(brief), [
    'created a.git',
    'reference a.git HEAD',
    'created b.git',
    'reference b.git HEAD',
    'created c.git',
    'reference c.git HEAD',
  ]);
});

test('a client may begin now, and choose repositories and references', async (context) => {
  await using gitaly = await startGitaly(FEED);
  const { url } = await gatewayTo(context, gitaly);
  await create(gitaly, 'team/old.git');
  const stream = await openStream(`${url}/-/events?after=now&path=team/&reference=refs/heads/*`);
  await until(() => stream.lastId !== '');
  await create(gitaly, 'other.git');
  await create(gitaly, 'team/new.git');
  await create(gitaly, 'team/last.git');
  await until(() => stream.events.length === 2);
  stream.close();

  assert.deepEqual(stream.events.map(brief), ['created team/new.git', 'created team/last.git']);
});

test('a client gets the events of the repositories that it may read', async (context) => {
  const directory = makeScratchDirectory('sse');
  context.after(() => rmSync(directory, { recursive: true }));
  const authFile = join(directory, 'users');
  writeFileSync(authFile, `${formatAuthLine('ann', 'read', quickPasswordHash('word'), ['mine'])}\n`);
  await using gitaly = await startGitaly(FEED);
  const { url } = await gatewayTo(context, gitaly, await fileAuthentication({ path: authFile }));
  await create(gitaly, 'mine/a.git');
  await create(gitaly, 'secret.git');
  const signedIn = (text: string) => ({ Authorization: `Basic ${Buffer.from(text).toString('base64')}` });

  assert.equal((await fetch(`${url}/-/events`)).status, 401);
  assert.equal((await fetch(`${url}/-/events`, { headers: signedIn('ann:wrong') })).status, 401);
  const stream = await openStream(`${url}/-/events`, signedIn('ann:word'));
  await until(() => stream.lastId === '4');
  stream.close();

  assert.deepEqual(stream.events.map(brief), ['created mine/a.git', 'reference mine/a.git HEAD']);
});

test('wrong requests are refused with the reason', async (context) => {
  await using gitaly = await startGitaly(FEED);
  const { url } = await gatewayTo(context, gitaly);
  for (const [query, status, text] of [
    ['after=x', 400, /after: write the id of an event, or now/],
    ['after=-1', 400, /after: write/],
    ['after=7', 410, /no longer kept/],
    [`reference=${'x'.repeat(300)}`, 400, /does not accept this request/],
  ] as const) {
    const response = await fetch(`${url}/-/events?${query}`);
    assert.equal(response.status, status, query);
    assert.match(await response.text(), text);
  }
  assert.equal((await fetch(`${url}/-/events`, { method: 'POST' })).status, 405);
});

test('a server without a feed says so, a gateway without events has no such page', async (context) => {
  await using gitaly = await startGitaly();
  const { url } = await gatewayTo(context, gitaly);
  const response = await fetch(`${url}/-/events`);
  assert.equal(response.status, 404);
  assert.match(await response.text(), /keeps no change feed/);

  await using plain = await startHttpGateway({
    gitaly: { address: gitaly.address },
    listen: { host: '127.0.0.1', port: 0 },
    mapping: storageMapping('default'),
  });
  assert.equal((await fetch(`${plain.url}/-/events`)).status, 404);
});

test('a gateway that closes ends the streams at once', async (context) => {
  await using gitaly = await startGitaly(FEED);
  const gateway = await gatewayTo(context, gitaly);
  const stream = await openStream(`${gateway.url}/-/events`);
  await until(() => stream.lastId !== '');
  const start = performance.now();
  await gateway.close({ graceMs: 20_000 });

  assert.ok(performance.now() - start < 10_000);
  await until(() => stream.ended);
});

test('a revoked token gets no further event, and then 401', async (context) => {
  const directory = makeScratchDirectory('events-token');
  context.after(() => rmSync(directory, { recursive: true }));
  await using gitaly = await startGitaly(FEED);
  const store = new TokenStore(directory);
  const verifier = new TokenVerifier({ store });
  const { url } = await gatewayTo(context, gitaly, scopedTokenAuthentication({ verifier }));
  const scope = parseScope({ access: 'read', repositories: ['**'] });
  const { id, token } = await issueToken(store, { subject: 'ci', scope, lifetimeSeconds: 3600 });
  const headers = { authorization: `Bearer ${token}` };
  const stream = await openStream(`${url}/-/events`, headers);
  await create(gitaly, 'a.git');
  await until(() => stream.events.length === 2);

  await store.revoke(id);
  await until(async () => (await verifier.verify(token)) === undefined);
  await create(gitaly, 'b.git');
  await until(() => stream.ended);

  assert.deepEqual(stream.events.map(brief), ['created a.git', 'reference a.git HEAD']);
  assert.equal((await openStream(`${url}/-/events`, headers)).status, 401);
});
