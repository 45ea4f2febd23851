import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { codeOf } from '#base/gitaly-error';
import { commitFiles } from '#client/index';
import { gitOutput } from '#testkit/repositories/init-repository';
import { isSoak } from '#testkit/soak';
import { startCluster, type TestCluster } from '#testkit/start-cluster';
import { startGitaly } from '#testkit/start-gitaly';
import { testSeed } from '#testkit/test-seed';
import { until } from '#testkit/until';
import { choicesOf } from './choices.ts';
import { FaultyLink } from './faulty-link.ts';

const NODES = 3;
const repository = { storageName: 'default', relativePath: 'x.git' };
const user = { glId: 'user-1', name: Buffer.from('Jane'), email: Buffer.from('jane@example.com') };
/** More than any write needs. */
const MAX_MESSAGES = 60;
/** Time for which messages are lost, or a node is away. */
const FAULT_MS = 700;
const CALL_LIMIT_MS = 20_000;
const RECOVERY_MS = 60_000;
const SHORT_ROUNDS = 6;

/** Faults at a message of a node to praefect. They are over after some time. */
const FAULTS = {
  'the connection ends': (link: FaultyLink) => link.cut(),
  'it and those after it are lost': (link: FaultyLink) => {
    link.state = 'dropped';
  },
  'the node is gone': (link: FaultyLink) => {
    link.state = 'closed';
  },
} as const;

interface Setting extends AsyncDisposable {
  readonly cluster: TestCluster;
  readonly links: readonly FaultyLink[];
  /** Value of a branch on each node; empty if there is none. */
  valuesOf(branch: string): string[];
}

/** Starts a praefect whose connections to its nodes can be disturbed. */
async function start(): Promise<Setting> {
  await using building = new AsyncDisposableStack();
  const [nodes, links] = [[] as Awaited<ReturnType<typeof startGitaly>>[], [] as FaultyLink[]];
  for (let number = 1; number <= NODES; number++) {
    const node = building.use(await startGitaly({ storages: [`gitaly-${number}`] }));
    nodes.push(node);
    links.push(building.use(await FaultyLink.start(node.address.slice('unix:'.length))));
  }
  const node = links.map(({ address }, index) => ({ storage: `gitaly-${index + 1}`, address }));
  const config = { virtual_storage: [{ name: 'default', node }] };
  const cluster = building.use(await startCluster({ nodes: 0, config, dial: { retry: false } }));
  const resources = building.move();
  return {
    cluster,
    links,
    valuesOf: (branch) =>
      nodes.map((each, index) => {
        const path = `${each.storagePath(`gitaly-${index + 1}`)}/${repository.relativePath}`;
        return gitOutput(path, ['for-each-ref', '--format=%(objectname)', `refs/heads/${branch}`]);
      }),
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

/** Commits to a branch, and returns the commit. */
async function commit({ connection }: TestCluster, branch: string, content: string): Promise<string> {
  const header = {
    repository,
    user,
    branchName: Buffer.from(branch),
    commitMessage: Buffer.from(content),
    timestamp: { seconds: 1_700_000_000n, nanos: 0 },
  };
  const actions = [{ type: 'create', path: content, content }] as const;
  const update = await commitFiles(connection, header, actions, { timeoutMs: CALL_LIMIT_MS });
  return update?.commitId ?? '';
}

interface Write {
  readonly branch: string;
  /** Values that the branch may have after it, besides the one before. */
  readonly mayBecome: (value: string) => boolean;
  run(): Promise<unknown>;
}

/** Writes that vote twice, and six times. */
const WRITES = {
  WriteRef: ({ connection }: TestCluster, [one = '', two = '']: readonly string[], round: number): Write => {
    const value = round % 2 === 0 ? one : two;
    const [ref, revision] = [Buffer.from('refs/heads/written'), Buffer.from(value)];
    return {
      branch: 'written',
      mayBecome: (found) => found === value,
      run: () => connection.repository.writeRef({ repository, ref, revision }, { timeoutMs: CALL_LIMIT_MS }),
    };
  },
  UserCommitFiles: (cluster: TestCluster, _: readonly string[], round: number): Write => ({
    branch: 'main',
    mayBecome: (found) => found !== '',
    run: () => commit(cluster, 'main', `file-${round}`),
  }),
} as const;

/** A fault of one node in one write. */
interface Round {
  readonly write: keyof typeof WRITES;
  readonly fault: keyof typeof FAULTS;
  /** Index; the first one is the primary at first. */
  readonly node: number;
  /** The message at which the fault comes. */
  readonly message: number;
}

/** Runs a write with a fault. Returns whether the message came. */
async function disturbedWrite(
  { cluster, links, valuesOf }: Setting,
  { fault, message, node, write }: Round,
  { number, oids }: { readonly number: number; readonly oids: readonly string[] },
): Promise<boolean> {
  const name = `${write}, message ${message} of node ${node + 1}: ${fault}`;
  const { branch, mayBecome, run } = WRITES[write](cluster, oids, number);
  const link = links[node];
  assert.ok(link);
  const [before] = valuesOf(branch);
  let left = message;
  let healing: Promise<void> | undefined;
  link.onResponse = () => {
    if (healing !== undefined || --left > 0) return true;
    FAULTS[fault](link);
    healing = delay(FAULT_MS).then(() => {
      link.state = 'open';
    });
    return false;
  };
  const error: unknown = await run().then(
    () => undefined,
    (reason: unknown) => reason,
  );
  link.onResponse = () => true;
  await healing;

  assert.notEqual(error === undefined ? '' : codeOf(error), 'DEADLINE_EXCEEDED', name);
  await until(
    () => new Set(valuesOf(branch)).size === 1,
    () => `${name}: the nodes are equal: ${valuesOf(branch).join(', ')}`,
    RECOVERY_MS,
  );
  const [after = ''] = valuesOf(branch);
  assert.ok(mayBecome(after) || after === before, `${name}: ${branch} is at ${after}`);
  if (error === undefined) assert.ok(mayBecome(after), `${name}: the acknowledged write is there`);
  return healing !== undefined;
}

test('no acknowledged write is lost by a fault at any message of a node', async (context) => {
  await using setting = await start();
  const { cluster } = setting;
  await until(
    () =>
      cluster.connection.repository.createRepository({ repository }).then(
        () => true,
        () => false,
      ),
    'a repository is created',
    RECOVERY_MS,
  );
  const oids = [await commit(cluster, 'main', 'first'), await commit(cluster, 'main', 'second')];
  const choices = choicesOf(testSeed('EACH_MESSAGE_SEED'));
  const [writes, faults] = [Object.keys(WRITES), Object.keys(FAULTS)] as [Round['write'][], Round['fault'][]];
  let number = 0;
  let reached = 0;
  const run = async (round: Round): Promise<boolean> => {
    const isReached = await disturbedWrite(setting, round, { number: number++, oids });
    reached += isReached ? 1 : 0;
    return isReached;
  };
  if (isSoak) {
    for (const write of writes)
      for (const fault of faults)
        for (let node = 0; node < NODES; node++)
          for (let message = 1; message <= MAX_MESSAGES; message++)
            if (!(await run({ write, fault, node, message }))) break;
  } else
    for (let round = 0; round < SHORT_ROUNDS; round++)
      await run({
        write: choices.of(writes),
        fault: choices.of(faults),
        node: choices.below(NODES),
        message: 1 + choices.below(3),
      });
  context.diagnostic(`${number} writes, ${reached} with a fault`);
  assert.ok(reached > 0);
});
