import assert from 'node:assert/strict';
import { appendFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { GitFixture } from '#testkit/repositories/git-fixture';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { FallBackToGit } from '../command/in-process.ts';
import { requirePlainMerge } from './plain-merge.ts';

const root = makeScratchDirectory('plain-merge');
const git = await GitFixture.start();
after(async () => {
  await git.close();
  rmSync(root, { recursive: true });
});
let made = 0;

interface Arrangement {
  readonly info?: string;
  readonly config?: string;
  /** Files of HEAD by path. */
  readonly files?: Readonly<Record<string, string>>;
}

function makeRepository({ info, config = '', files = {} }: Arrangement): string {
  const path = join(root, `${made++}.git`);
  initRepository(path);
  const changes = Object.entries({ 'd/f': 'x\n', ...files }).map(
    ([name, text]) => `M 100644 inline ${name}\ndata ${text.length}\n${text}\n`,
  );
  const head = 'commit refs/heads/main\ncommitter a <a@x> 1 +0000\ndata 0\n\n';
  gitOutput(path, ['fast-import', '--quiet'], `${head}${changes.join('')}`);
  mkdirSync(join(path, 'info'), { recursive: true });
  if (info !== undefined) writeFileSync(join(path, 'info/attributes'), info);
  appendFileSync(join(path, 'config'), config);
  return path;
}

const isPlain = async (arrangement: Arrangement): Promise<boolean> =>
  await requirePlainMerge(git.open(makeRepository(arrangement)), Buffer.from('d/f'), {}).then(
    () => true,
    (error: unknown) => {
      assert.ok(error instanceof FallBackToGit, String(error));
      return false;
    },
  );

const { attrTree } = git.git.capabilities;
for (const [name, arrangement, expected] of [
  ['nothing special', {}, true],
  ['attributes of other files', { info: 'other merge=union\nf text\n' }, true],
  ['a driver', { info: 'f merge=union\n' }, false],
  ['no merge', { info: '* -merge\n' }, false],
  ['a macro', { info: '*f binary\n' }, false],
  ['a setting of merges', { config: '[merge]\n\trenormalize = true\n' }, false],
  ['a setting of diffs', { config: '[diff]\n\talgorithm = patience\n' }, false],
  ['another setting', { config: '[gc]\n\tauto = 0\n' }, true],
  // git reads the attributes of HEAD since 2.43.
  ['a driver in HEAD', { files: { '.gitattributes': 'f merge=union\n' } }, !attrTree],
  ['a driver in a directory of HEAD', { files: { 'd/.gitattributes': 'f merge=ours\n' } }, !attrTree],
  ['a driver in another directory', { files: { 'e/.gitattributes': 'f merge=ours\n' } }, true],
  ['large attributes in HEAD', { files: { '.gitattributes': '#\n'.repeat(20_000) } }, !attrTree],
] as const) {
  test(`a file is merged in process only with git's defaults: ${name}`, async () => {
    assert.equal(await isPlain(arrangement), expected);
  });
}
