import { Readable } from 'node:stream';
import {
  dialSidechannel,
  postUploadPack,
  SidechannelRegistry,
  uploadPackWithSidechannel,
} from '#client/index';
import type { GrpcChannel } from '#rpc/common/grpc/grpc-channel';
import { FLUSH } from '#testkit/repositories/push';
import { DiffService } from '#wire/gen/diff_pb';
import { GetArchiveRequest_Format, RepositoryService } from '#wire/gen/repository_pb';
import { fetchRequest } from './fetch-request.ts';
import { one } from './readings.ts';
import type { StoredRepository } from './repositories.ts';
import { git } from './run-program.ts';
import { sink } from './sink.ts';

/** A call that takes long, and what precedes each round of it. */
export interface LargeCall {
  readonly name: string;
  readonly call: () => Promise<unknown>;
  readonly before?: () => Promise<unknown>;
}

const GIT_PROTOCOL = 'version=2';
/** More than what precedes a pack. */
const PACK_BYTES = 100_000;

/** Fetches by both protocols, over one connection. */
export interface Fetching extends AsyncDisposable {
  /** Sends the body of a POST by HTTP, and drops the response. */
  post(repository: StoredRepository, body: string | Buffer): Promise<void>;
  /** Sends a request in a session of SSH, which ends with the response, and drops that. */
  ssh(repository: StoredRepository, request: Buffer): Promise<unknown>;
}

export async function startFetching(address: string): Promise<Fetching> {
  const registry = new SidechannelRegistry();
  const connection = await dialSidechannel(address, registry);
  return {
    async post({ wire: repository }, body) {
      const io = { stdin: Readable.from([Buffer.from(body)]), stdout: sink() };
      await postUploadPack(connection, registry, io, { repository, gitProtocol: GIT_PROTOCOL });
    },
    ssh({ wire: repository }, request) {
      const pack = Promise.withResolvers<void>();
      const io = {
        stdin: Readable.from(session(request, pack.promise)),
        stdout: sink((total) => void (total > PACK_BYTES && pack.resolve())),
        stderr: sink(),
      };
      const parameters = { repository, gitProtocol: GIT_PROTOCOL };
      return uploadPackWithSidechannel(connection, registry, io, parameters);
    },
    [Symbol.asyncDispose]: () => connection.close(),
  };
}

/** Yields a request, and the end of the session when the pack has started. */
async function* session(request: Buffer, pack: Promise<void>): AsyncGenerator<Buffer> {
  yield request;
  await pack;
  yield Buffer.from(FLUSH);
}

/**
 * Returns a diff, an archive and clones of a repository. A clone follows a change of a reference,
 * as the first one after a push does.
 *
 * @param range `A..B`: the diff is between both, the archive and the clone of one branch are of B.
 */
export async function largeCalls(
  channel: GrpcChannel,
  fetching: Fetching,
  { repository, range }: { readonly repository: StoredRepository; readonly range: string },
): Promise<LargeCall[]> {
  const { path, wire } = repository;
  const [left = '', right = ''] = await Promise.all(
    range.split('..').map((revision) => git(path, ['rev-parse', '--verify', `${revision}^{commit}`])),
  );
  const { commitDiff } = DiffService.method;
  const { getArchive, writeRef } = RepositoryService.method;
  const diff = one(commitDiff, { repository: wire, leftCommitId: left, rightCommitId: right });
  const archive = one(getArchive, {
    repository: wire,
    commitId: right,
    format: GetArchiveRequest_Format.TAR,
  });
  const ref = Buffer.from('refs/heads/written');
  const writes = [left, right].map((oid) =>
    one(writeRef, { repository: wire, ref, revision: Buffer.from(oid) }),
  );
  let count = 0;
  const before = async (): Promise<void> => await writes[count++ % writes.length]?.(channel);
  const tips = await git(path, ['for-each-ref', '--format=%(objectname)', 'refs/heads/', 'refs/tags/']);
  const others = [...new Set(tips.split('\n'))].filter((tip) => tip !== right);
  // As git's clone sends it.
  const request = fetchRequest(right, [...others.map((tip) => `want ${tip}`), 'thin-pack', 'include-tag']);
  const oneTip = fetchRequest(right);
  return [
    { name: `CommitDiff of ${range}`, call: () => diff(channel) },
    { name: `GetArchive of ${range.split('..')[1]}`, call: () => archive(channel) },
    { name: 'clone by HTTP, after a change', call: () => fetching.post(repository, request), before },
    { name: 'the same again', call: () => fetching.post(repository, request) },
    {
      name: 'clone by SSH, after a change',
      call: () => fetching.ssh(repository, request),
      before,
    },
    {
      name: 'one branch by HTTP, after a change',
      call: () => fetching.post(repository, oneTip),
      before,
    },
  ];
}
