import { connectGrpc, type GrpcChannel } from '#rpc/common/grpc/grpc-channel';
import { callable } from '#rpc/common/grpc/grpc-method';
import { BlobService } from '#wire/gen/blob_pb';
import { type Bench, type Measurement, median, takeTurns, timed } from './lib/bench.ts';
import { runningCatFile } from './lib/cat-file.ts';
import { cpuDuring, residentMb } from './lib/process-usage.ts';
import type { StoredRepository } from './lib/repositories.ts';
import { git, runProgram } from './lib/run-program.ts';
import type { ServerProcess } from './lib/server-process.ts';

const MIB = 1024 * 1024;
/** Numbers of blobs: of a few files that Rails reads at once, and on one of its pages. */
const LISTED = [10, 50] as const;
/** Concurrent calls, for the comparison with a git that is running already. */
const CLIENTS = 16;
const CPU_CALLS = 20;

type Call = () => Promise<void>;

/**
 * Measures lists of blobs, compared with one `git cat-file --batch` that reads the same objects,
 * and with a `git cat-file --batch-command` that is running already: the minimum for a server that
 * reads each object through git.
 */
export const bench: Bench = {
  name: 'blobs',
  question:
    'lists of blobs, against one git cat-file --batch; memory while a blob of 1 GiB is read (quick: 256 MiB)',
  async *run(workshop) {
    const repository = await workshop.repository('5k-files');
    const server = await workshop.server();
    const channel = connectGrpc(await server.connect());
    for (const { name, call, oids } of await questions(channel, repository)) {
      const reference = (): Promise<Buffer> => {
        return runProgram('git', ['-C', repository.path, 'cat-file', '--batch', '--buffer'], {
          input: `${oids.join('\n')}\n`,
        });
      };
      for (let warm = 0; warm < 20; warm++) await call();
      const rounds = Math.ceil((workshop.quick ? 10_000 : 100_000) / oids.length / 2);
      const samples = await takeTurns(Math.min(rounds, 200), {
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
        reference: { name: 'git cat-file --batch', value: median(samples.git) },
        goal: { of: 'ratio', atMost: 1.3 },
        note:
          `server CPU ${(cpu.ownMs / CPU_CALLS).toFixed(1)} ms a call, git ` +
          `${(cpu.childrenMs / CPU_CALLS).toFixed(1)} ms`,
      };
    }

    for (const count of LISTED) yield await aboveFloor(channel, { repository, count, quick: workshop.quick });

    const bytes = (workshop.quick ? 256 : 1024) * MIB;
    const growth = await growthWhileReading(channel, { repository, server, bytes });
    yield {
      name: `GetBlob of ${bytes / MIB} MiB, growth`,
      value: growth,
      unit: 'MB',
      goal: { of: 'value', atMost: 33.5 },
    };
    channel.destroy();
  },
};

/** Returns the time of a GetBlobs among 16, and that of a running cat-file for the same blobs. */
async function aboveFloor(
  channel: GrpcChannel,
  { repository, count, quick }: { repository: StoredRepository; count: number; quick: boolean },
): Promise<Measurement> {
  const chosen = spread(await filesOf(repository.path), count);
  const call = getBlobs(channel, repository, chosen);
  await using catFile = await runningCatFile(
    repository.path,
    chosen.map(({ oid }) => oid),
  );
  const calls = quick ? 200 : 1000;
  const each = (run: Call, clients: number) =>
    timed(() =>
      Promise.all(
        Array.from({ length: clients }, async () => {
          for (let done = 0; done < calls / clients; done++) await run();
        }),
      ),
    );
  const candidates = { rpc: () => each(call, CLIENTS), floor: () => each(() => catFile.read(), 1) };
  await takeTurns(1, candidates);
  const samples = await takeTurns(5, candidates);
  return {
    name: `GetBlobs, ${count} of 1 KiB, ${CLIENTS} clients`,
    value: (1000 * median(samples.rpc)) / calls,
    unit: 'us/call',
    reference: { name: 'running cat-file --batch-command', value: (1000 * median(samples.floor)) / calls },
  };
}

interface File {
  readonly oid: string;
  readonly path: string;
}

async function filesOf(path: string): Promise<File[]> {
  return (await git(path, ['ls-tree', '-r', 'main']))
    .split('\n')
    .map((line) => /^\S+ blob (\S+)\t(.*)$/.exec(line))
    .map((match) => ({ oid: match?.[1] ?? '', path: match?.[2] ?? '' }));
}

function spread(files: readonly File[], count: number): File[] {
  const step = Math.floor(files.length / count);
  return files.filter((_, index) => index % step === 0).slice(0, count);
}

function getBlobs(channel: GrpcChannel, { wire }: StoredRepository, files: readonly File[]): Call {
  const revisionPaths = files.map((file) => ({ revision: 'main', path: Buffer.from(file.path) }));
  return async () => {
    const answers = channel.invoke(callable(BlobService.method.getBlobs), [
      { repository: wire, revisionPaths, limit: -1n },
    ]);
    let count = 0;
    for await (const { oid, data } of answers) if (oid !== '' && data.length > 0) count++;
    check(count === files.length);
  };
}

async function questions(
  channel: GrpcChannel,
  repository: StoredRepository,
): Promise<{ name: string; call: Call; oids: string[] }[]> {
  const { wire } = repository;
  const files = await filesOf(repository.path);
  const all = files.map(({ oid }) => oid);
  return [
    ...LISTED.map((count) => {
      const chosen = spread(files, count);
      return {
        name: `GetBlobs, ${count} of 1 KiB`,
        oids: chosen.map(({ oid }) => oid),
        call: getBlobs(channel, repository, chosen),
      };
    }),
    {
      name: `ListBlobs, ${all.length} of 1 KiB`,
      oids: all,
      call: async () => {
        const request = { repository: wire, revisions: ['main'], bytesLimit: -1n };
        let count = 0;
        for await (const { blobs } of channel.invoke(callable(BlobService.method.listBlobs), [request]))
          count += blobs.length;
        check(count === all.length);
      },
    },
    {
      name: `ListAllBlobs, ${all.length} of 1 KiB`,
      oids: all,
      call: async () => {
        const request = { repository: wire, bytesLimit: -1n };
        let count = 0;
        for await (const { blobs } of channel.invoke(callable(BlobService.method.listAllBlobs), [request]))
          count += blobs.length;
        check(count === all.length);
      },
    },
  ];
}

interface BigBlob {
  readonly repository: StoredRepository;
  readonly server: ServerProcess;
  readonly bytes: number;
}

/** Returns the highest growth of the server's resident memory in MB. */
async function growthWhileReading(
  channel: GrpcChannel,
  { repository, server, bytes }: BigBlob,
): Promise<number> {
  const settings = ['-c', 'core.compression=0', '-c', 'pack.compression=0', '-c', 'fastimport.unpackLimit=0'];
  await git(repository.path, [...settings, 'fast-import', '--quiet'], { input: bigImport(bytes) });
  const oid = await git(repository.path, ['rev-parse', 'big:big']);
  const before = residentMb(server.pid).now;
  let peak = before;
  const look = setInterval(() => {
    peak = Math.max(peak, residentMb(server.pid).now);
  }, 10);
  let received = 0;
  const request = { repository: repository.wire, oid, limit: -1n };
  for await (const { data } of channel.invoke(callable(BlobService.method.getBlob), [request]))
    received += data.length;
  clearInterval(look);
  check(received === bytes);
  return peak - before;
}

async function* bigImport(bytes: number): AsyncGenerator<Uint8Array | string> {
  yield 'commit refs/heads/big\ncommitter Bench <bench@example.com> 1700000000 +0000\ndata 0\n';
  yield `M 100644 inline big\ndata ${bytes}\n`;
  const piece = Buffer.alloc(MIB, 'a line of a very large file of text, which is all the same\n');
  for (let sent = 0; sent < bytes; sent += MIB) yield piece;
  yield '\n';
}

function check(isRight: boolean): void {
  if (!isRight) throw new Error('a call gave another answer than expected');
}
