import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startApi } from '#testkit/servers/start-api';

test('a commit is read as git has it, with an ETag that is its id', async () => {
  await using api = await startApi();

  const { headers, json, status } = await api.send('GET', 'commits/topic~1');

  const format = '%H%n%P%n%T%n%s%n%an%n%ae%n%aI';
  const lines = await api.repository.git(['log', '-1', `--format=${format}`, 'topic~1']);
  const [id = '', parent, tree, subject, name, email, date = ''] = lines.split('\n');
  assert.equal(status, 200);
  assert.deepEqual(
    { id: json.id, parents: json.parents, tree: json.tree, subject: json.subject },
    { id, parents: [parent], tree, subject },
  );
  assert.deepEqual(json.author, { name, email, date: new Date(date).toISOString(), timezone: '+0000' });
  assert.equal(headers.get('etag'), `"${id}"`);
  const known = await api.send('GET', `commits/${id}`, { headers: { 'If-None-Match': `"${id}"` } });
  assert.equal(known.status, 304);
  // As a proxy that compresses names it.
  const compressed = await api.send('GET', `commits/${id}`, { headers: { 'If-None-Match': `W/"${id}"` } });
  assert.equal(compressed.status, 304);
});

test('files are committed without a clone, and a moved branch is a conflict with its commit', async () => {
  await using api = await startApi();
  const { repository } = api;
  const before = await repository.git(['rev-parse', 'main']);
  const files = { 'README.md': '# Changed\n', 'new.txt': 'new\n', 'src/a.txt': null };
  const body = { branch: 'main', message: 'Change files', files, expected: before };

  const made = await api.send('POST', 'commits', { body });
  const again = await api.send('POST', 'commits', { body });

  assert.equal(made.status, 201, made.bytes.toString());
  assert.equal(made.json.id, await repository.git(['rev-parse', 'main']));
  assert.match(made.headers.get('location') ?? '', new RegExp(`/commits/${made.json.id}$`));
  assert.equal(
    await repository.git(['diff', '--name-status', before, 'main']),
    'M\tREADME.md\nA\tnew.txt\nD\tsrc/a.txt',
  );
  assert.equal(again.status, 409);
  assert.equal(again.headers.get('content-type'), 'application/problem+json');
  assert.deepEqual(
    [again.json.type, again.json.reference, again.json.current],
    ['urn:gitaly-ts:problem:reference-changed', 'refs/heads/main', made.json.id],
  );
});

test('an action creates a file that is not executable, unless it says so', async () => {
  await using api = await startApi();
  const actions = [
    { action: 'create', path: 'plain', content: 'x' },
    { action: 'create', path: 'program', content: 'x', executable: true },
  ];

  const { status } = await api.send('POST', 'commits', { body: { branch: 'main', message: 'Add', actions } });

  assert.equal(status, 201);
  const format = '--format=%(objectmode) %(path)';
  assert.equal(
    await api.repository.git(['ls-tree', format, 'main', 'plain', 'program']),
    '100644 plain\n100755 program',
  );
});

test('commits are listed in pages, which go on at the same commit, and as lines', async () => {
  await using api = await startApi();
  const ids = (await api.repository.git(['rev-list', 'topic'])).split('\n');

  const first = await api.send('GET', 'commits?revision=topic&limit=3');
  await api.repository.commit({ branch: 'topic', files: { 'later.txt': '' } });
  const rest = await api.send('GET', `commits?revision=topic&limit=3&cursor=${first.json.next}`);
  const lines = await api.send('GET', 'commits?revision=main&path=src%2Fa.txt', {
    headers: { Accept: 'application/x-ndjson' },
  });

  const found = [...first.json.items, ...rest.json.items].map(({ id }: { id: string }) => id);
  assert.deepEqual(found, ids);
  assert.equal(rest.json.next, undefined);
  const subjects = lines.bytes
    .toString()
    .trim()
    .split('\n')
    .map((line) => (JSON.parse(line) as { subject: string }).subject);
  assert.deepEqual(subjects, ['Count further', 'Start']);
});

test('the commits of a range are those of git, page by page', async () => {
  await using api = await startApi();
  for (const range of ['main~1..topic', 'topic...main~1']) {
    const ids = (await api.repository.git(['rev-list', range])).split('\n');
    assert.ok(ids.length > 1, range);
    const found: string[] = [];
    for (let cursor = ''; cursor !== 'end'; ) {
      const { json } = await api.send('GET', `commits?revision=${range}&limit=1${cursor}`);
      found.push(...json.items.map(({ id }: { id: string }) => id));
      cursor = json.next === undefined ? 'end' : `&cursor=${json.next}`;
    }

    assert.deepEqual(found, ids);
  }
});

test('mistakes are named, and cost no call', async () => {
  await using api = await startApi();
  const json = { 'Content-Type': 'application/json' };
  const cases = [
    { send: api.send('GET', 'commits/-x'), status: 400, detail: /revision/ },
    { send: api.send('GET', 'commits/none'), status: 404, detail: /no commit none/ },
    { send: api.send('GET', 'commits?limit=0'), status: 400, detail: /limit/ },
    { send: api.send('GET', 'commits?limt=1'), status: 400, detail: /limt is not known/ },
    { send: api.send('GET', 'commits?cursor=eA'), status: 400, detail: /cursor/ },
    { send: api.send('DELETE', 'commits'), status: 405, detail: /GET, HEAD, POST/ },
    { send: api.send('GET', 'nothing'), status: 404, detail: /no such address/ },
    { send: api.send('GET', '/repositories/..%2Fx/commits'), status: 400, detail: /dot/ },
    { send: api.send('GET', '/repositories/none/commits'), status: 404, detail: /./ },
    { send: api.send('POST', 'commits', { bytes: '{', headers: json }), status: 400, detail: /JSON/ },
    {
      send: api.send('POST', 'commits', { bytes: '['.repeat(100), headers: json }),
      status: 400,
      detail: /deep/,
    },
    {
      send: api.send('POST', 'commits', { bytes: '{}', headers: { 'Content-Type': 'text/plain' } }),
      status: 415,
      detail: /application\/json/,
    },
  ];

  for (const { detail, send, status } of cases) {
    const answer = await send;
    assert.equal(answer.status, status, answer.bytes.toString());
    assert.equal(answer.json.status, status);
    assert.match(answer.json.detail, detail);
  }
});

test('a page of another site changes nothing', async () => {
  await using api = await startApi();
  const body = { branch: 'main', message: 'x', files: { x: 'x' } };

  const refused = await api.send('POST', 'commits', { body, headers: { 'Sec-Fetch-Site': 'cross-site' } });

  assert.equal(refused.status, 403);
});

test('without authentication there is no API beyond the loopback interface', async () => {
  await using api = await startApi({ listen: { host: '0.0.0.0', port: 0 } });

  const { status } = await api.send('GET', 'commits/main');

  assert.equal(status, 404);
});
