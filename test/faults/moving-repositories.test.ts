import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { systemErrorCode } from '#base/go/system-error';
import { shuffled } from '#base/shuffled';
import { seededRandom } from '#testkit/repositories/random-history';
import { startGitalyProcess } from '#testkit/servers/start-gitaly-process';
import { startTimeServer } from '#testkit/servers/time-server';
import { repetitions } from '#testkit/soak';
import { testSeed } from '#testkit/test-seed';
import { type MethodInfo, methodInfo } from '#wire/method-info';
import { servedByGitaly } from '#wire/methods';
import { Caller } from '../hostile-fields/caller.ts';
import { validCall } from '../hostile-fields/plan.ts';
import { Sandbox } from '../hostile-fields/sandbox.ts';
import { SHARED, WITHOUT_VALID_REQUEST } from '../hostile-fields/seeds.ts';
import { startWebServer } from '../hostile-fields/web-server.ts';

const SECONDS = repetitions('MOVING_SECONDS', { short: 3, long: 60 });
/** Repositories that come and go while they are read, and those that are changed meanwhile. */
const READ_TARGETS = 2;
const CHANGED_TARGETS = 3;
/** Concurrent reads per repository. */
const READS = 4;
/** A repository is left in place for at most so long. */
const MAX_REST_MS = 60;
/** Codes of calls that failed without a reason that their clients can act on. */
const WITHOUT_REASON = /^(?:INTERNAL|UNKNOWN|DATA_LOSS)$/;
/** Calls that create a repository without the objects that the other calls name. */
const MAKES_ANOTHER = /^(?:Create(?!RepositoryFromBundle)|Replicate|Restore)/;
/** Another call creates the repository: Gitaly's code and words. */
const OTHER_CREATES = /: locking repository: file already locked$/;

const METHODS = servedByGitaly
  .flatMap(({ methods }) => methods.map(methodInfo))
  .filter(
    ({ name, path, scope }) => scope === 'repository' && !isExcluded(path) && !MAKES_ANOTHER.test(name),
  );
const READING = METHODS.filter(({ operation }) => operation === 'accessor');
const CHANGING = METHODS.filter(({ operation }) => operation !== 'accessor');
const REMOVE = methodNamed('RemoveRepository');
const RENAME = methodNamed('RenameRepository');

test('calls on a repository that is moved, removed or created meanwhile fail with a reason', async (t) => {
  const timeServer = await startTimeServer();
  let root = '';
  const web = await startWebServer(() => root);
  using sandbox = new Sandbox({ timeServer: timeServer.address, web: web.url });
  root = sandbox.web;
  const { directory, home, workingDirectory } = sandbox;
  await using gitaly = await startGitalyProcess({ directory, workingDirectory, env: { HOME: home } });
  await using caller = await Caller.connect(gitaly.address, join(directory, 'sockets'));
  sandbox.copyTarget(SHARED);
  mkdirSync(join(sandbox.storage, 'moving'));
  const random = seededRandom(testSeed('MOVING_SEED'));
  const deadline = performance.now() + SECONDS * 1000;
  const isOver = (): boolean => performance.now() > deadline;

  const counts = new Map<string, number>();
  const unexplained = new Map<string, number>();
  const note = (method: MethodInfo, code: string, message: string): void => {
    counts.set(code, (counts.get(code) ?? 0) + 1);
    if (!WITHOUT_REASON.test(code) || OTHER_CREATES.test(message)) return;
    const line = `${method.path}: ${code} ${message}`;
    unexplained.set(line, (unexplained.get(line) ?? 0) + 1);
  };
  const place = (kind: string) => (_: unknown, index: number) =>
    new Place(sandbox, `moving/${kind}${index}.git`);
  const read = Array.from({ length: READ_TARGETS }, place('read'));
  const changed = Array.from({ length: CHANGED_TARGETS }, place('changed'));
  const callAll = async (target: Place, methods: readonly MethodInfo[]): Promise<void> => {
    while (!isOver())
      for (const method of shuffled(methods, random)) {
        if (isOver()) return;
        // What one call changes may be what the next one needs: each has a repository of its own.
        if (methods === CHANGING) await target.next();
        const { code, message } = await caller.call(validCall(method, sandbox, target.path), 'moving');
        note(method, code, message);
      }
  };
  const callers = [
    ...read.flatMap((target) => Array.from({ length: READS }, () => callAll(target, READING))),
    ...changed.map((target) => callAll(target, CHANGING)),
  ];
  const movers = [...read, ...changed].map(async (target) => {
    while (!isOver()) {
      target.fill();
      await setTimeout(random() * MAX_REST_MS);
      const method = random() < 0.5 ? REMOVE : RENAME;
      const { code, message } = await caller.call(validCall(method, sandbox, target.path), 'moving');
      note(method, code, message);
    }
    target.end();
  });
  await Promise.all([...callers, ...movers]);
  await timeServer[Symbol.asyncDispose]();
  await web[Symbol.asyncDispose]();

  t.diagnostic(JSON.stringify(Object.fromEntries(counts)));
  assert.ok((counts.get('OK') ?? 0) > 0 && (counts.get('NOT_FOUND') ?? 0) > 0, 'calls met both states');
  // ApplyGitattributes must not create a part of a repository that was removed.
  const remains = readdirSync(join(sandbox.storage, 'moving'));
  assert.deepEqual(
    remains.filter(
      (name) =>
        isRest(join(sandbox.storage, 'moving', name)) &&
        existsSync(join(sandbox.storage, 'moving', name, 'info')),
    ),
    [],
  );
  assert.doesNotMatch(gitaly.log(), /grpc panic|uncaught exception/);
  assert.deepEqual([...unexplained].map(([line, count]) => `${count} × ${line}`).sort(), []);
});

/** A path with one repository after another. */
class Place {
  readonly path: string;
  readonly #sandbox: Sandbox;
  #filled = Promise.withResolvers<void>();

  constructor(sandbox: Sandbox, path: string) {
    this.#sandbox = sandbox;
    this.path = path;
  }

  /** Waits for a repository that is put in place from now on, or for the end. */
  async next(): Promise<void> {
    await this.#filled.promise;
  }

  /** Puts a complete copy of the repository at the path at once, if nothing is there. */
  fill(): void {
    const sandbox = this.#sandbox;
    const path = join(sandbox.storage, this.path);
    sandbox.remove(`${this.path}-renamed.git`);
    // git creates missing parents of a reference that it locks.
    if (isRest(path)) sandbox.remove(this.path);
    if (existsSync(path)) return;
    sandbox.copyTarget('moving/next');
    try {
      renameSync(join(sandbox.storage, 'moving/next'), path);
    } catch (error) {
      // A call has created a part of the repository meanwhile. The next time removes it.
      if (systemErrorCode(error) !== 'ENOTEMPTY') throw error;
      return;
    }
    this.end();
  }

  /** Lets those go on that wait. */
  end(): void {
    this.#filled.resolve();
    this.#filled = Promise.withResolvers();
  }
}

/** Reports whether there is a directory, but no repository. */
function isRest(path: string): boolean {
  return existsSync(path) && !existsSync(join(path, 'objects'));
}

function isExcluded(path: string): boolean {
  return WITHOUT_VALID_REQUEST.some((each) => each.path.test(path));
}

function methodNamed(name: string): MethodInfo {
  const method = METHODS.find((each) => each.name === name);
  assert.ok(method !== undefined);
  return method;
}
