import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { type RunResult, run } from '#testkit/run-program';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { until } from '#testkit/until';
import { npm, offline, ROOT } from './registry.ts';

/** A test as a user writes it; `test`, `expect` and the end of a test differ between runners. */
const BODY = `
  const gitaly = await startGitaly({ tls: true });
  const repository = { storageName: 'default', relativePath: 'a.git' };
  const missing = { storageName: 'default', relativePath: 'none.git' };
  await gitaly.connection.repository.createRepository({ repository });
  const commits = [];
  const call = gitaly.connection.commit.listCommits({ repository, revisions: ['--all'] });
  for await (const { commits: some } of call) commits.push(...some);
  const request = { repository: missing, revision: Buffer.from('x') };
  const error = await gitaly.connection.commit.countCommits(request).catch((reason) => reason);
  const misspelt = await startGitaly({ storage: ['a'] }).catch((reason) => reason.message);
  const client = new GitalyClient({ storages: { default: { gitaly_address: gitaly.address } } });
  const service = new CommitService(client, await gitaly.createRepository({ commits: 1 }));
  const loop = async (size) => {
    for (let i = 0; i < size; i++) await service.findCommit('main');
  };
  const nPlus1 = await assertNoNPlus1(client, loop).catch((reason) => [
    reason.name,
    reason.message.split('.')[0],
  ]);
  await assertNoNPlus1(client, () => loop(2));
  await client[Symbol.asyncDispose]();
  await gitaly.close();
  await gitaly.close();
  const result = [commits.length, error.code, misspelt, ...nPlus1];
`;
const EXPECTED = JSON.stringify([
  0,
  'NOT_FOUND',
  'startGitaly has no option "storage"; did you mean "storages"?',
  'AssertionError',
  'N+1 calls of Gitaly: 1 with 1 items, 5 with 5',
]);
const ASSERTION = `expect(JSON.stringify(result)).toBe(${JSON.stringify(EXPECTED)});`;
const WITH_EXPECT = `test('a server', async () => {${BODY}  ${ASSERTION}\n}, 60000);\n`;
const WITH_EXPECT_AND_DEFAULT_LIMIT = `test('a server', async () => {${BODY}  ${ASSERTION}\n});\n`;
/** More than the window of a connection, in both directions. */
const LARGE = `test('a large blob', async () => {
  const gitaly = await startGitaly();
  const repository = await gitaly.createRepository({ commits: 1 });
  const user = { glId: 'user-1', name: Buffer.from('J'), email: Buffer.from('j@example.com') };
  const commit = { repository, user, branchName: Buffer.from('main'), commitMessage: Buffer.from('x') };
  const content = Buffer.alloc(3_000_000, 1);
  const update = await commitFiles(gitaly.connection, commit, [{ type: 'create', path: 'big', content }]);
  expect(update.commitId).toBe(await gitaly.askGit(repository, ['rev-parse', 'main']));
  let bytes = 0;
  const call = gitaly.connection.blob.listAllBlobs({ repository, bytesLimit: -1n });
  for await (const { blobs } of call) for (const { data } of blobs) bytes += data.length;
  expect(bytes > content.length).toBe(true);
  await gitaly.close();
}, 60000);
`;
/** Hung under Bun: the output of `git merge-tree` was read by a socket of Bun. */
const CONFLICT = `test('a merge conflict', async () => {
  const gitaly = await startGitaly();
  const repository = await gitaly.createRepository({ commits: 1 });
  const user = { glId: 'user-1', name: Buffer.from('J'), email: Buffer.from('j@example.com') };
  const oids = [];
  for (const name of ['a', 'b']) {
    const [branchName, startBranchName] = [Buffer.from(name), Buffer.from('main')];
    const commit = { repository, user, branchName, startBranchName, commitMessage: Buffer.from('x') };
    const file = { type: 'create', path: 'f', content: Buffer.from(name) };
    oids.push((await commitFiles(gitaly.connection, commit, [file])).commitId);
  }
  const [ourCommitOid, theirCommitOid] = oids;
  let content = '';
  const request = { repository, ourCommitOid, theirCommitOid };
  for await (const { files } of gitaly.connection.conflicts.listConflictFiles(request))
    for (const { conflictFilePayload: part } of files)
      if (part.case === 'content') content += Buffer.from(part.value).toString();
  expect(content).toBe('<<<<<<< f\\na\\n=======\\nb\\n>>>>>>> f\\n');
  await gitaly.close();
}, 60000);
`;
const IMPORT =
  "import { commitFiles } from 'gitaly-ts/client';\n" +
  "import { assertNoNPlus1, CommitService, GitalyClient } from 'gitaly-ts/client/rails';\n" +
  "import { startGitaly } from 'gitaly-ts/testing';\n";
const REQUIRE = IMPORT.replace(/import (.*) from ('.*');/g, 'const $1 = require($2);');

const LIMIT_MS = 2 * 60_000;
const TOOLS = join(ROOT, '.cache/test-runners');
const PACKAGES = ['bun@1', 'jest@30', 'vitest@3'];

const directory = makeScratchDirectory('runners');
const skip = await offline(); // before the first test, as the runner ends with the tests that it knows
after(() => rmSync(directory, { recursive: true, force: true }));
before(() => {
  mkdirSync(join(directory, 'node_modules'));
  symlinkSync(ROOT, join(directory, 'node_modules/gitaly-ts'));
  writeFileSync(join(directory, 'package.json'), '{ "private": true, "type": "module" }\n');
});

function node(args: readonly string[]): Promise<RunResult> {
  // A variable marks the children of this file's runner; a runner with it would run nothing.
  const command = ['-u', 'NODE_TEST_CONTEXT', process.execPath, ...args];
  return run('env', command, { cwd: directory, timeoutMs: LIMIT_MS });
}

test('node:test', async () => {
  const imports = "import { test } from 'node:test';\nimport assert from 'node:assert';\n";
  const assertion = `assert.equal(JSON.stringify(result), ${JSON.stringify(EXPECTED)});`;
  const text = `${imports}${IMPORT}test('a server', async () => {${BODY}  ${assertion}\n});\n`;
  writeFileSync(join(directory, 'node.test.js'), text);

  const { code, stdout } = await node(['--test', 'node.test.js']);

  assert.equal(code, 0, stdout);
  assert.match(stdout, /pass 1\n/);
});

suite('runners of other projects', { skip }, () => {
  before(async () => {
    const has = (tool: string): boolean => existsSync(join(TOOLS, 'node_modules', tool.split('@')[0] ?? ''));
    if (PACKAGES.every(has)) return;
    mkdirSync(TOOLS, { recursive: true });
    await npm(
      TOOLS,
      'install',
      '--no-audit',
      '--no-fund',
      '--ignore-scripts',
      '--prefix',
      TOOLS,
      ...PACKAGES,
    );
  });

  before(() => symlinkSync(join(TOOLS, 'node_modules/vitest'), join(directory, 'node_modules/vitest')));

  // Every git took a second, as no signal arrives in Jest's sandbox. Both have the default limit,
  // 5 s.
  for (const [name, file, text] of [
    ['ES modules', 'jest.spec.js', `${IMPORT}${WITH_EXPECT_AND_DEFAULT_LIMIT}`],
    ['CommonJS', 'jest.spec.cjs', `${REQUIRE}${WITH_EXPECT_AND_DEFAULT_LIMIT}`],
  ] as const) {
    test(`Jest, ${name}`, async () => {
      writeFileSync(join(directory, file), text);
      const jest = join(TOOLS, 'node_modules/jest/bin/jest.js');
      const cache = ['--cacheDirectory', join(directory, 'jest-cache')];
      const options = ['--rootDir', directory, ...cache, '--testMatch', `**/${file}`, '--transform', '{}'];

      const { code, stderr } = await node(['--experimental-vm-modules', jest, ...options]);

      assert.equal(code, 0, stderr);
      assert.match(stderr, /Tests: +1 passed/);
      assert.doesNotMatch(stderr, /did not exit|open handle/);
    });
  }

  test('Bun', async (context) => {
    // What an install script of the package bun would link to.
    const bun = join(TOOLS, `node_modules/@oven/bun-${process.platform}-${process.arch}/bin/bun`);
    if (!existsSync(bun)) return context.skip('there is no Bun for this machine');
    const imports = "import { expect, test } from 'bun:test';\n";
    writeFileSync(join(directory, 'bun.test.js'), `${imports}${IMPORT}${WITH_EXPECT}${LARGE}${CONFLICT}`);

    const { code, stderr } = await run(bun, ['test', './bun.test.js'], {
      cwd: directory,
      timeoutMs: LIMIT_MS,
    });

    assert.equal(code, 0, stderr);
    assert.match(stderr, /^ 3 pass$/m);
  });

  for (const pool of ['threads', 'vmThreads', 'forks']) {
    test(`vitest, ${pool}`, async () => {
      const imports = "import { expect, test } from 'vitest';\n";
      writeFileSync(join(directory, `${pool}.spec.js`), `${imports}${IMPORT}${WITH_EXPECT}`);
      const vitest = join(TOOLS, 'node_modules/vitest/vitest.mjs');
      const options = ['--root', directory, '--pool', pool, '--no-color', '--dir', directory];

      const { code, stdout, stderr } = await node([vitest, 'run', ...options, `${pool}.spec.js`]);

      assert.equal(code, 0, stdout + stderr);
      assert.match(stdout, /Tests +1 passed/);
    });
  }
});

test('a killed test leaves no process, and the next start removes its directory', async () => {
  const temporary = mkdtempSync(join(tmpdir(), 't-')); // paths of sockets are short
  after(() => rmSync(temporary, { recursive: true, force: true }));
  const env = { ...process.env, TMPDIR: temporary };
  const begin = `${IMPORT}const gitaly = await startGitaly();
const repository = { storageName: 'default', relativePath: 'a.git' };
await gitaly.connection.repository.createRepository({ repository });
await gitaly.connection.ref.findDefaultBranchName({ repository });
console.log(gitaly.directory);\n`;
  writeFileSync(join(directory, 'killed.js'), `${begin}setInterval(() => {}, 1000);\n`);
  writeFileSync(join(directory, 'next.js'), `${begin}await gitaly.close();\n`);
  const killed = spawn(process.execPath, ['killed.js'], { cwd: directory, env });
  const ended = once(killed, 'exit').then(() => assert.fail('the test ended by itself'));
  const [output] = await Promise.race([once(killed.stdout, 'data'), ended]);
  ended.catch(() => {}); // it will be killed
  const [left] = String(output).split('\n');
  killed.kill('SIGKILL');
  await once(killed, 'exit');
  await until(() => processesIn(left ?? '').length === 0);
  assert.equal(existsSync(left ?? ''), true);

  const { code, stderr } = await run(process.execPath, ['next.js'], { cwd: directory, env });

  assert.equal(code, 0, stderr);
  assert.deepEqual(readdirSync(temporary), []);
});

/** Returns the processes that work in a directory; none where there is no /proc. */
function processesIn(folder: string): string[] {
  if (!existsSync('/proc/self/cwd')) return [];
  return readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readlinkSync(`/proc/${pid}/cwd`).startsWith(folder);
    } catch {
      return false; // it has ended, or is not ours
    }
  });
}
