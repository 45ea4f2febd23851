import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { run } from '#testkit/run-program';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { ROOT } from './registry.ts';

// The examples of docs/testing.md, run as they are.

const NAMES = [
  'flagCombinations',
  'HANG_UP',
  'lfsPointer',
  'startGitaly',
  'startInternalApi',
  'startVotingServer',
];
/** The names that examples do not declare themselves. */
const AROUND = (example: string): string => `
import assert from 'node:assert/strict';
import { ${NAMES.join(', ')} } from 'gitaly-ts/testing';
await using server = await startGitaly();
{
  const gitaly = server;
  const repository = await gitaly.createRepository({ commits: 1 });
  const request = { repository, revision: Buffer.from('main') };
  {
${example}
    await gitaly.close();
  }
}
`;

const page = readFileSync(join(ROOT, 'docs/testing.md'), 'utf8');
const examples = [...page.matchAll(/^```ts\n(?<code>[^`]*)^```$/gm)].map(({ groups }) => groups?.code ?? '');
const directory = makeScratchDirectory('page');
after(() => rmSync(directory, { recursive: true, force: true }));
mkdirSync(join(directory, 'node_modules'));
symlinkSync(ROOT, join(directory, 'node_modules/gitaly-ts'));

for (const [index, example] of examples.entries()) {
  test(`example ${index + 1} of docs/testing.md`, async () => {
    const file = join(directory, `example-${index}.mts`);
    writeFileSync(file, example.startsWith('import ') ? example : AROUND(example));

    const { code, stderr } = await run(process.execPath, ['--conditions=source', file], { cwd: directory });

    assert.equal(code, 0, `${example}\n${stderr}`);
  });
}

test('the page has examples', () => {
  assert.ok(examples.length > 5);
});
