import { connectGrpc, type GrpcChannel } from '#rpc/common/grpc/grpc-channel';
import { callable } from '#rpc/common/grpc/grpc-method';
import { GetArchiveRequest_Format as Format, RepositoryService } from '#wire/gen/repository_pb';
import { type Bench, median, takeTurns, timed } from './lib/bench.ts';
import { runProgram } from './lib/run-program.ts';
import type { StoredRepository, Workshop } from './lib/workshop.ts';

interface Question {
  readonly name: string;
  /** Asks the server that keeps archives. */
  readonly isCached?: boolean;
  readonly call: (channel: GrpcChannel) => Promise<void>;
  readonly reference: string;
  readonly args: readonly string[];
  readonly goal: number;
}

const ARCHIVE_CACHE = '[archive_cache]\nenabled = true\nmin_occurrences = 0\n';

const { getArchive, calculateChecksum, searchFilesByContent } = RepositoryService.method;

/** Measures RPCs that read the content of a whole repository, compared with git alone. */
export const bench: Bench = {
  name: 'content',
  question: 'GetArchive, SearchFilesByContent of 5,000 files, CalculateChecksum of 200,000 references',
  async *run(workshop) {
    const questions = await questionsOf(workshop);
    const plain = connectGrpc(await (await workshop.server()).connect());
    const caching = connectGrpc(await (await workshop.server(ARCHIVE_CACHE)).connect());
    for (const { name, isCached, call, reference, args, goal } of questions) {
      const channel = isCached === true ? caching : plain;
      await call(channel);
      const samples = await takeTurns(workshop.quick ? 5 : 15, {
        rpc: () => timed(() => call(channel)),
        git: () => timed(() => runProgram('git', args)),
      });
      yield {
        name,
        value: median(samples.rpc),
        unit: 'ms',
        reference: { name: reference, value: median(samples.git) },
        goal: { of: 'ratio', atMost: goal },
      };
    }
    plain.destroy();
    caching.destroy();
  },
};

async function questionsOf(workshop: Workshop): Promise<Question[]> {
  const files = await workshop.repository('5k-files');
  const refs = await workshop.repository('200k-refs');
  const tar = ['-C', files.path, 'archive', '--prefix=p/'];
  return [
    {
      name: 'GetArchive, tar of 5,000 files',
      call: (channel) => archive(channel, files, Format.TAR),
      reference: 'git archive',
      args: [...tar, 'main'],
      goal: 1.1,
    },
    {
      name: 'GetArchive, tar, repeated',
      isCached: true,
      call: (channel) => archive(channel, files, Format.TAR),
      reference: 'git archive',
      args: [...tar, 'main'],
      goal: 0.2,
    },
    {
      name: 'GetArchive, tar.gz, repeated',
      isCached: true,
      call: (channel) => archive(channel, files, Format.TAR_GZ),
      reference: 'git archive',
      args: [...tar, '--format=tar.gz', 'main'],
      goal: 0.2,
    },
    {
      name: 'SearchFilesByContent, 5,000 files',
      call: (channel) => search(channel, files),
      reference: 'git grep',
      args: ['-C', files.path, 'grep', '-inzIP', '-A2', '-B2', '-e', QUERY, 'main'],
      goal: 1.15,
    },
    {
      name: 'CalculateChecksum, 200,000 references',
      call: (channel) => checksum(channel, refs),
      reference: 'git show-ref',
      args: ['-C', refs.path, 'show-ref', '--head'],
      goal: 0.5,
    },
  ];
}

const QUERY = 'line';

async function archive(channel: GrpcChannel, { wire }: StoredRepository, format: Format): Promise<void> {
  const request = { repository: wire, commitId: 'main', format, prefix: 'p' };
  for await (const _ of channel.invoke(callable(getArchive), [request]));
}

async function search(channel: GrpcChannel, { wire }: StoredRepository): Promise<void> {
  const request = { repository: wire, query: QUERY, ref: Buffer.from('main') };
  for await (const _ of channel.invoke(callable(searchFilesByContent), [request]));
}

async function checksum(channel: GrpcChannel, { wire }: StoredRepository): Promise<void> {
  for await (const _ of channel.invoke(callable(calculateChecksum), [{ repository: wire }]));
}
