import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { until } from '#testkit/until';
import { type OpenedConsole, openConsole } from './open-console.ts';

const ACCEPT = { accept: 'text/event-stream' };

interface LivePage extends AsyncDisposable {
  readonly status: number;
  readonly headers: Headers;
  /** Contents that were received; grows. */
  readonly contents: readonly string[];
  /** Resolves when the server has ended the stream. */
  readonly ended: Promise<void>;
  /** All bytes that were received. */
  text(): string;
}

/** Opens the events of a page as a browser does. */
async function watch(
  { url }: Pick<OpenedConsole, 'url'>,
  path: string,
  headers: Record<string, string> = {},
): Promise<LivePage> {
  const ending = new AbortController();
  const response = await fetch(`${url}${path}`, {
    headers: { ...ACCEPT, ...headers },
    signal: ending.signal,
  });
  let text = '';
  const contents: string[] = [];
  const read = async (): Promise<void> => {
    for await (const chunk of response.body ?? []) {
      text += Buffer.from(chunk).toString();
      const found = text.matchAll(/^data: (.+)\n\n/gm);
      contents.splice(
        0,
        contents.length,
        ...Array.from(found, ([, json = '']) => JSON.parse(json) as string),
      );
    }
  };
  const ended = read();
  ended.catch(() => {}); // aborted below
  return {
    status: response.status,
    headers: response.headers,
    contents,
    ended,
    text: () => text,
    [Symbol.asyncDispose]: async () => {
      ending.abort();
      await ended.catch(() => {});
    },
  };
}

test('a live page sends what changes, once, and ends with the gateway', async () => {
  await using console = await openConsole();
  const repository = await console.gitaly.createRepository({ relativePath: 'a.git', commits: 1 });
  await using page = await watch(console, '/running');
  assert.deepEqual([page.status, page.headers.get('content-type')], [200, 'text/event-stream']);
  assert.match(page.headers.get('content-security-policy') ?? '', /^default-src 'none'/);
  await until(() => page.contents.length === 1);
  assert.match(page.contents[0] ?? '', /No call is running/);

  console.gitaly.faults.add('Fsck', { delayMs: 10_000, times: 1 });
  const ending = new AbortController();
  const call = console.gitaly.connection.repository.fsck({ repository }, { signal: ending.signal });
  const cancelled = assert.rejects(call);
  await until(() => page.contents.some((content) => content.includes('RepositoryService/Fsck')));
  ending.abort();
  await cancelled;
  await until(() => page.contents.at(-1)?.includes('No call is running') === true);

  const started = performance.now();
  await Promise.all([console.gateway.close({ graceMs: 20_000 }), page.ended]);
  assert.ok(performance.now() - started < 10_000, 'the stream does not hold the gateway');
});

test('a page that does not change ends its events, one that is missing has none', async () => {
  await using console = await openConsole();
  await console.gitaly.createRepository({ relativePath: 'a.git', commits: 1 });
  await console.json('/repositories');

  await using list = await watch(console, '/repositories');
  await list.ended;
  assert.match(list.text(), /^retry: \d+\n\ndata: ".*"\n\nevent: end\ndata:\n\n$/);
  for (const path of ['/repository/missing.git', '/nothing']) {
    await using missing = await watch(console, path);
    assert.equal(missing.status, 404, path);
  }
});

test('events have the rights of the page, also when these end', async () => {
  const directory = makeScratchDirectory('live-console');
  try {
    const authFile = join(directory, 'users');
    const hashOf = (token: string): string => createHash('sha256').update(token).digest('hex');
    writeFileSync(authFile, `root admin sha256:${hashOf('r')}\nann read sha256:${hashOf('a')} team\n`);
    await using console = await openConsole({ authFile });
    await using anonymous = await watch(console, '/running');
    assert.equal(anonymous.status, 401);
    await using reader = await watch(console, '/running', { authorization: `Basic ${btoa('ann:a')}` });
    assert.equal(reader.status, 403);

    await using admin = await watch(console, '/running', { authorization: `Basic ${btoa('root:r')}` });
    await until(() => admin.contents.length === 1);
    writeFileSync(authFile, `root read sha256:${hashOf('r')} team\n`);
    await admin.ended;
    assert.doesNotMatch(admin.text(), /event: end/, 'the browser asks again, and is refused');
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('open pages are bounded, and one that is closed is replaced by another', async () => {
  await using console = await openConsole();
  const stack = new AsyncDisposableStack();
  const pages: LivePage[] = [];
  while (pages.length < 64) pages.push(stack.use(await watch(console, '/running')));
  await using refused = await watch(console, '/running');
  assert.ok(refused.status === 503 || refused.status === 429, String(refused.status));
  await stack.disposeAsync();

  let status = 0;
  await until(async () => {
    await using again = await watch(console, '/running');
    status = again.status;
    return status === 200;
  });
  assert.equal(status, 200);
});
