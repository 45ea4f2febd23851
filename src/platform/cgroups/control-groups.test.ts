import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { type ControlGroupSettings, ControlGroups } from './control-groups.ts';

const NO_LIMITS = { memoryBytes: 0, cpuShares: 0, cpuQuotaUs: 0 };
/** No process has it: it is beyond Linux's maximum. */
const DEAD_PID = 4_200_000;

const directories: string[] = [];
afterEach(() => {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true });
});

/** A directory laid out like a mount point; the files of groups appear when they are written. */
function mountpoint(version: 1 | 2): string {
  const directory = makeScratchDirectory('cgroupfs');
  directories.push(directory);
  if (version === 1) for (const controller of ['memory', 'cpu']) mkdirSync(join(directory, controller));
  else {
    writeFileSync(join(directory, 'cgroup.controllers'), 'cpuset cpu io memory pids\n');
    writeFileSync(join(directory, 'cgroup.subtree_control'), '');
  }
  return directory;
}

function create(
  settings: Partial<ControlGroupSettings> & { mountpoint: string },
  random = 0,
  isShared = false,
): ControlGroups {
  const groups = ControlGroups.create(
    {
      hierarchyRoot: 'gitaly',
      ...NO_LIMITS,
      repositories: { ...NO_LIMITS, count: 100, maxCgroupsPerRepo: 1 },
      ...settings,
    },
    { pid: 42, isShared, onProblem: (path, error) => assert.fail(`${path}: ${error}`), random: () => random },
  );
  assert.ok(groups !== undefined);
  return groups;
}

const LIMITS = {
  memoryBytes: 2048,
  cpuShares: 1024,
  cpuQuotaUs: 400_000,
  repositories: { memoryBytes: 1024, cpuShares: 512, cpuQuotaUs: 200_000, count: 3, maxCgroupsPerRepo: 1 },
};

test('version 2: limits of the parent and of a group, and controllers from the top down', () => {
  const root = mountpoint(2);
  const groups = create({ mountpoint: root, ...LIMITS });
  const read = (name: string): string => readFileSync(join(root, name), 'utf8');

  assert.equal(groups.version, 2);
  assert.equal(read('cgroup.subtree_control'), '+memory +cpu');
  assert.equal(read('gitaly/gitaly-42/memory.max'), '2048');
  assert.equal(read('gitaly/gitaly-42/cpu.weight'), '39'); // containerd's conversion of 1024
  assert.equal(read('gitaly/gitaly-42/cpu.max'), '400000 100000');
  assert.equal(read('gitaly/gitaly-42/repos-0/memory.max'), '1024');
  assert.equal(read('gitaly/gitaly-42/repos-0/cpu.weight'), '20');
  assert.equal(read('gitaly/gitaly-42/repos-0/cpu.max'), '200000 100000');
  assert.deepEqual(groups.parentDirectories, [join(root, 'gitaly/gitaly-42')]);
});

test('version 1: the same limits, in the hierarchies of the controllers', () => {
  const root = mountpoint(1);
  const groups = create({ mountpoint: root, ...LIMITS });
  const read = (name: string): string => readFileSync(join(root, name), 'utf8');

  assert.equal(groups.version, 1);
  assert.equal(read('memory/gitaly/gitaly-42/memory.limit_in_bytes'), '2048');
  assert.equal(read('cpu/gitaly/gitaly-42/cpu.shares'), '1024');
  assert.equal(read('cpu/gitaly/gitaly-42/cpu.cfs_quota_us'), '400000');
  assert.equal(read('cpu/gitaly/gitaly-42/cpu.cfs_period_us'), '100000');
  assert.equal(read('memory/gitaly/gitaly-42/repos-0/memory.limit_in_bytes'), '1024');
  assert.equal(read('cpu/gitaly/gitaly-42/repos-0/cpu.shares'), '512');
});

test('a repository always has the same group, which is created with the first command', () => {
  const root = mountpoint(2);
  const groups = create({ mountpoint: root });
  const parent = join(root, 'gitaly/gitaly-42');
  assert.deepEqual(readdirSync(parent).sort(), ['repos-0']);

  // The check value of CRC-32: 0xcbf43926 is 3421780262.
  const group = groups.groupFor('123456789');

  assert.deepEqual(group.directories, [join(parent, 'repos-62')]);
  assert.equal(groups.groupFor('123456789'), group);
  assert.deepEqual(readdirSync(parent).sort(), ['repos-0', 'repos-62']);
});

test('a repository may use several groups, with a wrap-around', () => {
  const root = mountpoint(2);
  const repositories = { ...NO_LIMITS, count: 64, maxCgroupsPerRepo: 30 };
  const groups = create({ mountpoint: root, repositories }, 0.99);

  // 3421780262 % 64 is 38, and the largest shift is 29.
  assert.deepEqual(groups.groupFor('123456789').directories, [join(root, 'gitaly/gitaly-42/repos-3')]);
});

test('the end removes the groups, and the next start those of dead processes', () => {
  const root = mountpoint(2);
  const old = join(root, 'gitaly', `gitaly-${DEAD_PID}`);
  const running = join(root, 'gitaly', `gitaly-${process.pid}`);
  const foreign = join(root, 'gitaly/other');
  for (const directory of [join(old, 'repos-1'), running, foreign]) mkdirSync(directory, { recursive: true });

  const groups = create({ mountpoint: root });
  assert.deepEqual([old, running, foreign].map(existsSync), [false, true, true]);
  groups.groupFor('123456789');
  groups[Symbol.dispose]();

  assert.deepEqual(readdirSync(join(root, 'gitaly')).sort(), [`gitaly-${process.pid}`, 'other']);
});

test('a place that cannot hold groups is an error with its path; one without any is none', () => {
  const root = mountpoint(2);
  writeFileSync(join(root, 'gitaly'), 'no directory');

  const why = `mkdir ${root}/gitaly/gitaly-42: not a directory`;
  assert.throws(() => create({ mountpoint: root }), {
    message: `failed setting up cgroups: failed creating parent cgroup: ${why}`,
  });
  const settings = {
    mountpoint: join(root, 'nowhere'),
    hierarchyRoot: 'gitaly',
    ...NO_LIMITS,
    repositories: { ...NO_LIMITS, count: 1, maxCgroupsPerRepo: 1 },
  };
  assert.equal(ControlGroups.create(settings, { onProblem: assert.fail }), undefined);
});

test('a worker uses the groups of its supervisor, and leaves them', () => {
  const root = mountpoint(2);
  const groups = create({ mountpoint: root, ...LIMITS });
  mkdirSync(join(root, `gitaly/gitaly-${DEAD_PID}`));

  {
    using shared = create({ mountpoint: root, ...LIMITS }, 0, true);
    assert.deepEqual(shared.groupFor('a').directories, groups.groupFor('a').directories);
    assert.deepEqual(shared.parentDirectories, groups.parentDirectories);
  }

  assert.deepEqual(readdirSync(join(root, 'gitaly')).includes('gitaly-42'), true);
  assert.ok(existsSync(groups.groupFor('a').directories[0] ?? ''));
  // The supervisor prunes, at its start.
  assert.ok(existsSync(join(root, `gitaly/gitaly-${DEAD_PID}`)));
  groups[Symbol.dispose]();
});
