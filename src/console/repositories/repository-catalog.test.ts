import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import type { Connection } from '#client/connection';
import { replaceMethod } from '#testkit/replace-method';
import { until } from '#testkit/until';
import { RepositoryCatalog } from './repository-catalog.ts';
import type { RepositoryScanner } from './scanned-table.ts';

const { signal } = new AbortController();

/** A scanner whose results and durations a test sets, and a clock that they move. */
class ScriptedScanner implements RepositoryScanner {
  size = 0;
  takesMs = 0;
  fails = false;
  resets = 0;
  scans = 0;
  nowMs = 0;
  /** Repositories by directory, of the next scan. */
  found = new Map<string, readonly string[] | undefined>();

  reset(): void {
    this.resets++;
  }

  async *changes() {
    this.scans++;
    const { found } = this;
    this.found = new Map();
    for (const [directory, names] of found)
      yield { directory, repositories: names?.map((relativePath) => ({ relativePath, modifiedMs: 1 })) };
    this.nowMs += this.takesMs;
    if (this.fails) throw new Error('the disk has failed');
  }
}

/** Opens a catalog whose repositories cannot be measured. */
function open(context: TestContext) {
  const scanner = new ScriptedScanner();
  replaceMethod(context, performance, 'now', () => scanner.nowMs);
  const measured: string[] = [];
  const refuse = async (request: { readonly repository: { readonly relativePath: string } }) => {
    measured.push(request.repository.relativePath);
    throw new Error('nothing is measured');
  };
  // The measurer calls nothing else.
  const connection = { repository: { repositoryInfo: refuse } } as unknown as Connection;
  const catalog = new RepositoryCatalog({ connection, storage: 'default', scanner });
  context.after(() => catalog[Symbol.dispose]());
  const names = async () => (await catalog.list({ signal, waitMs: 10_000 })).table.names;
  return { measured, names, scanner };
}

test('changes are merged into the list, and the rest stays', async (context) => {
  const { names, scanner } = open(context);
  scanner.found = new Map([
    ['', ['x.git']],
    ['a', ['a/1.git', 'a/2.git']],
    ['a/b', ['a/b/1.git']],
  ]);
  assert.deepEqual(await names(), ['a/1.git', 'a/2.git', 'a/b/1.git', 'x.git']);

  scanner.nowMs += 201;
  scanner.found = new Map([
    ['a', ['a/2.git', 'a/3.git']],
    ['a/b', undefined],
    ['c', ['c/1.git']],
  ]);

  assert.deepEqual(await names(), ['a/2.git', 'a/3.git', 'c/1.git', 'x.git']);
  assert.equal(scanner.resets, 1);
});

test('few directories are scanned for every request, at most five times a second', async (context) => {
  const { names, scanner } = open(context);
  [scanner.size, scanner.takesMs] = [256, 1000];
  await names();

  scanner.nowMs += 200;
  await names();
  assert.equal(scanner.scans, 1);
  scanner.nowMs += 1;
  await names();
  scanner.nowMs += 201;
  await names();

  assert.equal(scanner.scans, 3);
});

// Symptom: after the first walk of a million repositories had taken minutes, the list stayed as it
// was for hours.
test('many directories are scanned for a twentieth of the time, after the first scan', async (context) => {
  const { names, scanner } = open(context);
  [scanner.size, scanner.takesMs] = [257, 300_000];
  await names();

  scanner.takesMs = 1000;
  scanner.nowMs += 201;
  await names();
  assert.equal(scanner.scans, 2);
  scanner.nowMs += 20_000;
  await names();
  assert.equal(scanner.scans, 2);
  scanner.nowMs += 1;
  await names();

  assert.equal(scanner.scans, 3);
});

test('after a failed scan the list is used, and the next scan reads everything', async (context) => {
  const { names, scanner } = open(context);
  scanner.found = new Map([['', ['a.git', 'b.git']]]);
  await names();
  scanner.fails = true;
  scanner.nowMs += 201;
  assert.deepEqual(await names(), ['a.git', 'b.git']);

  scanner.fails = false;
  scanner.nowMs += 201;
  scanner.found = new Map([['', ['b.git']]]);

  assert.deepEqual(await names(), ['b.git']);
  assert.equal(scanner.resets, 2);
});

// Symptom: the first page of ten thousand repositories took half a second longer while they were
// measured.
test('nothing is measured in the background for a moment after a request', async (context) => {
  const { measured, names, scanner } = open(context);
  scanner.found = new Map([['', ['a.git', 'b.git']]]);
  await names();

  for (let turn = 0; turn < 20; turn++) await setImmediate();
  assert.deepEqual(measured, []);
  scanner.nowMs += 299;
  await names();
  scanner.nowMs += 299;
  for (let turn = 0; turn < 20; turn++) await setImmediate();
  assert.deepEqual(measured, []);
  scanner.nowMs += 1;

  await until(() => measured.length === 2);
});

test('requests that follow each other do not end the work in the background', async (context) => {
  const { measured, names, scanner } = open(context);
  scanner.found = new Map([['', ['a.git', 'b.git']]]);
  await names();

  await until(async () => {
    scanner.nowMs += 250;
    await names();
    return measured.length === 2;
  });
});
