import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { Git } from '#git/command/git';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { GIT_ENVIRONMENT } from '#testkit/repositories/run-git';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { cloneSource } from './clone-source.ts';

const directory = makeScratchDirectory('clone-source');
after(() => rmSync(directory, { recursive: true }));
const { signal } = new AbortController();

// A user saw: an import that a hook had started wrote into the repository of the hook.
test("a copy of a source is not made with another repository's directories", async () => {
  const git = await Git.start({ binary: 'git' });
  const [source, other] = [join(directory, 'source.git'), join(directory, 'other.git')];
  initRepository(source, { commits: 1 });
  initRepository(other);
  const quarantine = join(other, 'objects/incoming');
  mkdirSync(quarantine);
  const environment = {
    ...process.env,
    ...GIT_ENVIRONMENT,
    GIT_DIR: other,
    GIT_OBJECT_DIRECTORY: quarantine,
    GIT_ALTERNATE_OBJECT_DIRECTORIES: join(source, 'objects'),
    GIT_QUARANTINE_PATH: quarantine,
    GIT_NAMESPACE: 'other',
    GIT_INDEX_FILE: join(other, 'index'),
  };
  const options = { environment, temporaryDirectory: directory, onBytes: () => {}, signal };

  await using copy = await cloneSource(git, pathToFileURL(source).href, options);

  assert.equal(gitOutput(copy.gitDirectory, ['rev-parse', 'main']), gitOutput(source, ['rev-parse', 'main']));
  assert.equal(gitOutput(copy.gitDirectory, ['fsck', '--connectivity-only']), '');
  assert.deepEqual(readdirSync(quarantine), []);
});
