import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { test } from 'node:test';
import { create, toBinary } from '@bufbuild/protobuf';
import { dialSidechannel, postUploadPack, SidechannelRegistry } from '#client/index';
import { FLUSH, packet } from '#testkit/repositories/push';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import { until } from '#testkit/until';
import { GetArchiveRequestSchema } from '#wire/gen/repository_pb';

function detailsOf(gitaly: TestGitaly): Record<string, unknown>[] {
  return gitaly.log.filter(({ msg }) => msg === 'request details');
}

// The lines and fields of Gitaly 18.9.
test('fetches and archives log the size of the response and a hash of the request', async () => {
  await using gitaly = await startGitaly();
  const repository = await gitaly.createRepository({ relativePath: 'r.git' });
  const [oid = ''] = await repository.commits(1);
  const registry = new SidechannelRegistry();
  const connection = await dialSidechannel(gitaly.address, registry);
  const body = `${packet(`want ${oid} ofs-delta\n`)}${FLUSH}${packet('done\n')}`;

  const stdout = new PassThrough();
  const answer = buffer(stdout);
  const io = { stdin: Readable.from([Buffer.from(body.slice(0, 9)), Buffer.from(body.slice(9))]), stdout };
  await postUploadPack(connection, registry, io, { repository }).finally(() => stdout.end());
  const posted = await answer;
  await connection.close();
  let sshBytes = 0;
  const ssh = gitaly.connection.ssh.sshUploadPack([{ repository }, { stdin: Buffer.from(body) }]);
  for await (const response of ssh) sshBytes += response.stdout.length;
  const request = { repository, commitId: oid, format: 1 };
  await Array.fromAsync(gitaly.connection.repository.getArchive(request));

  const [http, overSsh, archive] = detailsOf(gitaly);
  assert.equal(http?.request_sha, createHash('sha1').update(body).digest('hex'));
  assert.equal(http.response_bytes, posted.length);
  assert.match(String(http['grpc.request.fullMethod']), /PostUploadPackWithSidechannel$/);
  assert.equal(overSsh?.response_bytes, sshBytes);
  const message = toBinary(GetArchiveRequestSchema, create(GetArchiveRequestSchema, request));
  assert.equal(archive?.request_hash, createHash('sha256').update(message).digest('hex'));
  for (const line of detailsOf(gitaly)) assert.equal(line.level, 'info');
});

test('the first read of a repository logs how many directories and files it has, once', async () => {
  await using gitaly = await startGitaly({ config: { housekeeping: { automatic: true } } });
  const repository = await gitaly.createRepository({ relativePath: 'r.git' });
  await repository.commits(1);
  const lines = () => gitaly.log.filter(({ msg }) => msg === 'collected repository statistics');

  for (const _ of [1, 2]) await gitaly.connection.ref.findDefaultBranchName({ repository });
  await until(() => lines().length > 0);

  const [line] = lines();
  const stats = line?.repository_stats as { directory_count: number; file_count: number }; // as logged
  assert.ok(stats.directory_count >= 5 && stats.file_count >= 3, JSON.stringify(stats));
  assert.equal(line?.relative_path, 'r.git');
  assert.equal(lines().length, 1);
});

test("a call's line has the largest anonymous memory of its processes", async () => {
  const directory = makeScratchDirectory('slow-git');
  mkdirSync(directory, { recursive: true });
  const script = join(directory, 'git');
  writeFileSync(script, '#!/bin/sh\ncase "$*" in *fsck*) sleep 0.8 ;; esac\nexec git "$@"\n');
  chmodSync(script, 0o755);
  await using gitaly = await startGitaly({ config: { git: { bin_path: script } } });
  const repository = await gitaly.createRepository({ relativePath: 'r.git' });

  await gitaly.connection.repository.fsck({ repository });

  const line = gitaly.log.find((each) => each['grpc.method'] === 'Fsck');
  assert.ok(Number(line?.['command.maxrssanon_bytes']) > 50_000, JSON.stringify(line));
  rmSync(directory, { recursive: true });
});
