import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededShare } from '#testkit/seeded-share';
import { exampleArguments, startApi } from '#testkit/servers/start-api';
import { exampleRequest } from './agents-page.ts';
import type { ApiOperation } from './operation.ts';
import { OPERATIONS } from './operations/table.ts';

const TEXTS = [
  '',
  '-',
  '--all',
  '..',
  '../../etc/passwd',
  'refs/heads/',
  'refs/heads/../../x',
  'main:',
  ':/',
  ':(top)',
  'main@{1 day ago}',
  '@{u}',
  'main@{Push}',
  Buffer.from('^main x').toString('base64url'),
  Buffer.from(`${'f'.repeat(40)} x`).toString('base64url'),
  '^main',
  'main..',
  '\u0000',
  '\n',
  '*',
  '[',
  '\\',
  '%',
  'ü'.repeat(300),
  'x'.repeat(5000),
  '0'.repeat(40),
  'f'.repeat(40),
  '__proto__',
  'constructor',
  '.git/config',
  'a/',
  '/a',
  'a//b',
  '9'.repeat(30),
  '\u202e\ud800'.toWellFormed(),
];
const VALUES: readonly unknown[] = [
  ...TEXTS,
  '\ud800',
  null,
  true,
  -1,
  1.5,
  1e300,
  [],
  {},
  [[]],
  { __proto__: 1 },
];
/** Share of the requests that `make test` sends. */
const SHARE = 0.15;
/** The least requests for each operation, on average, that any run sends. */
const LEAST = 2;
/** Removed last: the others need the repository. */
const ENDING = new Set(['removeRepository', 'renameRepository']);

/** Yields a request for each hostile value in each field. */
function* requestsOf(row: ApiOperation): Generator<{ address: string; body?: unknown; bytes?: string }> {
  const { method: _, ...example } = exampleRequest(row);
  const [path = '', query = ''] = example.address.split('?');
  for (const name of Object.keys(row.query))
    for (const value of TEXTS) {
      const parameters = new URLSearchParams(query);
      parameters.set(name, value);
      yield { ...example, address: `${path}?${parameters}` };
    }
  for (const name of ['repository', ...Object.keys(row.parameters)])
    for (const value of [...TEXTS, '\u0080']) {
      const filled = row.path.replaceAll(/\{(\w+)\}/g, (__, each: string) =>
        each === name
          ? encodeURIComponent(value)
          : encodeURIComponent(each === 'repository' ? 'team/app' : (row.example.parameters?.[each] ?? '')),
      );
      yield { ...example, address: query === '' ? filled : `${filled}?${query}` };
    }
  yield { ...example, address: `${path}?x=%ff&%00=%` };
  if (row.body === undefined) return;
  if (row.body === 'bytes') return yield* TEXTS.map((bytes) => ({ ...example, bytes }));
  const fields = 'properties' in row.body ? Object.keys(row.body.properties ?? {}) : [];
  for (const value of VALUES) {
    yield { ...example, body: value };
    for (const name of [...fields, '__proto__', 'extra'])
      yield {
        ...example,
        body: Object.assign(Object.create(null) as object, example.body, { [name]: value }),
      };
  }
  for (const value of TEXTS.slice(1)) {
    if (!fields.includes('files')) continue;
    yield { ...example, body: { ...example.body, files: { [value]: 'x' } } };
    yield {
      ...example,
      body: { ...example.body, files: undefined, actions: [{ action: 'create', path: value, content: 'x' }] },
    };
  }
}

test('no value of any argument of any tool fails the server', async () => {
  await using api = await startApi();
  const failed: string[] = [];
  let count = 0;
  for (const row of OPERATIONS) {
    if (row.tool === undefined) continue;
    const example = exampleArguments(row);
    const names = [...Object.keys({ ...example, ...row.query }), '__proto__', 'extra'];
    const hostile = names.flatMap((name) => VALUES.map((value) => ({ ...example, [name]: value })));
    for (const given of seededShare([...VALUES, ...hostile], SHARE)) {
      count++;
      const answer = await api.callTool(row.tool, given);
      const what: string = `${row.tool} ${JSON.stringify(given).slice(0, 200)}: ${answer.bytes}`;
      if (answer.status >= 500) failed.push(what);
      if (answer.status === 200) assert.ok(answer.json.result ?? answer.json.error, what);
    }
  }
  assert.deepEqual(failed, []);
  assert.ok(count > LEAST * OPERATIONS.filter(({ tool }) => tool !== undefined).length);
});

test('no value of any field of any operation fails the server', async () => {
  await using api = await startApi();
  const failed: string[] = [];
  let count = 0;
  for (const row of OPERATIONS.toSorted((a, b) => Number(ENDING.has(a.id)) - Number(ENDING.has(b.id)))) {
    for (const { address, ...request } of seededShare([...requestsOf(row)], SHARE)) {
      count++;
      const answer = await api.send(row.method, address, request);
      const what = `${row.method} ${address.slice(0, 200)} ${JSON.stringify(request).slice(0, 200)}`;
      if (answer.status >= 500) failed.push(`${what}: ${answer.bytes}`);
      if (answer.status >= 400) assert.ok(answer.headers.get('content-type'), what);
    }
  }
  assert.deepEqual(failed, []);
  assert.ok(count > LEAST * OPERATIONS.length);
  assert.equal(await api.repository.git(['fsck', '--strict', '--no-dangling']).catch(() => ''), '');
});
