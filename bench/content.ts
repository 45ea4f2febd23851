import {
  create,
  type DescMessage,
  type DescMethod,
  type MessageInitShape,
  toBinary,
} from '@bufbuild/protobuf';
import { GetArchiveRequest_Format as Format, RepositoryService } from '#wire/gen/repository_pb';
import { BareClient } from './lib/bare-client.ts';
import { type Bench, median, takeTurns, timed } from './lib/bench.ts';
import type { StoredRepository } from './lib/repositories.ts';
import { runProgram } from './lib/run-program.ts';
import type { Workshop } from './lib/workshop.ts';

interface Question {
  readonly name: string;
  /** Calls the server that caches archives. */
  readonly isCached?: boolean;
  readonly call: (client: BareClient) => Promise<unknown>;
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
    using plain = new BareClient((await workshop.server()).socket);
    using caching = new BareClient((await workshop.server(ARCHIVE_CACHE)).socket);
    for (const { name, isCached, call, reference, args, goal } of questions) {
      const client = isCached === true ? caching : plain;
      await call(client);
      const samples = await takeTurns(workshop.quick ? 5 : 15, {
        rpc: () => timed(() => call(client)),
        git: () => timed(() => runProgram('git', args, { dropsOutput: true })),
      });
      yield {
        name,
        value: median(samples.rpc),
        unit: 'ms',
        reference: { name: reference, value: median(samples.git) },
        goal: { of: 'ratio', atMost: goal },
      };
    }
  },
};

async function questionsOf(workshop: Workshop): Promise<Question[]> {
  const files = await workshop.repository('5k-files');
  const refs = await workshop.repository('200k-refs');
  const tar = ['-C', files.path, 'archive', '--prefix=p/'];
  return [
    {
      name: 'GetArchive, tar of 5,000 files',
      call: (client) => archive(client, files, Format.TAR),
      reference: 'git archive',
      args: [...tar, 'main'],
      goal: 1.1,
    },
    {
      name: 'GetArchive, tar, repeated',
      isCached: true,
      call: (client) => archive(client, files, Format.TAR),
      reference: 'git archive',
      args: [...tar, 'main'],
      goal: 0.2,
    },
    {
      name: 'GetArchive, tar.gz, repeated',
      isCached: true,
      call: (client) => archive(client, files, Format.TAR_GZ),
      reference: 'git archive',
      args: [...tar, '--format=tar.gz', 'main'],
      goal: 0.2,
    },
    {
      name: 'SearchFilesByContent, 5,000 files',
      call: (client) => search(client, files),
      reference: 'git grep',
      args: ['-C', files.path, 'grep', '-inzIP', '-A2', '-B2', '-e', QUERY, 'main'],
      goal: 1.15,
    },
    {
      name: 'CalculateChecksum, 200,000 references',
      call: (client) => checksum(client, refs),
      reference: 'git show-ref',
      args: ['-C', refs.path, 'show-ref', '--head'],
      goal: 0.5,
    },
  ];
}

const QUERY = 'line';

function archive(client: BareClient, { wire }: StoredRepository, format: Format): Promise<number> {
  return send(client, getArchive, { repository: wire, commitId: 'main', format, prefix: 'p' });
}

function search(client: BareClient, { wire }: StoredRepository): Promise<number> {
  return send(client, searchFilesByContent, { repository: wire, query: QUERY, ref: Buffer.from('main') });
}

function checksum(client: BareClient, { wire }: StoredRepository): Promise<number> {
  return send(client, calculateChecksum, { repository: wire });
}

function send<I extends DescMessage>(
  client: BareClient,
  { parent, name, input }: DescMethod & { readonly input: I },
  request: MessageInitShape<I>,
): Promise<number> {
  return client.call(`/${parent.typeName}/${name}`, [toBinary(input, create(input, request))]);
}
