import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { run } from '../run-program.ts';
import { makeScratchDirectory } from '../scratch-directory.ts';
import { addCommit, gitOutput, initRepository, referenceBackends } from './init-repository.ts';

for (const referenceBackend of referenceBackends())
  test(`repositories are equal, as git makes them, and changed alone (${referenceBackend})`, async (t) => {
    const directory = makeScratchDirectory('init');
    t.after(() => rmSync(directory, { recursive: true }));
    const options = { commits: 2, objectFormat: 'sha256', referenceBackend } as const;
    const [first, second, third] = ['first', 'second', 'third'].map((name) => join(directory, name));
    assert.ok(first !== undefined && second !== undefined && third !== undefined);
    initRepository(first, options);
    const tip = gitOutput(first, ['rev-parse', 'main']);
    gitOutput(first, ['update-ref', '-d', 'refs/heads/main']);
    gitOutput(first, ['config', 'a.b', 'c']);

    initRepository(second, options);
    initRepository(third, { ...options, commits: 0 });

    assert.equal(gitOutput(second, ['rev-parse', 'main']), tip);
    assert.equal(gitOutput(second, ['rev-list', '--count', 'main']), '2');
    assert.equal(gitOutput(second, ['fsck', '--strict']), '');
    assert.equal(gitOutput(third, ['rev-parse', '--show-object-format']), 'sha256');
    assert.equal(gitOutput(third, ['for-each-ref']), '');
    // The same as git makes: modes, and no further file.
    await run('git', ['init', '-q', '--bare', '--template=', '-b', 'main', join(directory, 'plain')]);
    initRepository(join(directory, 'copy'));
    const listing = async (name: string) =>
      (await run('sh', ['-c', 'cd "$1" && find . -printf "%p %m\\n" | sort', 'sh', join(directory, name)]))
        .stdout;
    assert.equal(await listing('copy'), await listing('plain'));
    initRepository(join(directory, 'copy'), { commits: 1 });
    assert.equal(gitOutput(join(directory, 'copy'), ['rev-list', '--count', 'main']), '1');
  });

// Without a number it replaced the history of a branch.
test('a commit is added to the branch, which begins with the first', (t) => {
  const directory = makeScratchDirectory('init');
  t.after(() => rmSync(directory, { recursive: true }));
  initRepository(directory);

  const added = [addCommit(directory), addCommit(directory), addCommit(directory, 7)];

  const history = gitOutput(directory, ['rev-list', '--reverse', 'main']).split('\n');
  assert.deepEqual(history, added);
});
