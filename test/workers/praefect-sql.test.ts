import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CallError, type Connection, commitFiles } from '#client/index';
import { sql } from '#praefect/database/database';
import { gitOutput } from '#testkit/repositories/init-repository';
import { withoutPostgres } from '#testkit/servers/start-postgres';
import { until } from '#testkit/until';
import { USER } from '#testkit/user';
import { repository } from '../cluster/cluster-repository.ts';
import { type FamilyNode, PraefectFamily } from './praefect-family.ts';

/** Writers on the connection to each process. */
const WRITERS = 2;
/** Writes of each writer that must be acknowledged before a kill, and after it. */
const WRITES = 3;
/** Time for the checks of a killed node and its copies, on a busy machine. */
const RECOVERY_MS = 120_000;

/** A writer of a branch by one process. */
interface Writer {
  readonly branch: string;
  /** Commits that were acknowledged, in order. */
  readonly acknowledged: string[];
  lastError: string;
}

/** Makes commits on a branch until it is stopped, also while they fail. */
async function write(connection: Connection, writer: Writer, stop: AbortSignal): Promise<void> {
  for (let number = 0; !stop.aborted; number++) {
    const header = {
      repository: { ...repository, glRepository: 'project-1' },
      user: USER,
      branchName: Buffer.from(writer.branch),
      commitMessage: Buffer.from(`${number}`),
    };
    const file = { type: 'create', path: `file-${number}`, content: writer.branch } as const;
    try {
      const update = await commitFiles(connection, header, [file]);
      writer.acknowledged.push(update?.commitId ?? '');
    } catch (error) {
      // Which of the other errors there are depends on what the kill interrupts.
      if (!(error instanceof CallError)) throw error;
      writer.lastError = `${error.code} ${error.message}`;
    }
  }
}

/** Waits until each writer has further acknowledged writes. */
async function writeOn(writers: readonly Writer[]): Promise<void> {
  const aims = writers.map(({ acknowledged }) => acknowledged.length + WRITES);
  await until(
    () => writers.every(({ acknowledged }, index) => acknowledged.length >= (aims[index] ?? 0)),
    () => writers.map(({ branch, lastError }) => `${branch}: ${lastError}`).join('\n'),
    RECOVERY_MS,
  );
}

const primaryOf = async ({ postgres: { database } }: PraefectFamily): Promise<string | undefined> =>
  (await database.row(sql<{ name: string }>`SELECT node_name AS name FROM shard_primaries`))?.name;

/** Waits until all replicas have all changes. */
async function replicasAreEqual({ postgres: { database } }: PraefectFamily): Promise<void> {
  const rows = () =>
    database.rows(sql<{ storage: string; generation: number; newest: number }>`
      SELECT storage, replicas.generation, repositories.generation AS newest
      FROM storage_repositories AS replicas JOIN repositories USING (repository_id)`);
  let last = await rows();
  await until(
    async () => {
      last = await rows();
      return last.length === 3 && last.every(({ generation, newest }) => generation === newest);
    },
    () => JSON.stringify(last),
    RECOVERY_MS,
  );
}

const referencesOn = (node: FamilyNode): string =>
  gitOutput(node.pathOf(repository.relativePath), ['for-each-ref']);

/** Starts the writers of each connection. Disposing stops them. */
function startWriters(connections: readonly Connection[]): AsyncDisposable & {
  readonly writers: readonly Writer[];
} {
  const stop = new AbortController();
  const writers: Writer[] = [];
  const writing = connections.flatMap((connection, index) =>
    Array.from({ length: WRITERS }, (_, number) => {
      const writer = { branch: `branch-${index}-${number}`, acknowledged: [], lastError: '' };
      writers.push(writer);
      return write(connection, writer, stop.signal);
    }),
  );
  return {
    writers,
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await Promise.all(writing);
    },
  };
}

/** Kills the primary between writes, starts it again, and returns the next one and the writers. */
async function failOver(family: PraefectFamily, connections: readonly Connection[], victim: FamilyNode) {
  await using started = startWriters(connections);
  const { writers } = started;
  await writeOn(writers);
  await victim.kill();
  await until(
    async () => (await primaryOf(family)) !== victim.storage,
    'another primary is elected',
    RECOVERY_MS,
  );
  await writeOn(writers);
  await victim.restart();
  await writeOn(writers);
  return writers;
}

test('with the strategy sql, all processes follow one election and lose no write', {
  skip: withoutPostgres,
}, async () => {
  await using family = await PraefectFamily.start({
    strategy: 'sql',
    settings: { choice: 'random', tickMs: 600_000 },
  });
  const linesWith = (text: string) => family.lines.filter(({ msg }) => msg === text);
  const connections = await family.connectAll();
  await connections[1]?.repository.createRepository({ repository });
  const first = await primaryOf(family);
  const victim = family.nodes.find(({ storage }) => storage === first);
  assert.ok(victim);

  const writers = await failOver(family, connections, victim);
  await replicasAreEqual(family);

  const [one] = family.nodes;
  assert.ok(one);
  for (const node of family.nodes) {
    const path = node.pathOf(repository.relativePath);
    assert.equal(referencesOn(node), referencesOn(one), node.storage);
    assert.equal(gitOutput(path, ['fsck', '--strict', '--no-dangling']), '');
  }
  for (const { acknowledged, branch } of writers) {
    const path = one.pathOf(repository.relativePath);
    const history = gitOutput(path, ['rev-list', '--reverse', branch]).split('\n');
    assert.deepEqual(
      history.filter((id) => acknowledged.includes(id)),
      acknowledged,
      branch,
    );
  }
  // One election at the start and one after the kill, which one process has decided.
  assert.deepEqual(
    linesWith('new primary selected').map(({ new_primary: primary, worker }) => [primary, worker]),
    [
      [first, 0],
      [await primaryOf(family), 0],
    ],
  );
  const praefects = await family.postgres.database.rows(sql<{ name: string }>`
    SELECT DISTINCT praefect_name AS name FROM node_status`);
  assert.equal(praefects.length, 1);
  // One process does the jobs, each once; one that failed may still wait, for the node was away.
  const started = linesWith('replication job processing started');
  const done = linesWith('replication job processing finished');
  assert.deepEqual([...new Set([...started, ...done].map(({ worker }) => worker))], [0]);
  // The type of the field: the replicator logs its jobs.
  const ids = new Set(started.map(({ event }) => (event as { readonly id: number }).id));
  const completed = done.filter(({ new_state: state }) => state === 'completed');
  assert.ok(completed.length > 0 && completed.length <= ids.size);
  await Promise.all(connections.map((connection) => connection.close()));
});
