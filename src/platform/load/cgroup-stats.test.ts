import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { ownCgroup, readCgroupStats } from './cgroup-stats.ts';

test('the files of a control group are read', async () => {
  const directory = makeScratchDirectory('cgroup');
  try {
    mkdirSync(directory, { recursive: true });
    // Excerpts of the kernel's documentation, Control Group v2.
    for (const [name, text] of [
      ['memory.stat', 'anon 4096\nfile 8192\nanon_thp 7\n'],
      ['memory.max', '1073741824\n'],
      ['memory.events', 'low 0\nhigh 0\nmax 3\noom 2\noom_kill 1\n'],
      ['cpu.stat', 'usage_usec 9\nnr_throttled 4\nthrottled_usec 2500000\n'],
      ['memory.pressure', 'some avg10=0.10 avg60=12.50 avg300=0.00 total=1\nfull avg10=9.00 avg60=9.00 '],
    ] as const)
      writeFileSync(join(directory, name), text);

    assert.deepEqual(await readCgroupStats([directory]), {
      anonBytes: 4096,
      memoryLimitBytes: 1_073_741_824,
      oomKills: 1,
      throttledSeconds: 2.5,
      pressure: { memory: { avg10: 0.1, avg60: 12.5 }, io: undefined, cpu: undefined },
    });
    writeFileSync(join(directory, 'memory.max'), 'max\n');
    assert.equal((await readCgroupStats([directory])).memoryLimitBytes, undefined);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

test('the files of version 1 are in several directories', async () => {
  const root = makeScratchDirectory('cgroup1');
  try {
    // Excerpts of the kernel's documentation, cgroup-v1/memory, and of a machine.
    for (const [name, text] of [
      ['memory/memory.stat', 'cache 8192\nrss 1\ntotal_rss 4096\n'],
      ['memory/memory.limit_in_bytes', '1073741824\n'],
      ['memory/memory.oom_control', 'oom_kill_disable 0\nunder_oom 0\noom_kill 2\n'],
      ['cpu/cpu.stat', 'nr_periods 9\nnr_throttled 4\nthrottled_time 2500000000\n'],
    ] as const) {
      mkdirSync(join(root, name, '..'), { recursive: true });
      writeFileSync(join(root, name), text);
    }

    const directories = ['missing', 'memory', 'cpu'].map((name) => join(root, name));
    assert.deepEqual(await readCgroupStats(directories), {
      anonBytes: 4096,
      memoryLimitBytes: 1_073_741_824,
      oomKills: 2,
      throttledSeconds: 2.5,
      pressure: { memory: undefined, io: undefined, cpu: undefined },
    });
    writeFileSync(join(root, 'memory/memory.limit_in_bytes'), '9223372036854771712\n');
    assert.equal((await readCgroupStats(directories)).memoryLimitBytes, undefined);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});

test('the group of this process is that of version 1 with its controllers, otherwise of version 2', () => {
  assert.deepEqual(ownCgroup('/sys/fs/cgroup', '0::/gitaly/x\n'), [
    '/sys/fs/cgroup/gitaly/x',
    '/sys/fs/cgroup',
  ]);
  assert.deepEqual(ownCgroup('/cg', '0::/\n'), ['/cg']);
  assert.deepEqual(ownCgroup('/cg', '5:memory:/a:b\n2:cpuacct,cpu:/c\n0::/\n'), [
    '/cg/memory/a:b',
    '/cg/memory',
    '/cg/cpu/c',
    '/cg/cpu',
  ]);
  assert.deepEqual(ownCgroup('/cg', ''), []);
});
