import assert from 'node:assert/strict';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { test } from 'node:test';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { planAsNeeded, planEverything } from './decisions/plan-maintenance.ts';
import { Housekeeping, type OptimizeOptions } from './housekeeping.ts';
import { MaintenanceRuns } from './maintenance-runs.ts';
import { type HousekeepingReport, NO_OBSERVER } from './observer.ts';
import type { MaintenancePlan } from './plan.ts';
import { pruneUnreachable } from './prune-unreachable.ts';

const { signal } = new AbortController();
const NOTHING: MaintenancePlan = { packReferences: false };

async function start() {
  const fixture = await StorageFixture.create();
  const repository = fixture.init('x.git', { commits: 2 });
  const reports: HousekeepingReport[] = [];
  const runs = new MaintenanceRuns();
  const housekeeping = new Housekeeping(runs, {
    ...NO_OBSERVER,
    onOptimized: (_, report) => reports.push(report),
  });
  return { fixture, repository, reports, runs, housekeeping };
}

test('the report of a run has its tasks and the durations of its steps', async () => {
  const { fixture, repository, reports, runs, housekeeping } = await start();
  await using _fixture = fixture;

  const plan = (...args: Parameters<typeof planEverything>): MaintenancePlan => ({
    ...planEverything(...args),
    packReferences: true,
  });
  assert.equal(await housekeeping.optimize(repository, { plan, signal }), true);

  const [report] = reports;
  assert.equal(report?.status, 'success');
  assert.deepEqual(Object.fromEntries(report.tasks), {
    packed_objects_full_with_cruft: 'success',
    written_bitmap: 'success',
    written_multi_pack_index: 'success',
    pruned_objects: 'success',
    packed_refs: 'success',
    written_commit_graph_full: 'success',
  });
  const steps = [
    'clean-stale-data',
    'clean-worktrees',
    'repack',
    'prune',
    'pack-refs',
    'commit-graph',
    'total',
  ];
  assert.deepEqual([...report.stepMs.keys()].sort(), steps.sort());
  for (const ms of report.stepMs.values()) assert.ok(ms >= 0 && ms < 60_000);
  assert.equal(runs.isRunning(repository), false);
});

test('a run with nothing to do has no tasks', async () => {
  const { fixture, repository, reports, housekeeping } = await start();
  await using _fixture = fixture;

  await housekeeping.optimize(repository, { plan: () => NOTHING, signal });

  assert.equal(reports[0]?.tasks.size, 0);
  assert.deepEqual([...(reports[0]?.stepMs.keys() ?? [])], ['clean-stale-data', 'clean-worktrees', 'total']);
});

test('an incremental commit-graph has a task of its own', async () => {
  const { fixture, repository, reports, housekeeping } = await start();
  await using _fixture = fixture;
  const plan = { packReferences: false, commitGraph: { replaceChain: false } };

  for (let run = 1; run <= 2; run++) {
    await housekeeping.optimize(repository, { plan: () => plan, signal });
    fixture.commit(repository.path, 2 + run);
  }

  assert.deepEqual([...(reports[1]?.tasks ?? [])], [['written_commit_graph_incremental', 'success']]);
  fixture.runGit(repository.path, ['commit-graph', 'verify']);
});

for (const { name, damaged, plan, message, task } of [
  {
    name: 'a repack',
    damaged: 'refs/heads/gone',
    plan: {
      packReferences: true,
      repack: { strategy: 'full_with_unreachable', writeBitmap: false, writeMultiPackIndex: false },
    },
    message: /^could not repack: repack failed with error code \d+$/,
    task: 'packed_objects_full_with_unreachable',
  },
  {
    name: 'a repack of loose objects',
    damaged: 'objects/pack',
    plan: {
      packReferences: true,
      repack: { strategy: 'incremental_with_unreachable', writeBitmap: false, writeMultiPackIndex: false },
    },
    message: /^could not repack: pack-objects failed with error code 128$/,
    task: 'packed_objects_incremental_with_unreachable',
  },
  {
    name: 'pruning',
    damaged: 'refs/heads/gone',
    plan: { packReferences: true, prune: { expireBeforeMs: 0 } },
    message: /^could not prune: executing prune: exit status 128$/,
    task: 'pruned_objects',
  },
  {
    name: 'a commit-graph',
    damaged: 'objects/info/commit-graphs/commit-graph-chain.lock',
    plan: { packReferences: false, commitGraph: { replaceChain: true } },
    message: /^could not write commit-graph: writing commit-graph: exit status \d+: .*/s,
    task: 'written_commit_graph_full',
  },
] satisfies readonly {
  name: string;
  damaged: string;
  plan: MaintenancePlan;
  message: RegExp;
  task: string;
}[]) {
  test(`${name} that fails ends the run, and is reported`, async () => {
    const { fixture, repository, reports, runs, housekeeping } = await start();
    await using _fixture = fixture;
    const path = `${repository.path}/${damaged}`;
    rmSync(path, { recursive: true, force: true });
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, `${'1'.repeat(40)}\n`);

    await assert.rejects(housekeeping.optimize(repository, { plan: () => plan, signal }), {
      code: 'INTERNAL',
      message,
    });

    assert.equal(reports[0]?.status, 'failure');
    assert.deepEqual(Object.fromEntries(reports[0].tasks), { [task]: 'failure' });
    assert.equal(runs.isRunning(repository), false);
    assert.equal(existsSync(`${repository.path}/packed-refs`), false);
  });
}

test('a chain of commit-graphs full of zeros is written anew', async () => {
  const { fixture, repository, housekeeping } = await start();
  await using _fixture = fixture;
  const chain = `${repository.path}/objects/info/commit-graphs/commit-graph-chain`;
  mkdirSync(dirname(chain), { recursive: true });
  writeFileSync(chain, Buffer.alloc(41));

  await housekeeping.optimize(repository, { plan: planEverything, signal });

  assert.match(readFileSync(chain, 'latin1'), /^[0-9a-f]{40}\n$/);
  fixture.runGit(repository.path, ['commit-graph', 'verify']);
});

test('no repository is optimized whose list of tables is damaged: git sees no references', async () => {
  const { fixture, repository, housekeeping } = await start();
  await using _fixture = fixture;
  fixture.runGit(repository.path, ['config', 'core.repositoryFormatVersion', '1']);
  appendFileSync(`${repository.path}/config`, '[extensions]\n\trefStorage = reftable\n');
  mkdirSync(`${repository.path}/reftable`);
  writeFileSync(`${repository.path}/reftable/tables.list`, Buffer.alloc(41));

  await assert.rejects(
    housekeeping.optimize(repository, { plan: planEverything, signal }),
    /reftable name "\\x00.*" malformed/,
  );
});

test('references that cannot be packed are an error with the messages of git', async () => {
  const { fixture, repository, housekeeping } = await start();
  await using _fixture = fixture;
  // Newer versions of git pack them only when there are many.
  const oid = fixture.runGit(repository.path, ['rev-parse', 'main']);
  const lines = Array.from({ length: 100 }, (_, number) => `create refs/heads/${number} ${oid}\n`);
  fixture.runGit(repository.path, ['update-ref', '--stdin'], lines.join(''));
  writeFileSync(`${repository.path}/packed-refs`, 'damaged\n');
  const plan = { packReferences: true };

  await assert.rejects(housekeeping.optimize(repository, { plan: () => plan, signal }), {
    code: 'INTERNAL',
    message: /^could not pack refs: packing refs: exit status \d+, stderr: "fatal: /,
  });
});

test('one run at a time: another one is left out, and other maintenance refused', async () => {
  const { fixture, repository, reports, runs, housekeeping } = await start();
  await using _fixture = fixture;
  using run = await runs.tryStart(repository);
  assert.ok(run);

  assert.equal(await housekeeping.optimize(repository, { signal }), false);
  await assert.rejects(
    housekeeping.exclusively(repository, signal, async () => assert.fail('it began')),
    { code: 'ALREADY_EXISTS', message: 'housekeeping already executing for repository' },
  );
  await assert.rejects(pruneUnreachable(housekeeping, repository, signal), { code: 'ALREADY_EXISTS' });

  assert.deepEqual(reports, []);
});

test('exclusive maintenance returns its result, and is aborted with the call or the run', async () => {
  const { fixture, repository, runs, housekeeping } = await start();
  await using _fixture = fixture;
  const seen: boolean[] = [];
  const result = await housekeeping.exclusively(repository, signal, async (running) => {
    seen.push(await runs.isRunning(repository), running.aborted);
    return 7;
  });
  assert.equal(result, 7);
  assert.deepEqual(seen, [true, false]);
  assert.equal(runs.isRunning(repository), false);

  const call = new AbortController();
  await housekeeping.exclusively(repository, call.signal, async (running) => {
    call.abort();
    assert.equal(running.aborted, true);
  });
  await housekeeping.exclusively(repository, signal, async (running) => {
    void runs.takeOver(repository, signal).then((run) => run[Symbol.dispose]());
    assert.equal(running.aborted, true);
  });
});

test('a run that another operation takes over ends with a code to repeat it', async () => {
  const { fixture, repository, runs, housekeeping } = await start();
  await using _fixture = fixture;
  let taken: Promise<void> | undefined;
  const takeOver = (): void => {
    taken = runs.takeOver(repository, signal).then((run) => run[Symbol.dispose]());
  };
  const isAborted = {
    code: 'ABORTED',
    message: 'another operation needs the repository: repeat the maintenance',
  };

  const plan: OptimizeOptions['plan'] = (state, nowMs) => {
    takeOver();
    return planAsNeeded(state, nowMs);
  };
  await assert.rejects(housekeeping.optimize(repository, { signal, plan }), isAborted);
  await taken;
  await assert.rejects(
    housekeeping.exclusively(repository, signal, async (running) => {
      takeOver();
      running.throwIfAborted();
    }),
    isAborted,
  );
});

test('PruneUnreachableObjects drops old objects, loose and packed, and repacks', async () => {
  const { fixture, repository, housekeeping } = await start();
  await using _fixture = fixture;
  const { path } = repository;
  const add = (text: string, minutes: number): string => {
    const oid = fixture.runGit(path, ['hash-object', '-w', '--stdin'], text);
    const time = new Date(Date.now() - minutes * 60_000);
    utimesSync(`${path}/objects/${oid.slice(0, 2)}/${oid.slice(2)}`, time, time);
    return oid;
  };
  const old = add('old', 31);
  const young = add('young', 29);

  await pruneUnreachable(housekeeping, repository, signal);

  const objects = fixture.runGit(path, ['cat-file', '--batch-all-objects', '--batch-check=%(objectname)']);
  assert.equal(objects.includes(old), false);
  assert.equal(objects.includes(young), true);
  assert.match(fixture.runGit(path, ['count-objects', '-v']), /^count: 0$/m);
  fixture.runGit(path, ['fsck', '--full']);
  fixture.runGit(path, ['commit-graph', 'verify']);
  assert.ok(Date.now() - statSync(`${path}/.gitaly-full-repack-timestamp`).mtimeMs < 60_000);
});

test('a full repack notes its time, a geometric one does not', async () => {
  const { fixture, repository, housekeeping } = await start();
  await using _fixture = fixture;
  const file = `${repository.path}/.gitaly-full-repack-timestamp`;
  writeFileSync(file, '');
  for (const [strategy, isNoted] of [
    ['geometric', false],
    ['full_with_unreachable', true],
  ] as const) {
    utimesSync(file, 1, 1);
    const repack = { strategy, writeBitmap: false, writeMultiPackIndex: false };
    await housekeeping.optimize(repository, { plan: () => ({ packReferences: false, repack }), signal });
    assert.equal(Date.now() - statSync(file).mtimeMs < 60_000, isNoted, strategy);
  }
});

test('PruneUnreachableObjects reports the step that fails', async () => {
  for (const [damage, message] of [
    ['references', /^pruning objects: executing prune: exit status 128$/],
    ['packs', /^repacking objects: /],
  ] as const) {
    const { fixture, repository, housekeeping } = await start();
    await using _fixture = fixture;
    const { path } = repository;
    if (damage === 'references') writeFileSync(`${path}/refs/heads/gone`, `${'1'.repeat(40)}\n`);
    if (damage === 'packs') {
      rmSync(`${path}/objects/pack`, { recursive: true });
      writeFileSync(`${path}/objects/pack`, '');
    }

    await assert.rejects(pruneUnreachable(housekeeping, repository, signal), { code: 'INTERNAL', message });
  }
});

/** Makes a commit-graph with a commit that the plan drops. */
async function startWithDropped() {
  const { fixture, repository, housekeeping } = await start();
  const { path } = repository;
  const git = (...args: string[]): string => fixture.runGit(path, args);
  const dropped = git('commit-tree', '-m', 'dropped', '-p', 'main', 'main^{tree}');
  git('update-ref', 'refs/heads/gone', dropped);
  git('repack', '-a', '-d', '-q');
  git('commit-graph', 'write', '--reachable');
  git('update-ref', '-d', 'refs/heads/gone');
  const plan = {
    repack: {
      strategy: 'full_with_cruft',
      writeBitmap: false,
      writeMultiPackIndex: false,
      expireBeforeMs: Date.now() + 60_000,
    },
    packReferences: true,
    commitGraph: { replaceChain: true },
  } as const;
  return { dropped, fixture, git, housekeeping, path, plan, repository };
}

test('a run that gives way takes the commits that it dropped out of the commit-graph', async () => {
  const { dropped, fixture, git, housekeeping, path, plan, repository } = await startWithDropped();
  await using _fixture = fixture;

  await housekeeping.optimize(repository, { plan: () => plan, mayGoOn: async () => false, signal });

  assert.throws(() => git('cat-file', '-e', dropped));
  assert.equal(git('commit-graph', 'verify'), '');
  assert.equal(existsSync(`${path}/packed-refs`), false, 'the other steps were left');
});

test('a run that is aborted leaves no commit-graph with commits that it dropped', async () => {
  const { dropped, fixture, git, housekeeping, path, plan, repository } = await startWithDropped();
  await using _fixture = fixture;
  const stopping = new AbortController();
  const mayGoOn = async (): Promise<boolean> => {
    stopping.abort(new Error('stopped'));
    return true;
  };

  const run = housekeeping.optimize(repository, { plan: () => plan, mayGoOn, signal: stopping.signal });
  await assert.rejects(run, /canceled/);

  assert.throws(() => git('cat-file', '-e', dropped));
  assert.equal(git('commit-graph', 'verify'), '');
  await housekeeping.optimize(repository, { signal });
  assert.ok(existsSync(`${path}/objects/info/commit-graphs/commit-graph-chain`));
});
