import { setTimeout } from 'node:timers/promises';
import { type Connection, dial } from '#client/index';
import { type Bench, type Measurement, median, takeTurns, timed } from './lib/bench.ts';
import type { StoredRepository } from './lib/repositories.ts';
import { git, runProgram } from './lib/run-program.ts';
import type { Workshop } from './lib/workshop.ts';

const MANY = 10_000;
/** Time for which the disk discards blocks after its journal was written. */
const SETTLE_MS = 1_500;
/** Size of a message in Gitaly's own client. */
const UPDATES_PER_MESSAGE = 500;

/**
 * Our server's git settings; by default git does not flush references to the disk before it
 * returns.
 */
const SERVER_FSYNC = ['core.fsync=objects,derived-metadata,reference', 'core.fsyncMethod=fsync'];

/** Measures changes of references, compared with starting git for each. */
export const bench: Bench = {
  name: 'references',
  question:
    'WriteRef, UserCreateBranch, UpdateReferences and DeleteRefs, one and 10,000 references, against ' +
    'git update-ref',
  async *run(workshop) {
    const served = await workshop.repository('small', 'served.git');
    const plain = await workshop.repository('small', 'plain.git');
    const durable = await workshop.repository('small', 'durable.git');
    for (const setting of SERVER_FSYNC) await git(durable.path, ['config', ...setting.split('=')]);
    await using connection = await dial(`unix:${(await workshop.server()).socket}`);
    const parts: Parts = {
      workshop,
      connection,
      served,
      plain,
      durable,
      oid: await git(plain.path, ['rev-parse', 'main']),
    };
    yield* one(parts);
    yield* many(parts);
  },
};

interface Parts {
  readonly workshop: Workshop;
  readonly connection: Connection;
  readonly served: StoredRepository;
  readonly plain: StoredRepository;
  /** A repository like {@link plain}, with our server's setting to wait for the disk. */
  readonly durable: StoredRepository;
  readonly oid: string;
}

async function* one({
  workshop,
  connection,
  served,
  plain,
  durable,
  oid,
}: Parts): AsyncGenerator<Measurement> {
  const repository = served.wire;
  const user = {
    glId: 'user-1',
    name: Buffer.from('Bench'),
    email: Buffer.from('bench@example.com'),
    glUsername: 'bench',
  };
  const updateRef = ({ path }: StoredRepository, name: string) =>
    timed(() => runProgram('git', ['--git-dir', path, 'update-ref', name, oid]));
  const candidates = {
    writeRef: (round: number) => {
      const request = {
        repository,
        ref: Buffer.from(`refs/heads/write-${round}`),
        revision: Buffer.from(oid),
      };
      return timed(() => connection.repository.writeRef(request));
    },
    createBranch: (round: number) => {
      const request = {
        repository,
        user,
        branchName: Buffer.from(`create-${round}`),
        startPoint: Buffer.from(oid),
      };
      return timed(() => connection.operation.userCreateBranch(request));
    },
    updateReferences: (round: number) =>
      timed(() => update(connection, served, [`refs/heads/update-${round}`], oid)),
    plain: (round: number) => updateRef(plain, `refs/heads/one-${round}`),
    durable: (round: number) => updateRef(durable, `refs/heads/one-${round}`),
  };
  await takeTurns(20, candidates);
  const samples = await takeTurns(workshop.quick ? 20 : 100, {
    writeRef: (round) => candidates.writeRef(round + 20),
    createBranch: (round) => candidates.createBranch(round + 20),
    updateReferences: (round) => candidates.updateReferences(round + 20),
    plain: (round) => candidates.plain(round + 20),
    durable: (round) => candidates.durable(round + 20),
  });
  for (const [name, key] of [
    ['WriteRef', 'writeRef'],
    ['UserCreateBranch', 'createBranch'],
    ['UpdateReferences, one', 'updateReferences'],
  ] as const) {
    const value = median(samples[key]);
    const reference = { name: 'git update-ref', value: median(samples.plain) };
    yield { name, value, unit: 'ms', reference, goal: { of: 'ratio', atMost: 0.5 } };
    const equally = { name: "update-ref with the server's core.fsync", value: median(samples.durable) };
    yield { name: `${name}, equally durable`, value, unit: 'ms', reference: equally };
  }
}

async function* many({
  workshop,
  connection,
  served,
  plain,
  durable,
  oid,
}: Parts): AsyncGenerator<Measurement> {
  const names = Array.from({ length: MANY }, (_, number) => `refs/heads/many/${number % 100}/${number}`);
  const creations = names.map((name) => `create ${name} ${oid}\n`).join('');
  const deletions = names.map((name) => `delete ${name}\n`).join('');
  const refs = names.map((name) => Buffer.from(name));
  /**
   * Creates all references, deletes them, creates them packed and deletes them again. Packing and
   * pending disk work are not measured.
   */
  const round = async (
    target: StoredRepository,
    create: () => Promise<unknown>,
    remove: () => Promise<unknown>,
  ) => {
    const created = await timed(create);
    const removed = await timed(remove);
    await git(target.path, ['-c', 'core.fsync=none', 'update-ref', '--stdin'], { input: creations });
    await git(target.path, ['pack-refs', '--all']);
    await settle();
    return { created, removed, removedPacked: await timed(remove) };
  };
  const byGit = (target: StoredRepository) => () => {
    const run = (input: string) => () =>
      runProgram('git', ['--git-dir', target.path, 'update-ref', '--stdin'], { input });
    return round(target, run(creations), run(deletions));
  };
  const samples = await takeTurns(workshop.quick ? 2 : 5, {
    rpc: () =>
      round(
        served,
        () => update(connection, served, names, oid),
        () => connection.ref.deleteRefs({ repository: served.wire, refs }),
      ),
    plain: byGit(plain),
    durable: byGit(durable),
  });
  for (const [name, key] of [
    [`UpdateReferences, ${MANY}`, 'created'],
    [`DeleteRefs, ${MANY} loose`, 'removed'],
    [`DeleteRefs, ${MANY} packed`, 'removedPacked'],
  ] as const) {
    const middle = (of: keyof typeof samples): number => median(samples[of].map((sample) => sample[key]));
    const value = middle('rpc');
    yield { name, value, unit: 'ms', reference: { name: 'git update-ref --stdin', value: middle('plain') } };
    const reference = { name: "update-ref with the server's core.fsync", value: middle('durable') };
    const goal = { of: 'ratio', atMost: 1.2 } as const;
    yield { name: `${name}, equally durable`, value, unit: 'ms', reference, goal };
  }
}

/**
 * Waits until the disk is idle. Otherwise ten thousand created and removed files wait for its
 * journal, which blocks the next flush: on ext4 the same deletion took 300 or 1500 ms, by git and
 * by our server.
 */
async function settle(): Promise<void> {
  await runProgram('sync', []);
  await setTimeout(SETTLE_MS);
}

async function update(
  connection: Connection,
  { wire }: StoredRepository,
  names: readonly string[],
  oid: string,
): Promise<void> {
  const newObjectId = Buffer.from(oid);
  const oldObjectId = Buffer.from('0'.repeat(oid.length));
  const updates = names.map((name) => ({ reference: Buffer.from(name), newObjectId, oldObjectId }));
  const messages = Array.from({ length: Math.ceil(updates.length / UPDATES_PER_MESSAGE) }, (_, at) => ({
    ...(at === 0 && { repository: wire }),
    updates: updates.slice(at * UPDATES_PER_MESSAGE, (at + 1) * UPDATES_PER_MESSAGE),
  }));
  await connection.ref.updateReferences(messages);
}
