import { create, type DescMessage, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { GetBlobsRequestSchema } from '#wire/gen/blob_pb';
import {
  CommitIsAncestorRequestSchema,
  CommitLanguagesRequestSchema,
  FindCommitRequestSchema,
  GetTreeEntriesRequestSchema,
  ListCommitsByOidRequestSchema,
  ListCommitsRequestSchema,
  TreeEntryRequestSchema,
} from '#wire/gen/commit_pb';
import { CommitDiffRequestSchema } from '#wire/gen/diff_pb';
import { UserCommitFilesRequestSchema } from '#wire/gen/operations_pb';
import {
  FindAllTagsRequestSchema,
  FindBranchRequestSchema,
  FindDefaultBranchNameRequestSchema,
  FindLocalBranchesRequestSchema,
  ListRefsRequestSchema,
  RefExistsRequestSchema,
} from '#wire/gen/ref_pb';
import {
  CalculateChecksumRequestSchema,
  GetArchiveRequest_Format,
  GetArchiveRequestSchema,
  RepositorySizeRequestSchema,
  SearchFilesByContentRequestSchema,
  WriteRefRequestSchema,
} from '#wire/gen/repository_pb';
import { InfoRefsRequestSchema } from '#wire/gen/smarthttp_pb';
import { BareClient } from './lib/bare-client.ts';
import { type Bench, median, takeTurns } from './lib/bench.ts';
import { cpuTime, mainThreadMs } from './lib/process-usage.ts';
import type { StoredRepository } from './lib/repositories.ts';
import { git } from './lib/run-program.ts';

/** A row of the comparison with Gitaly in docs/performance.md. */
interface Row {
  readonly name: string;
  readonly path: string;
  /** Returns the messages of a call; a number that each call has once. */
  readonly messages: (number: number) => readonly Uint8Array[];
}

interface Sample {
  readonly mainUs: number;
  readonly processUs: number;
}

const CLIENTS = 8;
const REFERENCES = 1000;
const MS_PER_SECOND = 1000;

/**
 * Measures the time that a call takes on the event loop: a loop that does nothing else makes as
 * many calls per second. Threads, git and the load do not count.
 */
export const bench: Bench = {
  name: 'capacity',
  question: 'calls per second that one event loop can make, by the time of its thread for each call',
  async *run(workshop) {
    // Writes leave loose references, which would slow down the rows that list them.
    const written = await workshop.repository('20-commits');
    const rows = [
      ...(await readsOn(await workshop.repository('small'))),
      writeRef(written.wire, await git(written.path, ['rev-parse', 'main'])),
      commitFile(written.wire),
    ];
    const server = await workshop.server();
    const clients = Array.from({ length: CLIENTS }, () => new BareClient(server.socket));
    const turns = Object.fromEntries(
      rows.map((row) => [row.name, () => drive(row, clients, server.pid, workshop.quick ? 300 : 1500)]),
    );
    await takeTurns(1, turns); // warm-up
    const samples = await takeTurns(workshop.quick ? 1 : 3, turns);
    for (const { name } of rows) {
      const of = samples[name] ?? [];
      const mainUs = median(of.map((sample) => sample.mainUs));
      const processUs = median(of.map((sample) => sample.processUs));
      yield {
        name,
        value: 1e6 / mainUs,
        unit: 'calls/s per loop',
        note: `event loop ${mainUs.toFixed(0)} us/call, all threads ${processUs.toFixed(0)} us/call`,
      };
    }
    for (const client of clients) client[Symbol.dispose]();
  },
};

let calls = 0;

async function drive(
  { path, messages }: Row,
  clients: readonly BareClient[],
  pid: number,
  windowMs: number,
): Promise<Sample> {
  const before = { main: mainThreadMs(pid), process: cpuTime(pid).ownMs };
  const startedMs = performance.now();
  let made = 0;
  await Promise.all(
    clients.map(async (client) => {
      for (; performance.now() - startedMs < windowMs; made++) await client.call(path, messages(++calls));
    }),
  );
  return {
    mainUs: ((mainThreadMs(pid) - before.main) * MS_PER_SECOND) / made,
    processUs: ((cpuTime(pid).ownMs - before.process) * MS_PER_SECOND) / made,
  };
}

async function readsOn({ path, wire: repository }: StoredRepository): Promise<readonly Row[]> {
  const tip = await git(path, ['rev-parse', 'main']);
  const commits = (await git(path, ['rev-list', '--max-count=20', 'main'])).split('\n');
  const oldest = commits.at(-1) ?? tip;
  const references = ['heads', 'tags'].flatMap((kind) =>
    Array.from({ length: REFERENCES }, (_, index) => `create refs/${kind}/capacity-${index} ${tip}\n`),
  );
  await git(path, ['update-ref', '--stdin'], { input: references.join('') });
  await git(path, ['pack-refs', '--all']);
  const main = Buffer.from('main');
  const file = Buffer.from('four-kilobytes');
  const revisionPaths = Array.from({ length: 10 }, () => ({ revision: 'main', path: file }));
  const formats = { format: GetArchiveRequest_Format.TAR, prefix: 'a' };
  const v2 = { repository, gitProtocol: 'version=2' };
  return [
    read('RefService/FindAllTags', FindAllTagsRequestSchema, { repository }),
    read('RefService/FindDefaultBranchName', FindDefaultBranchNameRequestSchema, { repository }),
    read('RepositoryService/CalculateChecksum', CalculateChecksumRequestSchema, { repository }),
    read('CommitService/GetTreeEntries', GetTreeEntriesRequestSchema, {
      ...{ repository, revision: main, path: Buffer.from('.') },
    }),
    read('RefService/FindBranch', FindBranchRequestSchema, { repository, name: main }),
    read('CommitService/TreeEntry', TreeEntryRequestSchema, { repository, revision: main, path: file }),
    read('CommitService/CommitIsAncestor', CommitIsAncestorRequestSchema, {
      ...{ repository, ancestorId: oldest, childId: tip },
    }),
    read('RefService/RefExists', RefExistsRequestSchema, { repository, ref: Buffer.from('refs/heads/main') }),
    read('RefService/ListRefs', ListRefsRequestSchema, { repository, patterns: [Buffer.from('refs/')] }),
    read('SmartHTTPService/InfoRefsUploadPack', InfoRefsRequestSchema, v2, ', protocol 2'),
    read('BlobService/GetBlobs', GetBlobsRequestSchema, { repository, revisionPaths, limit: -1n }),
    read('RefService/FindLocalBranches', FindLocalBranchesRequestSchema, { repository }),
    read('CommitService/FindCommit', FindCommitRequestSchema, { repository, revision: main }),
    read('CommitService/ListCommits', ListCommitsRequestSchema, { repository, revisions: ['main'] }),
    read('CommitService/ListCommitsByOid', ListCommitsByOidRequestSchema, { repository, oid: commits }),
    read('DiffService/CommitDiff', CommitDiffRequestSchema, {
      ...{ repository, leftCommitId: oldest, rightCommitId: tip },
    }),
    read('CommitService/CommitLanguages', CommitLanguagesRequestSchema, { repository, revision: main }),
    read('SmartHTTPService/InfoRefsUploadPack', InfoRefsRequestSchema, { repository }, ', protocol 0'),
    read('RepositoryService/SearchFilesByContent', SearchFilesByContentRequestSchema, {
      ...{ repository, query: 'xxx', ref: main, chunkedResponse: true },
    }),
    read('RepositoryService/GetArchive', GetArchiveRequestSchema, {
      ...{ repository, commitId: tip, ...formats },
    }),
    read('RepositoryService/RepositorySize', RepositorySizeRequestSchema, { repository }),
  ];
}

/** Returns a row whose calls are all the same. */
function read<Schema extends DescMessage>(
  method: string,
  schema: Schema,
  request: MessageInitShape<Schema>,
  more = '',
): Row {
  const message = toBinary(schema, create(schema, request));
  const [, name = ''] = method.split('/');
  return { name: `${name}${more}`, path: `/gitaly.${method}`, messages: () => [message] };
}

function writeRef(repository: StoredRepository['wire'], tip: string): Row {
  const ref = (number: number): Uint8Array =>
    toBinary(
      WriteRefRequestSchema,
      create(WriteRefRequestSchema, {
        repository,
        ref: Buffer.from(`refs/heads/written-${number}`),
        revision: Buffer.from(tip),
      }),
    );
  return {
    name: 'WriteRef',
    path: '/gitaly.RepositoryService/WriteRef',
    messages: (number) => [ref(number)],
  };
}

/** Each call commits a file to a branch of its own. */
function commitFile(repository: StoredRepository['wire']): Row {
  const message = (value: MessageInitShape<typeof UserCommitFilesRequestSchema>): Uint8Array =>
    toBinary(UserCommitFilesRequestSchema, create(UserCommitFilesRequestSchema, value));
  const user = { glId: 'user-1', name: Buffer.from('A'), email: Buffer.from('a@example.com') };
  return {
    name: 'UserCommitFiles',
    path: '/gitaly.OperationService/UserCommitFiles',
    messages: (number) => [
      message({
        userCommitFilesRequestPayload: {
          case: 'header',
          value: {
            ...{ repository, user, startBranchName: Buffer.from('main') },
            ...{ branchName: Buffer.from(`committed-${number}`), commitMessage: Buffer.from('a file') },
          },
        },
      }),
      message({
        userCommitFilesRequestPayload: {
          case: 'action',
          value: {
            userCommitFilesActionPayload: {
              case: 'header',
              value: { action: 0, filePath: Buffer.from(`file-${number}`) },
            },
          },
        },
      }),
      message({
        userCommitFilesRequestPayload: {
          case: 'action',
          value: { userCommitFilesActionPayload: { case: 'content', value: Buffer.from('content\n') } },
        },
      }),
    ],
  };
}
