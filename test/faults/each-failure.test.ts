import assert from 'node:assert/strict';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, suite, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { CallError } from '#client/index';
import { openDescriptors, processesIn } from '#testkit/process-usage';
import { runGit } from '#testkit/run-git';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { type Fault, FaultyServer, makeTemplate } from './faulty-server.ts';
import { type History, OPERATIONS, type Operation, PushRefusedError, templateStream } from './operations.ts';
import { assertSound, refsOf } from './remains.ts';

/** No operation does anything so often; a loop that gets here would never end. */
const MAX_OCCASIONS = 200;
/** Nothing waits forever. */
const CALL_LIMIT_MS = 20_000;
/** Idle processes of pools live ten seconds. */
const GONE_AFTER_MS = 20_000;
const DESCRIPTORS_LEFT = 3;

/** What a client is told of a machine that fails, of somebody who refuses, and of a vote that is lost. It never is the request's fault. */
const CODES = ['INTERNAL', 'PERMISSION_DENIED', 'FAILED_PRECONDITION', 'ABORTED', 'RESOURCE_EXHAUSTED'];

const MACHINE: readonly Fault[] = ['start', 'descriptor', 'create', 'write', 'flush', 'move', 'full disk'];
const GIT: readonly Fault[] = ['git exits', 'git is killed', 'git has no space'];
const OTHERS: readonly Fault[] = ['hook refuses', 'hook is killed', 'GitLab answers 500', 'GitLab hangs up'];
const VOTES: readonly Fault[] = ['vote is lost', 'vote is not counted'];

const directory = makeScratchDirectory('template');
const template = join(directory, 'template.git');
let history: History;

before(async () => {
  await makeTemplate(template, templateStream());
  const tip = (branch: string) => runGit(['-C', template, 'rev-parse', branch]);
  const tips = { main: await tip('main'), topic: await tip('topic'), ours: await tip('ours'), theirs: await tip('theirs') };
  history = { tips, pushed: await makePush(tips.main) };
});
after(() => rmSync(directory, { recursive: true, force: true }));

/** A commit on top of `main` that only a clone has. */
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
  // What objects are made by is the same, so the kinds that hooks and quarantines add to are enough.
  ['a server with GitLab, scripts and a cluster', { hooks: true }, ['start', 'descriptor', 'move', ...OTHERS, ...VOTES]],
] as const) {
  suite(setup, () => {
    let server: FaultyServer;
    let descriptors = 0;
    before(async () => {
      server = await FaultyServer.start(options);
      for (const operation of OPERATIONS) await attempt(server, operation, false);
      descriptors = openDescriptors(server.gitaly.pid);
    });
    after(() => server[Symbol.asyncDispose]());

    for (const operation of OPERATIONS) {
      test(`${operation.name} does all or nothing, whatever fails, and leaves nothing behind`, async (context) => {
        for (const fault of faults) await failEach(context, { server, operation, fault });
      });
    }

    test('no process and no descriptor is left after all that', async () => {
      const limit = performance.now() + GONE_AFTER_MS;
      const isClean = () =>
        processesIn(server.storage).length === 0 && openDescriptors(server.gitaly.pid) <= descriptors + DESCRIPTORS_LEFT;
      while (!isClean() && performance.now() < limit) await sleep(200);
      assert.deepEqual(processesIn(server.storage), []);
      assert.ok(openDescriptors(server.gitaly.pid) <= descriptors + DESCRIPTORS_LEFT, `${openDescriptors(server.gitaly.pid)}`);
    });
  });
}

interface Run {
  readonly server: FaultyServer;
  readonly operation: Operation;
  readonly fault: Fault;
}

/** Makes the first, the second, … occasion of a fault come true, until there are no more. */
async function failEach(context: TestContext, { server, operation, fault }: Run): Promise<void> {
  const inCluster = VOTES.includes(fault);
  const oldRefs = await refsOf(template);
  const { refs: newRefs } = await attempt(server, operation, inCluster);
  const outcomes: string[] = [];
  let isChangedBefore = false;
  for (let nth = 1; ; nth++) {
    assert.ok(nth < MAX_OCCASIONS, `${fault}: no end in sight`);
    await server.arm(fault, nth);
    const run = await attempt(server, operation, inCluster).catch((error: unknown) => {
      throw new Error(`${operation.name}, ${fault} ${nth}`, { cause: error });
    });
    const { count, failed } = await server.disarm();
    const where = `${operation.name}, ${fault} ${nth} of ${count} (${failed.join('; ')}): ${describe(run.error)}`;
    assert.ok(run.refs === oldRefs || run.refs === newRefs, `neither old nor new: ${where}\n${run.refs}`);
    const isChanged = run.refs === newRefs;
    if (run.error === undefined) {
      assert.ok(isChanged, `told that it is done: ${where}`);
    } else {
      assert.ok(failed.length > 0, `nothing was made to fail: ${where}`);
      assert.ok(isSpecified(run.error), where);
      // Once a failure comes too late to keep the references, all later ones do.
      assert.ok(isChanged || !isChangedBefore, `changed earlier, and not now: ${where}`);
      isChangedBefore ||= isChanged;
    }
    await assertSound(server.storage, run.directory).catch((error: unknown) => {
      throw new Error(where, { cause: error });
    });
    outcomes.push(run.error === undefined ? 'done' : isChanged ? 'late' : 'not done');
    if (failed.length === 0) break;
  }
  const summary = Object.entries(Object.groupBy(outcomes, (outcome) => outcome)).map(([name, list]) => `${list?.length} ${name}`);
  context.diagnostic(`${fault}: ${summary.join(', ')}`);
}

interface Outcome {
  readonly directory: string;
  readonly refs: string;
  readonly error: unknown;
}

/** Runs an operation on a fresh repository. */
async function attempt(server: FaultyServer, operation: Operation, inCluster: boolean): Promise<Outcome> {
  const target = server.target(template);
  const servers = { default: { address: server.gitaly.address, token: '' } };
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
  return { directory: target.directory, refs: await refsOf(target.directory), error };
}

function isSpecified(error: unknown): boolean {
  return error instanceof PushRefusedError || (error instanceof CallError && CODES.includes(error.code));
}

function describe(error: unknown): string {
  return error instanceof CallError ? `${error.code} ${error.message}` : String(error ?? 'done');
}
