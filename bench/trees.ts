import { create, toBinary } from '@bufbuild/protobuf';
import { connectGrpc, type GrpcChannel } from '#rpc/common/grpc/grpc-channel';
import { GetTreeEntriesRequestSchema, ListFilesRequestSchema } from '#wire/gen/commit_pb';
import { type Bench, median, takeTurns, timed } from './lib/bench.ts';
import { cpuDuring } from './lib/process-usage.ts';
import type { StoredRepository } from './lib/repositories.ts';
import { runProgram } from './lib/run-program.ts';

const CPU_CALLS = 20;

interface Question {
  readonly name: string;
  readonly method: string;
  readonly request: Uint8Array;
  /** Arguments of the equivalent git command. */
  readonly args: readonly string[];
}

/**
 * Measures listings of a directory, compared with one `git ls-tree`. Messages are counted in bytes,
 * not decoded, as git's output is not decoded either.
 */
export const bench: Bench = {
  name: 'trees',
  question: 'listings of 5000 files, against one git ls-tree',
  async *run(workshop) {
    const repository = await workshop.repository('5k-files');
    const server = await workshop.server();
    const channel = connectGrpc(await server.connect());
    for (const { name, method, request, args } of questions(repository)) {
      const call = (): Promise<void> => listed(channel, method, request);
      const reference = (): Promise<Buffer> =>
        runProgram('git', ['-C', repository.path, 'ls-tree', '-z', ...args]);
      for (let warm = 0; warm < 20; warm++) await call();
      const samples = await takeTurns(workshop.quick ? 10 : 100, {
        rpc: () => timed(call),
        git: () => timed(reference),
      });
      const cpu = await cpuDuring(server.pid, async () => {
        for (let round = 0; round < CPU_CALLS; round++) await call();
      });
      yield {
        name,
        value: median(samples.rpc),
        unit: 'ms',
        reference: { name: `git ls-tree ${args.join(' ')}`, value: median(samples.git) },
        goal: { of: 'ratio', atMost: 1.3 },
        note:
          `server CPU ${(cpu.ownMs / CPU_CALLS).toFixed(1)} ms a call, git ` +
          `${(cpu.childrenMs / CPU_CALLS).toFixed(1)} ms`,
      };
    }
    channel.destroy();
  },
};

function questions({ wire }: StoredRepository): Question[] {
  const entries = (request: { recursive?: boolean; skipFlatPaths?: boolean }): Uint8Array =>
    toBinary(
      GetTreeEntriesRequestSchema,
      create(GetTreeEntriesRequestSchema, {
        repository: wire,
        revision: Buffer.from('main'),
        path: Buffer.from('.'),
        ...request,
      }),
    );
  const files = create(ListFilesRequestSchema, { repository: wire, revision: Buffer.from('main') });
  return [
    {
      name: 'GetTreeEntries, recursive',
      method: 'GetTreeEntries',
      request: entries({ recursive: true }),
      args: ['-r', '-t', 'main'],
    },
    { name: 'GetTreeEntries, one directory', method: 'GetTreeEntries', request: entries({}), args: ['main'] },
    {
      name: 'ListFiles',
      method: 'ListFiles',
      request: toBinary(ListFilesRequestSchema, files),
      args: ['-r', 'main'],
    },
  ];
}

async function listed(channel: GrpcChannel, method: string, request: Uint8Array): Promise<void> {
  let bytes = 0;
  const path = `/gitaly.CommitService/${method}`;
  for await (const message of channel.invokeRaw({ path, kind: 'server_stream' }, [request]))
    bytes += message.length;
  if (bytes === 0) throw new Error('a call gave another answer than expected');
}
