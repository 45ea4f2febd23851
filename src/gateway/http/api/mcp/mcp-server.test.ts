import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { connectMcp } from '#testkit/clients/mcp-client';
import { startApi, type TestApi } from '#testkit/servers/start-api';

const REPOSITORY = 'team/app';

interface Tools extends AsyncDisposable {
  readonly client: Client;
  // biome-ignore lint/suspicious/noExplicitAny: a test reads the fields that it expects
  call(name: string, given: object): Promise<any>;
}

/** Connects the official client. */
async function connect(api: TestApi): Promise<Tools> {
  const client = await connectMcp(mcpUrl(api));
  return {
    client,
    call: async (name, given) => await client.callTool({ name, arguments: { ...given } }),
    [Symbol.asyncDispose]: async () => await client.close(),
  };
}

function mcpUrl(api: TestApi): URL {
  return new URL('/-/mcp', api.url);
}

async function post(api: TestApi, body: unknown, headers: Readonly<Record<string, string>> = {}) {
  const answer = await fetch(mcpUrl(api), {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  const text = await answer.text();
  return { status: answer.status, headers: answer.headers, json: text === '' ? undefined : JSON.parse(text) };
}

const request = (method: string, params?: object) => ({
  ...{ jsonrpc: '2.0', id: 1, method },
  ...(params && { params }),
});

test('the official client reads, searches, commits, branches and merges', async () => {
  await using api = await startApi();
  const { repository } = api;
  await using tools = await connect(api);
  const { call, client } = tools;
  const rev = (name: string) => repository.git(['rev-parse', '--verify', name]);

  const { tools: listed } = await client.listTools();
  const named = Object.fromEntries(listed.map((tool) => [tool.name, tool]));
  assert.deepEqual(named.read_file?.inputSchema.required, ['repository', 'path']);
  assert.deepEqual(named.commit_files?.inputSchema.required, ['repository', 'branch', 'message']);
  assert.equal(named.list_files?.annotations?.readOnlyHint, true);
  assert.equal(named.merge?.annotations?.readOnlyHint, false);

  const { structuredContent: repositories } = await call('list_repositories', {});
  assert.deepEqual(repositories, { items: [{ path: 'team/app.git' }] });
  const file = await call('read_file', { repository: REPOSITORY, path: 'src/a.txt', revision: 'main' });
  assert.deepEqual(file.content, [{ type: 'text', text: 'one\ntwo\nthree\n' }]);
  const found = await call('search_files', { repository: REPOSITORY, text: 'three' });
  assert.equal(found.structuredContent.matches[0].path, 'src/a.txt');
  const log = await call('list_commits', { repository: REPOSITORY, revision: 'topic', limit: 1 });
  assert.equal(log.structuredContent.items[0].id, await rev('topic'));
  const more = await call('list_commits', {
    ...{ repository: REPOSITORY, revision: 'topic', limit: 1 },
    cursor: log.structuredContent.next,
  });
  assert.equal(more.structuredContent.items[0].id, await rev('topic~1'));

  const made = await call('commit_files', {
    ...{ repository: REPOSITORY, branch: 'agent', startBranch: 'main', message: 'By a tool' },
    files: { 'by.txt': 'tool\n' },
  });
  assert.equal(made.structuredContent.id, await rev('agent'));
  const compared = await call('compare', { repository: REPOSITORY, from: 'main', to: 'agent' });
  assert.equal(compared.structuredContent.ahead, 1);
  const check = await call('check_merge', { repository: REPOSITORY, source: 'agent', branch: 'main' });
  assert.equal(check.structuredContent.result, 'fast-forward');
  const merged = await call('merge', {
    ...{ repository: REPOSITORY, source: 'agent', branch: 'main', message: 'Merge agent' },
  });
  assert.equal(merged.structuredContent.id, await rev('main'));
  assert.equal(await repository.git(['show', 'main:by.txt']), 'tool');

  const late = await call('commit_files', {
    ...{ repository: REPOSITORY, branch: 'main', message: 'Late', files: { x: '' } },
    expected: await rev('topic'),
  });
  assert.equal(late.isError, true);
  assert.equal(JSON.parse(late.content[0].text).current, await rev('main'));
});

test('files that are large or binary are named, not sent whole', async () => {
  await using api = await startApi();
  const text = 'é'.repeat(200_000); // its 256 Ki-th byte is within a character
  const bytes = Buffer.from([0xff, 0xfe, 0]);
  await api.repository.commit({
    files: { 'big.txt': `x${text}`, 'image.bin': bytes, empty: '' },
    branch: 'topic',
  });
  await using tools = await connect(api);
  const read = async (path: string) =>
    (await tools.call('read_file', { repository: REPOSITORY, path, revision: 'topic' })).content.map(
      ({ text: each }: { text: string }) => each,
    );

  const [beginning, note] = await read('big.txt');
  assert.equal(beginning, `x${'é'.repeat(131_071)}`);
  assert.match(
    note,
    /it has 400001 bytes\. The whole: GET \/-\/api\/v1\/repositories\/team%2Fapp\/files\/big/,
  );
  assert.match((await read('image.bin'))[0], /^The file is binary, with 3 bytes: GET \//);
  assert.deepEqual(await read('empty'), ['']);

  await api.repository.branch('before', 'topic~1');
  const compare = { repository: REPOSITORY, from: 'before', to: 'topic' };
  const { structuredContent: cut } = await tools.call('compare', compare);
  assert.deepEqual([cut.isCut, cut.ahead, cut.files], [true, 1, []]);
  const { json } = await api.send('GET', 'compare?from=before&to=topic');
  assert.deepEqual([json.isCut, json.files.length], [false, 3]);
});

test('wrong calls are errors that name what is wrong', async () => {
  await using api = await startApi();
  await using tools = await connect(api);
  const failing = async (name: string, given: object) => {
    const { content, isError } = await tools.call(name, given);
    assert.equal(isError, true);
    return JSON.parse(content[0].text);
  };

  assert.equal((await failing('read_file', { path: 'x' })).field, 'repository');
  const file = { repository: REPOSITORY, path: 'x' };
  assert.match((await failing('read_file', { ...file, other: 1 })).detail, /^other is not known\.$/);
  assert.match((await failing('read_file', { ...file, path: { a: 1 } })).detail, /^path must be a text/);
  assert.equal((await failing('read_file', { ...file, path: '../x' })).status, 400);
  assert.equal((await failing('read_file', file)).status, 404);
  assert.equal((await failing('read_file', { ...file, repository: 'no/such' })).status, 404);
  const commit = { repository: REPOSITORY, branch: 'main', message: 'x' };
  assert.match((await failing('commit_files', { ...commit, other: 1 })).detail, /other.* is not known/);
  await assert.rejects(tools.client.callTool({ name: 'rm' }), /There is no such tool/);
});

test('the protocol: versions, notifications, batches, and what is no message', async () => {
  await using api = await startApi();

  const old = await post(api, request('initialize', { protocolVersion: '2025-06-18' }));
  assert.equal(old.json.result.protocolVersion, '2025-06-18');
  const unknown = await post(api, request('initialize', { protocolVersion: '1999-01-01' }));
  assert.equal(unknown.json.result.protocolVersion, '2025-11-25');
  const notified = await post(api, { jsonrpc: '2.0', method: 'notifications/initialized' });
  assert.deepEqual([notified.status, notified.json], [202, undefined]);
  const both = await post(api, [request('ping'), { jsonrpc: '2.0', method: 'x' }, request('no/method')]);
  assert.deepEqual(
    both.json.map(
      ({ error, result }: { error?: { code: number }; result?: object }) => error?.code ?? result,
    ),
    [{}, -32601],
  );
  assert.equal((await post(api, { id: 1 })).json.error.code, -32600);
  assert.equal((await post(api, [])).status, 400);
  assert.equal((await post(api, Array(17).fill(request('ping')))).status, 413);
  assert.equal((await post(api, '{')).status, 400);
  assert.equal((await post(api, request('ping'), { 'Content-Type': 'text/plain' })).status, 415);
  assert.equal((await post(api, request('ping'), { 'MCP-Protocol-Version': '1' })).status, 400);
  assert.equal((await post(api, request('ping'), { 'Sec-Fetch-Site': 'cross-site' })).status, 403);
  for (const method of ['GET', 'DELETE']) {
    const { headers, status } = await fetch(mcpUrl(api), { method });
    assert.deepEqual([status, headers.get('allow')], [405, 'POST']);
  }
});
