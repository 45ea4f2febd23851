import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { crc32 } from 'node:zlib';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { startGitalyProcess } from '#testkit/servers/start-gitaly-process';
import { until } from '#testkit/until';
import { realGroups } from './real-groups.ts';

const repository = { storageName: 'default', relativePath: 'a.git' };
const COUNT = 10;
const GROUP = crc32(`default/${repository.relativePath}`) % COUNT;
const MEMORY_BYTES = 512 * 1024 * 1024;

const available = realGroups();
if (available.length === 0) test('control groups', { skip: 'no control group is writable' });

for (const openGroups of available) {
  const version = probe(openGroups);
  suite(`control groups of version ${version}`, () => {
    let directory: string;
    before(() => {
      directory = makeScratchDirectory('cgroups');
      for (const name of ['default', 'run', 'bin']) mkdirSync(join(directory, name), { recursive: true });
    });
    after(() => rmSync(directory, { recursive: true, force: true }));

    for (const withKoffi of [true, false]) {
      test(`git begins to run in the group of its repository ${withKoffi ? '' : 'without FFI'}`, async () => {
        using groups = openGroups();
        const seen = join(directory, `seen-${withKoffi}`);
        const git = join(directory, 'bin/git');
        const real = execFileSync('sh', ['-c', 'command -v git'], { encoding: 'utf8' }).trim();
        // The first thing that the program does is to look where it is.
        writeFileSync(
          git,
          `#!/bin/sh\n{ echo "$*"; cat /proc/self/cgroup; echo; } >> ${seen}\n` + `exec ${real} "$@"\n`,
          { mode: 0o755 },
        );
        {
          await using gitaly = await startGitalyProcess({
            directory,
            env: { GITALY_TESTING_GIT_BINARY: git },
            ...(withKoffi ? {} : { preload: join(import.meta.dirname, '../without-koffi/deny-koffi.ts') }),
            config: `[cgroups]
mountpoint = "${groups.mountpoint}"
hierarchy_root = "${groups.hierarchyRoot}"
[cgroups.repositories]
count = ${COUNT}
${version === 1 ? `memory_bytes = ${MEMORY_BYTES}` : ''}
`,
          });
          assert.match(gitaly.log(), /msg="finished initializing cgroups"/);
          const connection = await gitaly.connect();
          await connection.repository.createRepository({ repository });
          await connection.repository.fsck({ repository });
          const parents = groups.roots.map((root) => join(root, `gitaly-${gitaly.pid}`));
          for (const parent of parents) assert.ok(readdirSync(parent).includes(`repos-${GROUP}`), parent);
          if (version === 1) {
            const [memory = ''] = parents;
            const limit = readFileSync(join(memory, `repos-${GROUP}/memory.limit_in_bytes`), 'utf8');
            assert.equal(limit.trim(), String(MEMORY_BYTES));
          }

          const fsck = readFileSync(seen, 'utf8')
            .split('\n\n')
            .find((each) => / fsck /.test(each.split('\n', 1)[0] ?? ''));
          const group = `/${groups.hierarchyRoot}/gitaly-${gitaly.pid}/repos-${GROUP}`;
          const lines = (fsck ?? '').split('\n').filter((line) => line.endsWith(group));
          assert.equal(lines.length, groups.roots.length, fsck ?? 'no fsck has run');
          const named = version === 1 ? group.slice(1) : `${groups.mountpoint}${group}`;
          await until(() => gitaly.log().includes(`command.cgroup_path=${named}`), gitaly.log);

          gitaly.kill('SIGTERM');
          assert.equal(await gitaly.exited, 0, gitaly.log());
          for (const parent of parents) assert.equal(existsSync(parent), false, parent);
        }
        rmSync(join(directory, 'default', repository.relativePath), { recursive: true });
      });
    }
  });
}

function probe(openGroups: (typeof available)[number]): 1 | 2 {
  using groups = openGroups();
  return groups.version;
}
