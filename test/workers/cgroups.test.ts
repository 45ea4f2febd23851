import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { crc32 } from 'node:zlib';
import { realGroups } from '../cgroups/real-groups.ts';
import { ready, readyWorkers, repository, servedBy, startFamily } from './family.ts';

const COUNT = 10;
const GROUP = `repos-${crc32(`default/${repository.relativePath}`) % COUNT}`;
const [openGroups] = realGroups();

test('all processes use the control groups of the first one, which removes them at its end', {
  skip: openGroups === undefined && 'no control group is writable',
}, async () => {
  using groups = openGroups?.();
  assert.ok(groups);
  await using gitaly = await startFamily(
    `[cgroups]
mountpoint = "${groups.mountpoint}"
hierarchy_root = "${groups.hierarchyRoot}"
[cgroups.repositories]
count = ${COUNT}
[load_shedder]
enabled = true
`,
    { choice: 'worker', backOffMs: 50 },
  );
  const { repository: calls } = await gitaly.connect();
  const parents = groups.roots.map((root) => join(root, `gitaly-${gitaly.pid}`));

  await calls.createRepository({ repository });
  await calls.fsck({ repository });

  assert.equal(servedBy(gitaly, 'Fsck').has('0'), false);
  for (const root of groups.roots)
    assert.deepEqual(
      readdirSync(root).filter((name) => name.startsWith('gitaly-')),
      [`gitaly-${gitaly.pid}`],
    );
  for (const parent of parents) assert.ok(existsSync(join(parent, GROUP)), parent);

  for (const pid of readyWorkers(gitaly)) process.kill(pid, 'SIGKILL');
  await ready(gitaly, 4);
  for (const parent of parents) assert.ok(existsSync(join(parent, GROUP)), parent);
  await calls.fsck({ repository });

  gitaly.kill('SIGTERM');
  assert.equal(await gitaly.exited, 0, gitaly.log());
  for (const parent of parents) assert.equal(existsSync(parent), false, parent);
});
