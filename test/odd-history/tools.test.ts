import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { programCommand } from '#testkit/programs/program-command';
import { gitOutput } from '#testkit/repositories/init-repository';
import { type RunResult, run } from '#testkit/run-program';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import { gitBytes, makeOddRepository, STATES } from './odd-repository.ts';

const PROGRAM = programCommand('gitaly-ts');

let gitaly: TestGitaly;
let scratch: string;
before(async () => {
  gitaly = await startGitaly();
  scratch = makeScratchDirectory('odd');
});
after(async () => {
  await gitaly[Symbol.asyncDispose]();
  rmSync(scratch, { recursive: true, force: true });
});

const tool = (...args: string[]): Promise<RunResult> => run(process.execPath, [...PROGRAM, ...args]);
const references = (path: string): string =>
  gitBytes(path, ['for-each-ref', '--format=%(refname) %(objectname)']).toString('latin1');

test('import takes every oddity but a branch of a tag, and names what git refuses', async () => {
  const [source, sources] = [join(scratch, 'in'), join(scratch, 'refused')];
  const odd = makeOddRepository(source, 'packed references');
  makeOddRepository(sources, 'a shallow file');
  makeOddRepository(sources, 'replace references and grafts');
  const to = ['--to', gitaly.address, '--prefix', 'imported'];

  const branchOfTag = await tool('import', odd.path, ...to, '--no-fsck');
  gitOutput(odd.path, ['update-ref', '-d', 'refs/heads/of-a-tag']);
  const checked = await tool('import', odd.path, ...to);
  const refused = await tool('import', '--recursive', sources, ...to);
  const imported = await tool('import', odd.path, ...to, '--no-fsck');

  assert.match(branchOfTag.stderr, /trying to write non-commit object \w+ to branch 'refs\/heads\/of-a-tag'/);
  assert.match(checked.stderr, /badDate(?:Overflow)?: .*use --no-fsck to import it nevertheless/);
  assert.match(refused.stderr, /is a shallow clone: .*\n.*has info\/grafts/);
  assert.equal(imported.code, 0, imported.stderr);
  assert.match(imported.stdout, /without refs\/stash, refs\/x, which git does not push/);
  const left = /^refs\/(?:stash|x) .*\n?/gm;
  assert.equal(
    references(join(gitaly.storagePath(), 'imported', odd.relativePath)),
    references(odd.path).replaceAll(left, ''),
  );
});

test('repositories with every oddity are listed, described, backed up and verified', async () => {
  const served = STATES.map((state) => makeOddRepository(join(gitaly.storagePath(), 'served'), state));
  for (const { path } of served.slice(1)) gitOutput(path, ['update-ref', '-d', 'refs/heads/of-a-tag']);
  const to = ['--to', gitaly.address];
  const backups = join(scratch, 'backups');
  const one = served[0]?.relativePath ?? '';

  const list = await tool('repo', 'list', ...to);
  const info = await tool('repo', 'info', `served/${one}`, '--json', ...to);
  const create = await tool('backup', 'create', gitaly.address, '--to', backups);
  const verify = await tool('backup', 'verify', backups);

  const paths = [
    join('imported', 'packed-references.git'),
    ...served.map(({ relativePath }) => `served/${relativePath}`),
  ];
  assert.deepEqual(list.stdout.split('\n').slice(0, -1).sort(), paths.sort(), list.stderr);
  const facts = JSON.parse(info.stdout);
  assert.deepEqual([facts.defaultBranch, facts.looseReferences], ['main', 78]);
  assert.ok(create.stderr.includes(`: ${paths.length} backed up, 0 skipped, 0 failed,`), create.stderr);
  const bad = verify.stdout.split('\n').filter((line) => line.includes('"bad"'));
  assert.equal(bad.length, 1, verify.stdout);
  assert.match(String(bad), /trying to write non-commit object \w+ to branch 'refs\/heads\/\S+\/of-a-tag'/);
});
