import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, suite, type TestContext, test } from 'node:test';
import { CallError } from '#client/index';
import { openDescriptors, processesIn } from '#testkit/measure/process-usage';
import { seededRandom } from '#testkit/repositories/random-history';
import { runGit } from '#testkit/repositories/run-git';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { extent } from '#testkit/soak';
import { testSeed } from '#testkit/test-seed';
import { until } from '#testkit/until';
import { assertSound, refsOf } from './case-suite.ts';
import { type Fault, FaultyServer, makeTemplate } from './faulty-server.ts';
import { type History, OPERATIONS, type Operation, PushRefusedError, templateStream } from './operations.ts';

/** Limit of occasions; no operation reaches it, but an endless loop would. */
const MAX_OCCASIONS = 200;
/** The first occasion of a fault fails, then the seed chooses one of this number, and so on. */
const STRIDE = extent('FAILURE_STRIDE', { short: 84, long: 1 });
/** One of this number of pairs of an operation and a kind of failure is tried. */
const PAIRS = extent('FAILURE_PAIRS', { short: 4, long: 1 });
const seed = testSeed();
const random = seededRandom(seed);
/** Time limit of a call. */
const CALL_LIMIT_MS = 20_000;
/** Idle processes of pools live ten seconds. */
const GONE_AFTER_MS = 20_000;
const DESCRIPTORS_LEFT = 3;

/** Codes for a failing machine, a refusal and a lost vote; none of them blames the request. */
const CODES = ['INTERNAL', 'PERMISSION_DENIED', 'FAILED_PRECONDITION', 'ABORTED', 'RESOURCE_EXHAUSTED'];

const MACHINE: readonly Fault[] = ['start', 'descriptor', 'create', 'write', 'flush', 'move', 'full disk'];
const GIT: readonly Fault[] = ['git exits', 'git is killed', 'git has no space'];
const OTHERS: readonly Fault[] = ['hook refuses', 'hook is killed', 'GitLab answers 500', 'GitLab hangs up'];
const VOTES: readonly Fault[] = ['vote is lost', 'vote is not counted'];
/**
 * Faults whose n-th occasion is another one in each run: a file that was just written is opened
 * again at each use, until its time stamps are old enough for its contents to be cached.
 */
const UNORDERED: readonly Fault[] = ['descriptor'];

const directory = makeScratchDirectory('template');
const template = join(directory, 'template.git');
/** The same in few files, for operations that copy all of them: each file is several occasions. */
const packed = join(directory, 'packed.git');
let history: History;
let oldRefs: string;

before(async () => {
  await makeTemplate(template, templateStream());
  const tip = (branch: string) => runGit(['-C', template, 'rev-parse', branch]);
  const tips = {
    main: await tip('main'),
    topic: await tip('topic'),
    ours: await tip('ours'),
    theirs: await tip('theirs'),
  };
  await runGit(['clone', '--quiet', '--mirror', template, packed]);
  await runGit(['-C', packed, '-c', 'repack.writeBitmaps=false', 'repack', '-adq']);
  await runGit(['-C', packed, 'pack-refs', '--all']);
  const bundle = join(directory, 'bundle');
  await runGit(['-C', template, 'bundle', 'create', '--quiet', bundle, '--all']);
  oldRefs = await refsOf(template);
  history = { tips, pushed: await makePush(tips.main), bundle: readFileSync(bundle) };
});
after(() => rmSync(directory, { recursive: true, force: true }));

/** Returns a commit on top of `main` that exists only in a clone. */
async function makePush(main: string): Promise<History['pushed']> {
  const clone = join(directory, 'clone');
  await runGit(['clone', '--quiet', template, clone]);
  const dates = { GIT_AUTHOR_DATE: '1650000000 +0000', GIT_COMMITTER_DATE: '1650000000 +0000' };
  await runGit(['-C', clone, 'commit', '--quiet', '--allow-empty', '-m', 'pushed'], { env: dates });
  const oid = await runGit(['-C', clone, 'rev-parse', 'HEAD']);
  const name = await runGit(['-C', clone, 'pack-objects', '--revs', '-q', join(directory, 'push')], {
    input: `${oid}\n^${main}\n`,
  });
  return { oid, pack: readFileSync(join(directory, `push-${name}.pack`)) };
}

for (const [setup, options, faults] of [
  ['a server by itself', { hooks: false }, [...MACHINE, ...GIT]],
  // Objects are created in the same way, so the kinds that hooks and quarantines add are enough.
  [
    'a server with GitLab, scripts and a cluster',
    { hooks: true },
    ['start', 'descriptor', 'move', ...OTHERS, ...VOTES],
  ],
] as const) {
  suite(setup, () => {
    let server: FaultyServer;
    let descriptors = 0;
    /** References after each operation without a failure, by its name. */
    const expected = new Map<string, string>();
    /** Number of failures that were injected, by kind and by operation. */
    const injected = new Map<string, number>();
    before(async () => {
      server = await FaultyServer.start(options);
      for (const operation of OPERATIONS)
        expected.set(operation.name, (await attempt(server, operation, false)).refs);
      descriptors = openDescriptors(server.gitaly.pid);
    });
    after(() => server[Symbol.asyncDispose]());

    for (const [index, operation] of OPERATIONS.entries()) {
      test(`${operation.name} is atomic whatever fails, and leaves nothing behind`, async (context) => {
        // Each operation has other failures than the next one, so that all have some.
        for (const fault of faults.filter((_, at) => (index + at + seed) % PAIRS === 0)) {
          const newRefs = expected.get(operation.name) ?? '';
          const count = await failEach(context, { server, operation, fault, newRefs });
          for (const name of [fault, operation.name]) injected.set(name, (injected.get(name) ?? 0) + count);
        }
      });
    }

    test('every kind of failure was injected, and into every operation', () => {
      const names: readonly string[] = [...faults, ...OPERATIONS.map(({ name }) => name)];
      assert.deepEqual(
        names.filter((name) => !injected.get(name)),
        [],
      );
    });

    test('no process and no descriptor is left afterwards', async () => {
      const isClean = () =>
        processesIn(server.storage).length === 0 &&
        processesIn(server.secondStorage).length === 0 &&
        openDescriptors(server.gitaly.pid) <= descriptors + DESCRIPTORS_LEFT;
      await until(isClean, 'clean', GONE_AFTER_MS).catch(() => {}); // named below
      assert.deepEqual(processesIn(server.storage), []);
      assert.ok(
        openDescriptors(server.gitaly.pid) <= descriptors + DESCRIPTORS_LEFT,
        `${openDescriptors(server.gitaly.pid)}`,
      );
    });
  });
}

interface Run {
  readonly server: FaultyServer;
  readonly operation: Operation;
  readonly fault: Fault;
  /** References after the operation without a failure. */
  readonly newRefs: string;
}

/**
 * Lets the first, the second, … occasion of a fault fail, until there are no more. @returns how
 * many failed.
 */
async function failEach(context: TestContext, { server, operation, fault, newRefs }: Run): Promise<number> {
  const inCluster = VOTES.includes(fault);
  const before = operation.copiesTo === undefined ? oldRefs : NO_REPOSITORY;
  const outcomes: string[] = [];
  let isChangedBefore = false;
  for (let nth = 1; ; nth += 1 + Math.floor(random() * STRIDE)) {
    assert.ok(nth < MAX_OCCASIONS, `${fault}: no end in sight`);
    await server.arm(fault, nth);
    const run = await attempt(server, operation, inCluster).catch((error: unknown) => {
      throw new Error(`${operation.name}, ${fault} ${nth}`, { cause: error });
    });
    const { count, failed } = await server.disarm();
    const where =
      `${operation.name}, ${fault} ${nth} of ${count} (${failed.join('; ')}): ` + `${describe(run.error)}`;
    assert.ok(run.refs === before || run.refs === newRefs, `neither old nor new: ${where}\n${run.refs}`);
    const isChanged = run.refs === newRefs;
    if (run.error === undefined) {
      assert.ok(isChanged, `told that it is done: ${where}`);
    } else {
      assert.ok(failed.length > 0, `nothing was made to fail: ${where}`);
      assert.ok(isSpecified(run.error), where);
      // If a failure comes too late to keep the references, all later failures do too.
      const isOrdered = !UNORDERED.includes(fault);
      assert.ok(isChanged || !isChangedBefore || !isOrdered, `changed earlier, and not now: ${where}`);
      isChangedBefore ||= isChanged;
    }
    for (const [storage, place] of run.places) {
      await assertSound(storage, place).catch((error: unknown) => {
        throw new Error(where, { cause: error });
      });
    }
    outcomes.push(run.error === undefined ? 'done' : isChanged ? 'late' : 'not done');
    if (failed.length === 0) break;
  }
  const summary = Object.entries(Object.groupBy(outcomes, (outcome) => outcome)).map(
    ([name, list]) => `${list?.length} ${name}`,
  );
  context.diagnostic(`${fault}: ${summary.join(', ')}`);
  return outcomes.length - 1; // nothing failed in the last run
}

/** References of a repository that does not exist. */
const NO_REPOSITORY = 'no repository';

interface Outcome {
  /** Storages, each with a repository in it. */
  readonly places: readonly (readonly [string, string])[];
  readonly refs: string;
  readonly error: unknown;
}

/** Runs an operation on a new repository. */
async function attempt(server: FaultyServer, operation: Operation, inCluster: boolean): Promise<Outcome> {
  const target = server.target(operation.copiesTo === undefined ? template : packed);
  const { address } = server.gitaly;
  const servers = { default: { address, token: '' }, second: { address, token: '' } };
  const metadata = {
    'gitaly-servers': Buffer.from(JSON.stringify(servers)).toString('base64'),
    ...(inCluster && server.voting.metadata()),
  };
  const connection = inCluster ? server.voting.connection : server.connection;
  const call = { connection, target, history, options: { metadata, timeoutMs: CALL_LIMIT_MS } };
  const error = await operation.run(call).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  const { copiesTo } = operation;
  const original = [server.storage, target.directory] as const;
  if (copiesTo === undefined) return { places: [original], refs: await refsOf(target.directory), error };
  const { directory: copy } = target.copyIn(copiesTo);
  if (!existsSync(copy)) return { places: [original], refs: NO_REPOSITORY, error };
  const storage = copiesTo === 'default' ? server.storage : server.secondStorage;
  return { places: [original, [storage, copy]], refs: await refsOf(copy), error };
}

function isSpecified(error: unknown): boolean {
  return error instanceof PushRefusedError || (error instanceof CallError && CODES.includes(error.code));
}

function describe(error: unknown): string {
  return error instanceof CallError ? `${error.code} ${error.message}` : String(error ?? 'done');
}
