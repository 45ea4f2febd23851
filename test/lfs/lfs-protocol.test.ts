import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { until } from '#testkit/until';
import { LfsSite, pointerTo } from './lfs-site.ts';

const CONTENT = Buffer.from('a large file\n'.repeat(50_000));

/** Returns the files of the store. */
function stored({ directory }: LfsSite): string[] {
  return readdirSync(join(directory, 'store'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ name }) => name);
}

test('a file is stored and read back: whole, in ranges, and not a second time', async () => {
  await using site = await LfsSite.open();
  await site.gitaly.createRepository({ relativePath: 'team/a.git' });
  const pointer = pointerTo(CONTENT);

  const upload = await site.batch('upload', [pointer]);
  assert.deepEqual([upload.status, upload.json.transfer, upload.json.hash_algo], [200, 'basic', 'sha256']);
  const [{ actions }] = upload.json.objects;
  assert.equal((await site.send('PUT', actions.upload.href, { body: CONTENT })).status, 200);
  const verify = { body: JSON.stringify(pointer) };
  assert.equal((await site.send('POST', actions.verify.href, verify)).status, 200);

  const again = await site.batch('upload', [pointer]);
  assert.deepEqual(again.json.objects, [pointer], 'nothing to do');
  const { json } = await site.batch('download', [pointer], 'bob');
  const { href } = json.objects[0].actions.download;
  const whole = await site.send('GET', href, { user: 'bob' });
  assert.ok(whole.bytes.equals(CONTENT));
  for (const [range, start, end] of [
    ['bytes=0-0', 0, 1],
    ['bytes=1000-', 1000, CONTENT.length],
    ['bytes=-7', CONTENT.length - 7, CONTENT.length],
  ] as const) {
    const part = await site.send('GET', href, { headers: { range } });
    assert.deepEqual([part.status, part.bytes.equals(CONTENT.subarray(start, end))], [206, true], range);
  }
});

test('bytes that are not those of their name are refused, and leave nothing', async () => {
  await using site = await LfsSite.open();
  await site.gitaly.createRepository({ relativePath: 'team/a.git' });
  const pointer = pointerTo(CONTENT);

  const wrong = await site.send('PUT', `objects/${pointer.oid}`, { body: Buffer.from('something else') });

  assert.deepEqual([wrong.status, /SHA-256 differs/.test(wrong.json.message)], [422, true]);
  const { json } = await site.batch('download', [pointer]);
  assert.deepEqual(json.objects, [
    { ...pointer, error: { code: 404, message: 'The server has no such file.' } },
  ]);
  assert.equal((await site.send('POST', 'objects/verify', { body: JSON.stringify(pointer) })).status, 404);
  assert.deepEqual(stored(site), []);
});

// It was 500, and the operator read of a failure of the server.
test('a body that is no gzip is the fault of the client', async () => {
  await using site = await LfsSite.open();
  await site.gitaly.createRepository({ relativePath: 'team/a.git' });
  const headers = { 'content-encoding': 'gzip' };
  const body = Buffer.from('this is no gzip');
  const api = { ...headers, 'content-type': 'application/json' };

  for (const [method, address, more] of [
    ['PUT', `objects/${pointerTo(CONTENT).oid}`, headers],
    ['POST', 'objects/batch', headers],
    ['POST', `${site.gateway.url}/-/api/v1/repositories/team%2Fa/commits`, api],
  ] as const) {
    const { bytes, status } = await site.send(method, address, { body, headers: more });
    assert.deepEqual([status, /is not valid gzip/.test(bytes.toString())], [400, true], address);
  }
  assert.deepEqual(stored(site), []);
});

// It was 413, as if the file were too large, and git-lfs gave up.
test('while the server has too many calls, a client tries again later', async () => {
  await using site = await LfsSite.open();
  await site.gitaly.createRepository({ relativePath: 'team/a.git' });
  site.gitaly.faults.add('*', {
    refuse: { code: 'RESOURCE_EXHAUSTED', message: 'maximum concurrency reached' },
  });

  const { bytes, headers, status } = await site.batch('upload', [pointerTo(CONTENT)]);

  assert.deepEqual([status, headers.get('retry-after')], [503, '1']);
  assert.match(bytes.toString(), /overloaded/);
});

test('a cut upload leaves nothing that a reader sees, and can be repeated', async () => {
  await using site = await LfsSite.open();
  await site.gitaly.createRepository({ relativePath: 'team/a.git' });
  const pointer = pointerTo(CONTENT);
  const { hostname, port } = new URL(site.gateway.url);
  const socket = connect(Number(port), hostname);
  const login = `Authorization: Basic ${btoa('ann:token of ann')}`;
  const path = `/team/a.git/info/lfs/objects/${pointer.oid}`;
  socket.write(
    `PUT ${path} HTTP/1.1\r\nHost: localhost\r\n${login}\r\nContent-Length: ${CONTENT.length}\r\n\r\n`,
  );
  socket.write(CONTENT.subarray(0, 400_000));
  await until(() => stored(site).length > 0);
  socket.destroy();

  await until(() => stored(site).length === 0);
  assert.equal((await site.send('GET', path.slice('/team/a.git/info/lfs/'.length))).status, 404);
  await site.store(CONTENT);
  assert.deepEqual(stored(site), [pointer.oid]);
});

test('who may do what with files is decided as for git', async () => {
  await using site = await LfsSite.open();
  for (const path of ['team/a.git', 'team/b.git', 'other/c.git'])
    await site.gitaly.createRepository({ relativePath: path });
  const pointer = await site.store(CONTENT);
  const file = `objects/${pointer.oid}`;
  const at = (path: string, rest: string): string => `${site.gateway.url}/${path}/info/lfs/${rest}`;

  const none = await site.batch('download', [pointer], null);
  assert.deepEqual([none.status, none.headers.get('lfs-authenticate')?.startsWith('Basic')], [401, true]);
  for (const [method, address, user, status] of [
    ['GET', file, 'bob', 200],
    ['GET', file, null, 401],
    ['GET', file, 'eve', 401],
    ['PUT', file, 'bob', 403],
    ['PUT', file, null, 401],
    ['GET', at('team/b.git', file), 'ann', 404],
    ['GET', at('other/c.git', file), 'ann', 404],
    ['PUT', at('other/c.git', file), 'ann', 404],
    ['GET', at('team/missing.git', file), 'ann', 404],
    ['POST', 'locks', 'bob', 403],
    ['GET', 'objects/none', 'ann', 404],
    ['DELETE', file, 'ann', 404],
  ] as const) {
    const body = method === 'PUT' ? CONTENT : method === 'POST' ? '{}' : undefined;
    const { status: got } = await site.send(method, address, { user, ...(body !== undefined && { body }) });
    assert.equal(got, status, `${method} ${address} ${user}`);
  }
  assert.equal((await site.batch('upload', [pointer], 'bob')).status, 403);
});

test('the files of a repository that does not exist come before the push that creates it', async () => {
  await using site = await LfsSite.open();
  const { connection } = site.gitaly;
  const repository = { storageName: 'default', relativePath: 'team/a.git' };

  assert.equal((await site.batch('download', [pointerTo(CONTENT)])).status, 404);
  assert.equal((await connection.repository.repositoryExists({ repository })).exists, false);
  await site.store(CONTENT);

  assert.equal((await connection.repository.repositoryExists({ repository })).exists, true);
});

test('the files stay when their repository is renamed, and forks read them', async () => {
  await using site = await LfsSite.open();
  await site.gitaly.createRepository({ relativePath: 'team/a.git', commits: 1 });
  const { oid } = await site.store(CONTENT);
  const { Repository } = await import('#client/repository/repository');
  const { connection } = site.gitaly;
  const source = new Repository(connection, { storage: 'default', path: 'team/a.git' });
  await source.fork('team/fork.git');
  const repository = { storageName: 'default', relativePath: 'team/a.git' };
  await connection.repository.renameRepository({ repository, relativePath: 'team/moved.git' });

  for (const path of ['team/moved.git', 'team/fork.git']) {
    const { bytes, status } = await site.send('GET', `${site.gateway.url}/${path}/info/lfs/objects/${oid}`);
    assert.deepEqual([status, bytes.equals(CONTENT)], [200, true], path);
  }
});

test('batches that cannot be meant are refused', async () => {
  await using site = await LfsSite.open();
  await site.gitaly.createRepository({ relativePath: 'team/a.git' });
  const pointer = pointerTo(CONTENT);
  const send = async (body: string): Promise<number> =>
    (await site.send('POST', 'objects/batch', { body })).status;

  assert.equal(await send('{'), 422);
  assert.equal(await send('[]'), 422);
  assert.equal(await send(JSON.stringify({ operation: 'remove', objects: [] })), 422);
  assert.equal(
    await send(JSON.stringify({ operation: 'download', objects: [pointer], transfers: ['tus'] })),
    422,
  );
  assert.equal(
    await send(JSON.stringify({ operation: 'download', objects: [pointer], hash_algo: 'sha512' })),
    409,
  );
  const many = Array.from({ length: 1001 }, () => pointer);
  assert.equal(await send(JSON.stringify({ operation: 'download', objects: many })), 413);
  assert.equal(await send('x'.repeat(2 << 20)), 413);
  for (const wrong of [
    null,
    {},
    { ...pointer, oid: '../../etc/passwd' },
    { ...pointer, size: -1 },
    { oid: pointer.oid },
  ])
    assert.equal(await send(JSON.stringify({ operation: 'download', objects: [wrong] })), 422);
});

test('what a form of another site can send changes nothing', async () => {
  await using site = await LfsSite.open();
  const body = JSON.stringify({ operation: 'upload', objects: [pointerTo(CONTENT)] });

  for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/vnd.git-lfs+jsonp', ''])
    for (const address of ['objects/batch', 'locks']) {
      const { status } = await site.send('POST', address, { body, headers: { 'content-type': type } });
      assert.equal(status, 415, `${type} ${address}`);
    }
  const repository = { storageName: 'default', relativePath: 'team/a.git' };
  assert.equal((await site.gitaly.connection.repository.repositoryExists({ repository })).exists, false);
});

test('one user at a time holds the lock of a file', async () => {
  await using site = await LfsSite.open();
  await site.gitaly.createRepository({ relativePath: 'team/a.git' });
  const post = (address: string, body: object, user = 'ann') =>
    site.send('POST', address, { body: JSON.stringify(body), user });

  const answers = await Promise.all(Array.from({ length: 8 }, () => post('locks', { path: 'a.psd' })));
  assert.deepEqual(answers.map(({ status }) => status).sort(), [201, ...Array(7).fill(409)]);
  await post('locks', { path: 'b.psd' });
  const { locks } = (await site.send('GET', 'locks', { user: 'bob' })).json;
  assert.deepEqual(
    locks.map(({ owner, path }: { owner: { name: string }; path: string }) => [path, owner.name]),
    [
      ['a.psd', 'ann'],
      ['b.psd', 'ann'],
    ],
  );
  const first = (await site.send('GET', 'locks?limit=1')).json;
  const second = (await site.send('GET', `locks?limit=1&cursor=${first.next_cursor}`)).json;
  assert.deepEqual([...first.locks, ...second.locks], locks);
  assert.equal(second.next_cursor, undefined);
  assert.deepEqual((await site.send('GET', 'locks?path=b.psd')).json.locks, [locks[1]]);
  const ours = (await post('locks/verify', {})).json;
  assert.deepEqual([ours.ours, ours.theirs], [locks, []]);

  const removed = await post(`locks/${locks[0].id}/unlock`, {});
  assert.deepEqual([removed.status, removed.json.lock], [200, locks[0]]);
  assert.equal((await post(`locks/${locks[0].id}/unlock`, {})).status, 404);
  assert.equal((await post('locks', { path: '' })).status, 422);
});

// The list began anew behind a lock that was removed meanwhile, so that it never ended.
test('pages of locks go on behind a lock that was removed, or before one that was added', async () => {
  await using site = await LfsSite.open();
  await site.gitaly.createRepository({ relativePath: 'team/a.git' });
  const post = async (address: string, body: object) =>
    (await site.send('POST', address, { body: JSON.stringify(body) })).json;
  for (const path of ['a', 'b', 'c/\u00e9', 'd']) await post('locks', { path });

  const { locks, next_cursor: cursor } = (await site.send('GET', 'locks?limit=2')).json;
  await post(`locks/${locks[1].id}/unlock`, {});
  await post('locks', { path: 'bb' });
  const list = (await site.send('GET', `locks?limit=2&cursor=${cursor}`)).json;
  const ours = await post('locks/verify', { limit: 2, cursor });
  const last = (await site.send('GET', `locks?cursor=${list.next_cursor}`)).json;
  const bad = await site.send('GET', `locks?cursor=${locks[0].id}=`);

  const paths = [list.locks, ours.ours, last.locks].map((each) =>
    each.map(({ path }: { path: string }) => path),
  );
  assert.deepEqual(paths, [['bb', 'c/\u00e9'], ['bb', 'c/\u00e9'], ['d']]);
  assert.equal(last.next_cursor, undefined);
  assert.deepEqual([bad.status, bad.json.message], [422, 'the cursor is not one of this server']);
});

test('the list of locks has a limit, and locks can be removed beyond it', async () => {
  await using site = await LfsSite.open();
  await site.gitaly.createRepository({ relativePath: 'team/a.git' });
  const lock = (index: number) =>
    site.send('POST', 'locks', { body: JSON.stringify({ path: `${index}${'x'.repeat(4000)}` }) });
  const statuses: number[] = [];
  for (let index = 0; index < 140; index++) statuses.push((await lock(index)).status);

  const made = statuses.filter((status) => status === 201).length;
  assert.ok(made > 100 && made < 140, `${made}`);
  assert.deepEqual(statuses.slice(made), Array(140 - made).fill(413));
  const { locks } = (await site.send('GET', 'locks?limit=1')).json;
  const { status } = await site.send('POST', `locks/${locks[0].id}/unlock`, { body: '{}' });
  assert.equal(status, 200);
});
