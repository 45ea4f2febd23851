import { create, type DescMessage, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { connectGrpc, type GrpcChannel } from '#rpc/common/grpc/grpc-channel';
import { callable } from '#rpc/common/grpc/grpc-method';
import { RefService } from '#wire/gen/ref_pb';
import { type Bench, median, takeTurns } from './lib/bench.ts';
import { cpuDuring } from './lib/process-usage.ts';
import { git, runProgram } from './lib/run-program.ts';

interface List {
  readonly name: string;
  readonly run: (channel: GrpcChannel) => Promise<Sample>;
  /** Format with which git prints the same fields. */
  readonly format: string;
  readonly patterns: readonly string[];
}

interface Sample {
  readonly firstMs: number;
  readonly allMs: number;
  readonly bytes: number;
}

const COMMITS = 2000;
const TO_BE_REACHED = { of: 'ratio', atMost: 1.3 } as const;
const COMMIT_FIELDS = [
  'tree',
  'parent',
  'authorname',
  'authoremail',
  'authordate:raw',
  'committername',
  'committeremail',
  'committerdate:raw',
];
const TAG_FIELDS = ['contents', 'taggername', 'taggeremail', 'taggerdate:raw', '*objectname', '*contents'];

/** Measures lists of hundreds of thousands of references, compared with git. */
export const bench: Bench = {
  name: 'ref-lists',
  question:
    'ListRefs, FindLocalBranches, FindAllTags of all references, against git for-each-ref with the ' +
    'same fields',
  async *run(workshop) {
    const count = workshop.quick ? 20_000 : 200_000;
    const { path, wire } = await workshop.repository('small');
    await git(path, ['fast-import', '--quiet', '--done'], { input: references(count) });
    await git(path, ['pack-refs', '--all']);
    await git(path, ['repack', '-adq']);
    const server = await workshop.server();
    const channel = connectGrpc(await server.connect());

    for (const { name, run, format, patterns } of listsOf(wire)) {
      await run(channel);
      const samples = await takeTurns(workshop.quick ? 3 : 5, {
        rpc: async () => {
          let sample: Sample = { firstMs: 0, allMs: 0, bytes: 0 };
          const cpu = await cpuDuring(server.pid, async () => {
            sample = await run(channel);
          });
          return { ...sample, cpuMs: cpu.ownMs };
        },
        git: async () => {
          const start = performance.now();
          await runProgram('git', ['-C', path, 'for-each-ref', `--format=${format}`, ...patterns]);
          return performance.now() - start;
        },
      });
      const middle = (key: 'firstMs' | 'allMs' | 'cpuMs'): number =>
        median(samples.rpc.map((sample) => sample[key]));
      yield {
        name,
        value: middle('allMs'),
        unit: 'ms',
        reference: { name: 'git for-each-ref', value: median(samples.git) },
        goal: TO_BE_REACHED,
        note:
          `first message after ${middle('firstMs').toFixed(0)} ms, server ` +
          `${middle('cpuMs').toFixed(0)} ms of CPU, ${((samples.rpc[0]?.bytes ?? 0) / 1e6).toFixed(0)} MB`,
      };
    }
    channel.destroy();
  },
};

function listsOf(repository: {
  readonly storageName: string;
  readonly relativePath: string;
}): readonly List[] {
  const { listRefs, findLocalBranches, findAllTags } = RefService.method;
  const patterns = [Buffer.from('refs/')];
  const names = ['refname', 'objectname'];
  return [
    {
      name: 'ListRefs',
      run: reader(listRefs, { repository, patterns }),
      format: formatOf(names),
      patterns: ['refs/'],
    },
    {
      name: 'ListRefs, tags peeled',
      run: reader(listRefs, { repository, patterns, peelTags: true }),
      format: formatOf([...names, '*objectname']),
      patterns: ['refs/'],
    },
    {
      name: 'FindLocalBranches',
      run: reader(findLocalBranches, { repository }),
      format: formatOf([...names, 'contents:subject', 'contents', ...COMMIT_FIELDS]),
      patterns: ['refs/heads/'],
    },
    {
      name: 'FindAllTags',
      run: reader(findAllTags, { repository }),
      format: formatOf([...names, ...TAG_FIELDS, ...COMMIT_FIELDS.map((field) => `*${field}`)]),
      patterns: ['refs/tags/'],
    },
  ];
}

function formatOf(fields: readonly string[]): string {
  return fields.map((field) => `%(${field})`).join('%00');
}

/**
 * Returns a function that reads a list without decoding it, because the client's work is not
 * measured.
 */
function reader<I extends DescMessage>(
  method: Parameters<typeof callable>[0] & { readonly input: I },
  request: MessageInitShape<I>,
): List['run'] {
  const bytes = toBinary(method.input, create(method.input, request));
  return async (channel) => {
    const start = performance.now();
    let firstMs = 0;
    let received = 0;
    for await (const message of channel.invokeRaw(callable(method), [bytes])) {
      if (received === 0) firstMs = performance.now() - start;
      received += message.length;
    }
    return { firstMs, allMs: performance.now() - start, bytes: received };
  };
}

/** As many branches and as many annotated tags, spread over a line of commits. */
function* chunksOf(count: number): Generator<string> {
  for (let index = 1; index <= COMMITS; index++) {
    const message = `commit number ${index}\n\n${'a line of a message of some length\n'.repeat(index % 7)}`;
    yield `commit refs/heads/line\nmark :${index}\nauthor Ann ${index % 97} ` +
      `<ann${index % 97}@example.com> ${1_500_000_000 + index * 60} +0200\n`;
    yield `committer Carl Committer <carl@example.com> ${1_500_000_100 + index * 60} -0500\n${data(message)}`;
    yield `M 100644 inline file-${index % 50}\n${data(`${index}\n`)}`;
  }
  for (let index = 0; index < count; index++) {
    // A prime step, so that neighbours in the list are strangers in the history.
    yield `reset refs/heads/branch-${String(index).padStart(6, '0')}-with-a-name\n` +
      `from :${((index * 7919) % COMMITS) + 1}\n\n`;
  }
  for (let index = 0; index < count; index++) {
    yield `tag v${Math.floor(index / 1000)}.${index % 1000}.0\nfrom :${((index * 7919) % COMMITS) + 1}\n`;
    yield `tagger Tag Ger <tag@example.com> ${1_600_000_000 + index} +0000\n` +
      `${data(`Release ${index}\n\nnotes of the release number ${index}\n`)}`;
  }
  yield 'done\n';
}

/** Yields references in larger chunks. */
async function* references(count: number): AsyncGenerator<string> {
  let piece = '';
  for (const chunk of chunksOf(count)) {
    piece += chunk;
    if (piece.length < 65_536) continue;
    yield piece;
    piece = '';
  }
  yield piece;
}

function data(text: string): string {
  return `data ${Buffer.byteLength(text)}\n${text}\n`;
}
