import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { Metadata } from '#rpc/common/metadata';
import { arrangeServices, toTexts } from '#testkit/clients/rails-fixture';
import {
  CommitService,
  GitalyClient,
  HealthCheckService,
  ObjectPoolService,
  PraefectInfoService,
  RemoteService,
  RepositoryService,
  ServerService,
} from '../index.ts';

/** The file on the branches: `topic` has changed it. */
const README = { main: 'hello\n', topic: 'hello again\n' };
const ZEROS = '0'.repeat(40);
const all = Array.fromAsync;

test('RepositoryService, pools and remotes manage whole repositories', async () => {
  await using arranged = await arrangeServices(README);
  const { client, git, name, server } = arranged;
  const service = new RepositoryService(client, name);
  const of = (relativePath: string, storageName = 'default') =>
    new RepositoryService(client, { ...name, storageName, relativePath });
  const main = await git('rev-parse', 'main');

  assert.equal(await service.exists(), true);
  assert.equal(await of('none.git').exists(), false);
  await of('new.git').createRepository('trunk');
  assert.equal(await of('new.git').hasLocalBranches(), false);
  assert.equal(await of('new.git').calculateChecksum(), ZEROS);
  await of('new.git').remove();
  await of('new.git').remove(); // not there: no error
  assert.equal(await service.findMergeBase('main', 'topic'), await git('merge-base', 'main', 'topic'));
  assert.ok((await service.repositorySize()) > 0n);
  const pushed = new RepositoryService(client, { ...name, gitObjectDirectory: 'objects' });
  await server.openRepository(name).commit({ branch: 'big', files: { big: randomBytes(100_000) } });
  assert.ok((await pushed.getObjectDirectorySize()) > 90n);
  assert.ok((await service.repositoryInfo()).size > 0n);
  assert.equal(await service.fsck(), '');
  assert.equal(await service.findLicense(), undefined);
  assert.equal(await service.objectFormat(), 1);
  assert.deepEqual(await toTexts(service.searchFilesByName('main', 'src')), ['src/a.ts', 'src/b.ts']);
  const [match] = await all(service.searchFilesByContent('main', 'hello'));
  assert.match(match?.toString() ?? '', /README\.md.1.hello/s);
  const changes = await all(service.rawChangesBetween('main~', 'main'));
  assert.equal(Buffer.from(changes[0]?.newPathBytes ?? []).toString(), 'src/b.ts');
  assert.deepEqual(await service.getFileAttributes('main', ['README.md'], ['text']), []);
  await service.writeRef('refs/keep/1', main);
  assert.equal(await git('rev-parse', 'refs/keep/1'), main);
  await service.optimizeRepository();
  await service.pruneUnreachableObjects();

  await of('fork.git', 'other').forkRepository(name);
  await of('copy.git', 'other').replicate(name);
  for (const path of ['fork.git', 'copy.git']) {
    const copy = { storageName: 'other', relativePath: path };
    assert.equal(await server.askGit(copy, ['rev-parse', 'main']), main);
  }
  const branches = { sourceBranch: 'main', targetRef: 'refs/heads/fetched' };
  assert.equal(
    await service.fetchSourceBranch({ ...name, storageName: 'other', relativePath: 'fork.git' }, branches),
    true,
  );
  assert.equal(await git('rev-parse', 'fetched'), main);

  const pool = { storageName: 'default', relativePath: `@pools/ab/ab/${'ab'.repeat(32)}.git` };
  const pools = new ObjectPoolService(client, pool);
  await pools.create(name);
  await pools.linkRepository(name);
  await pools.fetch(name);
  assert.equal(await server.askGit(pool, ['rev-parse', 'refs/remotes/origin/heads/main']), main);
  await pools.disconnect(name);
  await pools.delete();
  await assert.rejects(server.askGit(pool, ['rev-parse', '--git-dir']));
  assert.equal(await git('rev-parse', 'main'), main);
  assert.equal(await new RemoteService(client, name).isRemoteRepository('http://127.0.0.1:1/a.git'), false);
});

test('PraefectInfoService asks for replicas, which a Gitaly refuses', async () => {
  await using arranged = await arrangeServices(README);
  const { client, name, seconds, sent } = arranged;

  await assert.rejects(new PraefectInfoService(client, name).replicas(), {
    code: 'UNIMPLEMENTED',
    rpc: '/gitaly.PraefectInfoService/RepositoryReplicas',
  });

  assert.deepEqual(seconds(), [['RepositoryReplicas', 10]]);
  assert.deepEqual(sent[0]?.requests, [{ repository: name }]);
});

test('ServerService and HealthCheckService describe the server of a storage', async () => {
  await using arranged = await arrangeServices(README);
  const { client } = arranged;
  const service = new ServerService(client, 'other');

  assert.notEqual((await service.info()).gitVersion, '');
  assert.equal((await service.storageInfo())?.storageName, 'other');
  const { storageStatuses } = await service.diskStatistics();
  assert.deepEqual(storageStatuses.map(({ storageName }) => storageName).sort(), ['default', 'other']);
  assert.ok(((await service.storageDiskStatistics())?.available ?? 0n) > 0n);
  assert.equal((await service.readinessCheck()).Result.case, 'okResponse');
  assert.deepEqual(await service.serverSignature(), new Uint8Array());
  const health = new HealthCheckService(client);
  assert.deepEqual(await health.check('default'), { success: true });
  await using stopped = new GitalyClient({ storages: { gone: { gitaly_address: 'unix:/nowhere.socket' } } });
  assert.deepEqual(await new HealthCheckService(stopped).check('gone'), {
    success: false,
    message:
      'connection error: desc = "transport: Error while dialing: dial unix /nowhere.socket: ' +
      'connect: no such file or directory"',
  });
  // As in Rails: only the failure of a call is a result.
  await assert.rejects(health.check('none'), { message: 'storage not found: "none"' });
});

test("the services have Rails' timeouts, and name a second storage", async () => {
  await using arranged = await arrangeServices(README);
  const { client, name, sent, seconds } = arranged;

  await new CommitService(client, name).isAncestor('main', 'main');
  await new CommitService(client, name).findCommit('main');
  await all(new CommitService(client, name).objectExistence(['main']));
  await client.run(() =>
    new RepositoryService(client, { ...name, storageName: 'other' }).forkRepository(name),
  );

  assert.deepEqual(seconds(), [
    ['CommitIsAncestor', 10],
    ['FindCommit', 30],
    ['CheckObjectsExist', 30],
    ['CreateFork', 55],
  ]);
  const servers = Metadata.from(sent[3]?.options.metadata).get('gitaly-servers');
  assert.deepEqual(Object.keys(JSON.parse(Buffer.from(String(servers), 'base64').toString())), ['default']);
});
