import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { onViolation, type Violation } from '#base/invariant';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { stateRoot } from '../storage-layout.ts';
import {
  beginChange,
  currentGeneration,
  type GenerationTarget,
  PENDING_MAX_AGE_MS,
} from './cache-generations.ts';

function target(context: TestContext): GenerationTarget {
  const directory = makeScratchDirectory('generation');
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  return { storage: { name: 'default', path: directory }, relativePath: 'a/x.git' };
}

test('a generation stays until something changes', async (context) => {
  const repository = target(context);

  const first = await currentGeneration(repository);

  assert.match(first ?? '', /^[0-9a-f-]{36}$/);
  assert.equal(await currentGeneration(repository), first);
  assert.notEqual(await currentGeneration({ ...repository, relativePath: 'a/y.git' }), first);
});

test('during a change there is no generation, after it a new one', async (context) => {
  const repository = target(context);
  const first = await currentGeneration(repository);

  const change = await beginChange(repository);
  assert.equal(await currentGeneration(repository), undefined);
  await change.end();

  const second = await currentGeneration(repository);
  assert.ok(second !== undefined && second !== first);
  assert.deepEqual(readdirSync(`${stateRoot(repository.storage)}/a/x.git/pending`), []);
});

test('there is no generation until the last of several changes ends', async (context) => {
  const repository = target(context);
  const [one, two] = await Promise.all([beginChange(repository), beginChange(repository)]);

  await one.end();
  assert.equal(await currentGeneration(repository), undefined);
  await two.end();

  assert.notEqual(await currentGeneration(repository), undefined);
});

test('the mark of a dead process expires, and its possible changes are not cached', async (context) => {
  const repository = target(context);
  const first = await currentGeneration(repository);
  await beginChange(repository);
  const pending = `${stateRoot(repository.storage)}/a/x.git/pending`;
  const [mark] = readdirSync(pending);
  const oldSeconds = (Date.now() - PENDING_MAX_AGE_MS) / 1000 - 1;
  utimesSync(`${pending}/${mark}`, oldSeconds, oldSeconds);

  const next = await currentGeneration(repository);

  assert.ok(next !== undefined && next !== first);
  assert.deepEqual(readdirSync(pending), [mark], 'it leads to what the process left');
});

test('an id that a reader made during a change does not outlive its mark', async (context) => {
  const repository = target(context);
  await beginChange(repository);
  const directory = `${stateRoot(repository.storage)}/a/x.git`;
  // A reader that saw no mark wrote this.
  writeFileSync(`${directory}/latest`, 'too-early');
  const oldSeconds = (Date.now() - PENDING_MAX_AGE_MS) / 1000 - 1;
  for (const name of readdirSync(`${directory}/pending`))
    utimesSync(`${directory}/pending/${name}`, oldSeconds, oldSeconds);
  utimesSync(`${directory}/latest`, oldSeconds + 1, oldSeconds + 1);

  const next = await currentGeneration(repository);

  assert.notEqual(next, 'too-early');
  assert.equal(await currentGeneration(repository), next, 'later ones are kept');
});

test('a change of any length counts while its process makes others', async (context) => {
  const repository = target(context);
  const long = await beginChange(repository);
  const pending = `${stateRoot(repository.storage)}/a/x.git/pending`;
  const [mark] = readdirSync(pending);
  const oldSeconds = (Date.now() - PENDING_MAX_AGE_MS) / 1000 - 1;
  utimesSync(`${pending}/${mark}`, oldSeconds, oldSeconds);

  const other = await beginChange({ ...repository, relativePath: 'a/y.git' });
  await other.end();

  assert.equal(await currentGeneration(repository), undefined);
  await long.end();
  assert.notEqual(await currentGeneration(repository), undefined);
});

test('changes are marked again after the cleaner has taken everything away', async (context) => {
  const repository = target(context);
  await (await beginChange(repository)).end();
  rmSync(stateRoot(repository.storage), { recursive: true });

  const change = await beginChange(repository);

  assert.equal(await currentGeneration(repository), undefined);
  await change.end();
  assert.notEqual(await currentGeneration(repository), undefined);
});

test('many readers and changes at once end in one generation', async (context) => {
  const repository = target(context);

  const changes = Array.from({ length: 20 }, async () => {
    const change = await beginChange(repository);
    await currentGeneration(repository);
    await change.end();
  });
  await Promise.all(changes);

  assert.equal(await currentGeneration(repository), await currentGeneration(repository));
  assert.notEqual(await currentGeneration(repository), undefined);
});

test('the mark of a change stays as long as an id from before its end may be used', async (context) => {
  const repository = target(context);
  const state = `${stateRoot(repository.storage)}/a/x.git`;
  const change = await beginChange(repository);
  // It cannot be removed as a file.
  mkdirSync(`${state}/latest`);

  await assert.rejects(change.end());

  assert.equal(readdirSync(`${state}/pending`).length, 1);
  assert.equal(await currentGeneration(repository), undefined);
});

test('a change that begins takes the id away, which a reader of it may have kept', async (context) => {
  const repository = target(context);
  const latest = `${stateRoot(repository.storage)}/a/x.git/latest`;
  await currentGeneration(repository);
  assert.equal(existsSync(latest), true);

  const change = await beginChange(repository);

  assert.equal(existsSync(latest), false);
  await change.end();
});

test('a generation that was not written here ends the call, and the next one renews it', async (context) => {
  const repository = target(context);
  const first = await currentGeneration(repository);
  const latest = `${stateRoot(repository.storage)}/a/x.git/latest`;
  const broken: Violation[] = [];
  using _listening = onViolation((violation) => broken.push(violation));
  writeFileSync(latest, `${first}\n`);

  await assert.rejects(currentGeneration(repository), { code: 'INTERNAL' });

  const second = await currentGeneration(repository);
  assert.ok(second !== undefined && second !== first);
  assert.deepEqual(broken, [
    { invariant: 'cache-generation', what: 'a generation is not as it was written' },
  ]);

  writeFileSync(latest, ''); // as a power failure may leave it
  const third = await currentGeneration(repository);
  assert.ok(third !== undefined && third !== '' && third !== second);
  assert.equal(broken.length, 1);
});
