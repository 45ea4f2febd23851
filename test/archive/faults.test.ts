import assert from 'node:assert/strict';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { commitFiles } from '#client/index';
import { type HttpFault, startHttpFaultProxy } from '#testkit/faults/http-fault-proxy';
import { seededRandom } from '#testkit/repositories/random-history';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { startS3Server } from '#testkit/servers/start-s3-server';
import { repetitions } from '#testkit/soak';
import { testSeed } from '#testkit/test-seed';
import { until } from '#testkit/until';
import { USER } from '#testkit/user';
import { type ArchivedServer, startArchived } from './archived-server.ts';
import { checkEqual, checkWhole } from './check-archive.ts';
import { createKept, RandomChanges, repositoriesIn } from './random-changes.ts';
import { stateOf } from './repository-state.ts';

const server = await startS3Server();
const directory = makeScratchDirectory('arf');
after(async () => {
  await server?.[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});
const skip = server === undefined && 'Go is not installed';
const { signal } = new AbortController();
const seed = testSeed('ARCHIVE_SEED');
/** Time of faults under writes, and the least number of changes in it. */
const FAULT_SECONDS = repetitions('ARCHIVE_FAULT_SECONDS', { short: 0, long: 120 });
const MIN_CHANGES = 60;
const FAULT_SHARE = 0.25;
/** Share of the faults with which a time begins in which the bucket is down. */
const DOWN_SHARE = 0.05;
const MAX_DOWN_MS = 1500;
/** Longer than the time in which changes are joined. */
const APART_MS = 1500;
const repository = { storageName: 'default', relativePath: 'a.git', glRepository: 'project-1' };

const errorOf = (code: string): string => `<Error><Code>${code}</Code><Message>a fault</Message></Error>`;
const BUSY: HttpFault = { status: 503, body: errorOf('SlowDown') };
const FAULTS: Readonly<Record<string, HttpFault>> = {
  503: BUSY,
  500: { status: 500, body: errorOf('InternalError') },
  409: { status: 409, body: errorOf('ConditionalRequestConflict') },
  412: { status: 412, body: errorOf('PreconditionFailed') },
  slow: { delayMs: 400 },
  // The request was executed.
  'lost reply': { cutAfterBytes: 0 },
  'cut upload': { cutUploadAfterBytes: 100 },
};
const DOWN: HttpFault = { cutUploadAfterBytes: 0 };

/** Chooses faults for requests, and counts them by kind. */
class RandomFaults {
  readonly made = new Map<string, number>();
  isOn = false;
  readonly #random: () => number;
  #downUntilMs = 0;

  constructor(random: () => number) {
    this.#random = random;
  }

  get count(): number {
    return [...this.made.values()].reduce((sum, count) => sum + count, 0);
  }

  next(): HttpFault | undefined {
    if (!this.isOn) return undefined;
    if (performance.now() < this.#downUntilMs) return this.#counted('down', DOWN);
    if (this.#random() >= FAULT_SHARE) return undefined;
    if (this.#random() < DOWN_SHARE) {
      this.#downUntilMs = performance.now() + this.#random() * MAX_DOWN_MS;
      return this.#counted('down', DOWN);
    }
    const kinds = Object.entries(FAULTS);
    const [name, fault] = kinds[Math.floor(this.#random() * kinds.length)] ?? [];
    return this.#counted(name ?? '', fault);
  }

  #counted(name: string, fault: HttpFault | undefined): HttpFault | undefined {
    this.made.set(name, (this.made.get(name) ?? 0) + 1);
    return fault;
  }
}

interface Faulty extends AsyncDisposable {
  readonly archived: ArchivedServer;
  readonly requests: readonly string[];
}

/** Starts a server whose archive is an S3 bucket behind a proxy with faults. */
async function startFaulty(name: string, faultOf: (line: string) => HttpFault | undefined): Promise<Faulty> {
  await using stack = new AsyncDisposableStack();
  const proxy = stack.use(await startHttpFaultProxy(server?.port ?? 0, faultOf));
  const url = new URL((await server?.createBucket()) ?? '');
  url.searchParams.set('endpoint', `http://127.0.0.1:${proxy.port}`);
  const place = join(directory, name);
  mkdirSync(place);
  const archived = stack.use(await startArchived({ directory: place, url: url.href }));
  const kept = stack.move();
  return { archived, requests: proxy.requests, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

async function commit({ connection }: ArchivedServer, path: string): Promise<void> {
  const fields = {
    repository,
    user: USER,
    branchName: Buffer.from('main'),
    commitMessage: Buffer.from(path),
  };
  await commitFiles(connection, fields, [{ type: 'create', path, content: path }]);
}

test('a bucket with faults of all kinds delays the archive, and changes nothing in it', {
  skip,
}, async (context) => {
  context.diagnostic(`ARCHIVE_SEED=${seed}`);
  const random = seededRandom(seed);
  // Its order depends on the requests, so it does not take from the choices of the changes.
  const faults = new RandomFaults(seededRandom(seed + 1));
  await using faulty = await startFaulty('a', () => faults.next());
  const { archived, requests } = faulty;
  const { connection, server: gitaly, storage } = archived;
  const address = gitaly.addresses.unix ?? '';
  const changes = new RandomChanges({ connection, address, random, objectFormat: 'sha1' });
  await createKept(connection);

  faults.isOn = true;
  const endMs = performance.now() + FAULT_SECONDS * 1000;
  for (let count = 0; count < MIN_CHANGES || performance.now() < endMs; count++) await changes.next();
  // An archive without changes sends few requests, to which faults may happen.
  const changeUntilFaults = async (): Promise<boolean> => {
    await changes.next();
    return faults.count >= MIN_CHANGES / 20;
  };
  await until(changeUntilFaults, 'the faults');
  faults.isOn = false;

  await checkEqual(archived);
  const repositories = await checkWhole(archived);
  const made = JSON.stringify(Object.fromEntries(faults.made));
  context.diagnostic(`${requests.length} requests, faults ${made}, ${repositories} repositories`);
  context.diagnostic(`changes ${JSON.stringify(Object.fromEntries(changes.made))}`);
  assert.ok(repositoriesIn(storage).length > 0);
});

test('a bucket that is down costs no write, and earlier states of that time can be restored', {
  skip,
}, async () => {
  let isDown = false;
  await using faulty = await startFaulty('b', () => (isDown ? BUSY : undefined));
  const { archived } = faulty;
  const { archive, connection, storage } = archived;
  await connection.repository.createRepository({ repository });
  await commit(archived, 'before');
  await archive.settle('default');

  isDown = true;
  const moments: { readonly timeMs: number; readonly state: object }[] = [];
  for (const path of ['one', 'two', 'three']) {
    await commit(archived, path);
    await until(() => (archive.status('default')[0]?.behindMs ?? 0) > APART_MS * (moments.length + 1));
    moments.push({ timeMs: Date.now(), state: stateOf(join(storage, 'a.git')) });
  }
  const [down] = archive.status('default');
  assert.ok((down?.behindMs ?? 0) > 2 * APART_MS);
  await until(() => archive.status('default')[0]?.problem !== '');
  isDown = false;
  await archive.settle('default');
  const [up] = archive.status('default');
  assert.deepEqual([up?.behindMs, up?.problem], [0, '']);

  for (const { state, timeMs } of moments) {
    const request = { at: { timeMs }, to: 'past.git', replaces: true, signal };
    await archive.restore({ storage: 'default', path: 'a.git' }, request);
    assert.deepEqual(stateOf(join(storage, 'past.git')), state);
  }
});

test('small changes cost about one request each, and an idle archive none but its lease', {
  skip,
}, async () => {
  await using faulty = await startFaulty('c', () => undefined);
  const { archived, requests } = faulty;
  await archived.connection.repository.createRepository({ repository });
  await commit(archived, 'first');
  await archived.archive.settle('default');
  const before = requests.length;
  const PUSHES = 8;
  for (let number = 0; number < PUSHES; number++) {
    await commit(archived, `n${number}`);
    await archived.archive.settle('default');
  }

  const made = requests.slice(before).filter((line) => !line.includes('nodes/'));
  assert.ok(made.length <= 1.2 * PUSHES, `${made.length} requests: ${made.join(', ')}`);
  const idle = requests.length;
  await archived.archive.settle('default');
  assert.deepEqual(
    requests.slice(idle).filter((line) => !line.includes('nodes/')),
    [],
  );
});

test('a server that starts while the bucket is down archives once it is back', { skip }, async () => {
  let isDown = true;
  const starting = startFaulty('d', () => (isDown ? BUSY : undefined));
  await using faulty = await starting;
  const { archived } = faulty;
  await archived.connection.repository.createRepository({ repository });
  await commit(archived, 'while down');
  assert.equal(archived.archive.status('default')[0]?.state, 'waiting');
  isDown = false;
  await until(() => archived.archive.status('default')[0]?.state === 'live');
  await archived.archive.settle('default');
  await checkEqual(archived);
});
