import { connectGrpc, type GrpcChannel } from '#rpc/common/grpc-channel';
import { callable } from '#rpc/common/grpc-method';
import { BlobService } from '#wire/gen/blob_pb';
import { type Bench, median, takeTurns, timed } from './lib/bench.ts';
import { cpuDuring, residentMb } from './lib/process-usage.ts';
import { git, runProgram } from './lib/run-program.ts';
import type { ServerProcess } from './lib/server-process.ts';
import type { StoredRepository } from './lib/workshop.ts';

const MIB = 1024 * 1024;
/** What a page of Rails asks for at once. */
const LISTED = 50;
const CPU_CALLS = 20;

type Call = () => Promise<void>;

/** How long do lists of blobs take, beside one `git cat-file --batch` that is fed the same objects? */
export const bench: Bench = {
  name: 'blobs',
  question: 'lists of blobs, against one git cat-file --batch; memory while a blob of 1 GiB is read (quick: 256 MiB)',
  async *run(workshop) {
    const repository = await workshop.repository('5k-files');
    const server = await workshop.server();
    const channel = connectGrpc(await server.connect());
    for (const { name, call, oids } of await questions(channel, repository)) {
      const reference = (): Promise<Buffer> => {
        return runProgram('git', ['-C', repository.path, 'cat-file', '--batch', '--buffer'], { input: `${oids.join('\n')}\n` });
      };
      for (let warm = 0; warm < 20; warm++) await call();
      const rounds = Math.ceil((workshop.quick ? 10_000 : 100_000) / oids.length / 2);
      const samples = await takeTurns(Math.min(rounds, 200), { rpc: () => timed(call), git: () => timed(reference) });
      const cpu = await cpuDuring(server.pid, async () => {
        for (let round = 0; round < CPU_CALLS; round++) await call();
      });
      yield {
        name,
        value: median(samples.rpc),
        unit: 'ms',
        reference: { name: 'git cat-file --batch', value: median(samples.git) },
        goal: { of: 'ratio', atMost: 1.3 },
        note: `server CPU ${(cpu.ownMs / CPU_CALLS).toFixed(1)} ms a call, git ${(cpu.childrenMs / CPU_CALLS).toFixed(1)} ms`,
      };
    }

    const bytes = (workshop.quick ? 256 : 1024) * MIB;
    const growth = await growthWhileReading(channel, { repository, server, bytes });
    yield { name: `GetBlob of ${bytes / MIB} MiB, growth`, value: growth, unit: 'MB', goal: { of: 'value', atMost: 33.5 } };
    channel.destroy();
  },
};

async function questions(
  channel: GrpcChannel,
  { path, wire }: StoredRepository,
): Promise<{ name: string; call: Call; oids: string[] }[]> {
  const listed = (await git(path, ['ls-tree', '-r', 'main'])).split('\n').map((line) => /^\S+ blob (\S+)\t(.*)$/.exec(line));
  const files = listed.map((match) => ({ oid: match?.[1] ?? '', path: match?.[2] ?? '' }));
  const step = Math.floor(files.length / LISTED);
  const chosen = files.filter((_, index) => index % step === 0).slice(0, LISTED);
  const revisionPaths = chosen.map((file) => ({ revision: 'main', path: Buffer.from(file.path) }));
  const all = files.map(({ oid }) => oid);
  return [
    {
      name: `GetBlobs, ${LISTED} of 1 KiB`,
      oids: chosen.map(({ oid }) => oid),
      call: async () => {
        const answers = channel.invoke(callable(BlobService.method.getBlobs), [{ repository: wire, revisionPaths, limit: -1n }]);
        let count = 0;
        for await (const { oid, data } of answers) if (oid !== '' && data.length > 0) count++;
        check(count === LISTED);
      },
    },
    {
      name: `ListBlobs, ${all.length} of 1 KiB`,
      oids: all,
      call: async () => {
        const request = { repository: wire, revisions: ['main'], bytesLimit: -1n };
        let count = 0;
        for await (const { blobs } of channel.invoke(callable(BlobService.method.listBlobs), [request])) count += blobs.length;
        check(count === all.length);
      },
    },
    {
      name: `ListAllBlobs, ${all.length} of 1 KiB`,
      oids: all,
      call: async () => {
        const request = { repository: wire, bytesLimit: -1n };
        let count = 0;
        for await (const { blobs } of channel.invoke(callable(BlobService.method.listAllBlobs), [request])) count += blobs.length;
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

/** MB that the server's resident memory was at most larger than before.. */
async function growthWhileReading(channel: GrpcChannel, { repository, server, bytes }: BigBlob): Promise<number> {
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
  for await (const { data } of channel.invoke(callable(BlobService.method.getBlob), [request])) received += data.length;
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
