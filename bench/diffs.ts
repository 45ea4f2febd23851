import { connectGrpc, type GrpcChannel } from '#rpc/common/grpc/grpc-channel';
import { callable } from '#rpc/common/grpc/grpc-method';
import { DiffService } from '#wire/gen/diff_pb';
import { type Bench, type Measurement, median, takeTurns, timed } from './lib/bench.ts';
import { cpuDuring, residentMb } from './lib/process-usage.ts';
import type { StoredRepository } from './lib/repositories.ts';
import { git, runProgram } from './lib/run-program.ts';
import type { ServerProcess } from './lib/server-process.ts';
import type { Workshop } from './lib/workshop.ts';

const MIB = 1024 * 1024;
const GOAL = { of: 'ratio', atMost: 1.15 } as const;
/** git treats larger files as binary. */
const BIG_FILE_BYTES = 40 * MIB;

/** Measures the diff of a large merge, compared with git's own. */
export const bench: Bench = {
  name: 'diffs',
  question:
    'diffs of a merge of 5000 files, against git diff-tree -p; memory while a diff of 1 GiB is read ' +
    '(quick: 160 MiB)',
  async *run(workshop) {
    const repository = await workshop.repository('5k-files');
    await git(repository.path, ['fast-import', '--quiet'], {
      input: mergeImport(workshop.quick ? 500 : 5000),
    });
    const server = await workshop.server();
    const channel = connectGrpc(await server.connect());
    yield* wallTimes(workshop, { repository, server, channel });
    yield* growth(workshop, { repository, server, channel });
    channel.destroy();
  },
};

interface Parts {
  readonly repository: StoredRepository;
  readonly server: ServerProcess;
  readonly channel: GrpcChannel;
}

async function* wallTimes(
  workshop: Workshop,
  { repository, server, channel }: Parts,
): AsyncGenerator<Measurement> {
  const sides = { repository: repository.wire, leftCommitId: 'before', rightCommitId: 'merged' };
  const reference = (...flags: string[]) => {
    return () =>
      timed(() =>
        runProgram('git', ['-C', repository.path, 'diff-tree', '-r', '-p', ...flags, 'before', 'merged']),
      );
  };
  const calls = {
    RawDiff: () => drained(channel.invoke(callable(DiffService.method.rawDiff), [sides])),
    CommitDiff: () => drained(channel.invoke(callable(DiffService.method.commitDiff), [sides])),
    'CommitDiff as Rails asks': () =>
      drained(channel.invoke(callable(DiffService.method.commitDiff), [{ ...sides, ...RAILS }])),
  };
  const rounds = workshop.quick ? 3 : 9;
  for (const [name, call] of Object.entries(calls)) {
    await call();
    const first: number[] = [];
    const samples = await takeTurns(rounds, {
      rpc: () => timed(async () => first.push(await call())),
      plain: reference(),
      renames: reference('-M30%'),
    });
    const cpu = await cpuDuring(server.pid, call);
    const note =
      `first message after ${median(first).toFixed(0)} ms; server CPU ${cpu.ownMs} ms, git ` +
      `${cpu.childrenMs} ms; diff-tree -M30% ${median(samples.renames).toFixed(0)} ms`;
    yield {
      name: `${name}, merge of 5000 files`,
      value: median(samples.rpc),
      unit: 'ms',
      reference: { name: 'git diff-tree -p', value: median(samples.plain) },
      goal: GOAL,
      note,
    };
  }
}

/** Limits of GitLab's pages. */
const RAILS = {
  enforceLimits: true,
  collapseDiffs: true,
  maxFiles: 1000,
  maxLines: 50_000,
  maxBytes: 5_120_000,
  maxPatchBytes: 204_800,
  safeMaxFiles: 100,
  safeMaxLines: 5000,
  safeMaxBytes: 512_000,
};

/** Reads everything and returns the milliseconds until the first message. */
async function drained(messages: AsyncIterable<unknown>): Promise<number> {
  const startedAt = performance.now();
  let first = 0;
  for await (const _ of messages) first ||= performance.now() - startedAt;
  return first;
}

/** Yields the highest growth of the server's resident memory in MB. */
async function* growth(
  workshop: Workshop,
  { repository, server, channel }: Parts,
): AsyncGenerator<Measurement> {
  const files = workshop.quick ? 4 : 26;
  const settings = ['-c', 'core.compression=0', '-c', 'pack.compression=0', '-c', 'fastimport.unpackLimit=0'];
  await git(repository.path, [...settings, 'fast-import', '--quiet'], { input: bigImport(files) });
  const before = residentMb(server.pid).now;
  let peak = before;
  const look = setInterval(() => {
    peak = Math.max(peak, residentMb(server.pid).now);
  }, 10);
  const request = { repository: repository.wire, leftCommitId: 'main', rightCommitId: 'big' };
  let received = 0;
  for await (const { data } of channel.invoke(callable(DiffService.method.rawDiff), [request]))
    received += data.length;
  clearInterval(look);
  if (received < files * BIG_FILE_BYTES) throw new Error('the diff is shorter than its files');
  yield {
    name: `RawDiff of ${Math.round(received / MIB)} MiB, growth`,
    value: peak - before,
    unit: 'MB',
    goal: { of: 'value', atMost: 33.5 },
  };
}

/**
 * Yields a history: branch `before` has files of 200 lines; a branch changes a few lines of each,
 * adds some files and moves one; `merged` merges it.
 */
async function* mergeImport(files: number): AsyncGenerator<string> {
  const commit = (name: string, mark: number) =>
    `commit refs/heads/${name}\nmark :${mark}\ncommitter Bench <bench@example.com> 1700001000 +0000\n` +
    'data 0\n';
  yield `${commit('before', 1)}from refs/heads/main^0\n`;
  for (let file = 0; file < files; file++) yield `M 100644 inline ${pathOf(file)}\n${data(textOf(file, 0))}`;
  yield `${commit('work', 2)}from :1\n`;
  for (let file = 0; file < files; file++) {
    const path = file % 10 === 0 ? `added/${file % 97}/${file}` : pathOf(file);
    yield `M 100644 inline ${path}\n${data(textOf(file, 3))}`;
  }
  yield `R ${pathOf(1)} moved/1\n`;
  yield `${commit('merged', 3)}from :2\nmerge :1\n`;
}

function pathOf(file: number): string {
  return `source/${Math.floor(file / 50)}/${file}.txt`;
}

/** Returns 200 lines with a given number of changes. */
function textOf(file: number, changes: number): string {
  const line = (index: number) => `line ${(file * 31 + index * index) % 9973} of a file of text\n`;
  const changed = (index: number) => index % 61 === 7 && Math.floor(index / 61) < changes;
  return Array.from({ length: 200 }, (_, index) =>
    changed(index) ? `changed ${line(index)}` : line(index),
  ).join('');
}

async function* bigImport(files: number): AsyncGenerator<Uint8Array | string> {
  yield 'commit refs/heads/big\ncommitter Bench <bench@example.com> 1700000000 +0000\ndata 0\n' +
    'from refs/heads/main^0\n';
  const piece = Buffer.alloc(
    MIB,
    'a line of a large file of text, which is all the same and never ends soon\n',
  );
  for (let file = 0; file < files; file++) {
    yield `M 100644 inline big/${file}\ndata ${BIG_FILE_BYTES}\n`;
    for (let sent = 0; sent < BIG_FILE_BYTES; sent += MIB) yield piece;
    yield '\n';
  }
}

function data(text: string): string {
  return `data ${Buffer.byteLength(text)}\n${text}\n`;
}
