import assert from 'node:assert/strict';
import { availableParallelism } from 'node:os';
import { after, test } from 'node:test';
import { setImmediate as settled } from 'node:timers/promises';
import { blockFor } from '#testkit/measure/loop-turns';
import { GitFixture } from '#testkit/repositories/git-fixture';
import { FallBackToGit, InProcess } from '../command/in-process.ts';
import { DiffOutputs, type OutputSource } from './diff-outputs.ts';

const git = await GitFixture.start();
const gitAlone = await GitFixture.start({ inProcess: new InProcess({ isEnabled: false }) });
after(async () => {
  await git.close();
  await gitAlone.close();
});

const TREES = { before: 'a', after: 'b', attributes: 'c' };
const MAX_OUTPUT_BYTES = 512 * 1024;
const MAX_AGE_MS = 5 * 60_000;

interface Made {
  readonly bytes?: number;
  readonly isWhole?: boolean;
  readonly path?: string;
  readonly name?: string;
  readonly fixture?: GitFixture;
  /** The output is made after that. */
  readonly after?: () => void | Promise<void>;
}

/** Reads outputs that are letters of a given number, and notes how each came about. */
class Reader {
  nowMs = 0;
  readonly outputs = new DiffOutputs(() => this.nowMs);
  readonly made: string[] = [];

  /** @param by where the output is made if it is not kept. */
  pieces(by: 'in process' | 'by git', options: Made = {}): AsyncGenerator<Buffer, void, undefined> {
    const {
      bytes = 3,
      isWhole = true,
      path = '/x.git',
      name = 'patch',
      fixture = git,
      after: first,
    } = options;
    const { made } = this;
    const source: OutputSource = {
      question: 'diff_files',
      async compare() {
        if (by === 'by git') throw new FallBackToGit('an unusual file');
        await first?.();
        made.push('in process');
        return Buffer.alloc(bytes, 'x');
      },
      async *askGit() {
        made.push('by git');
        yield Buffer.alloc(bytes - 1, 'x');
        yield Buffer.from('x');
        return isWhole;
      },
      signal: new AbortController().signal,
    };
    return this.outputs.read(fixture.open(path), { name, trees: TREES }, source);
  }

  /** Reads all of an output. */
  async read(by: 'in process' | 'by git', options: Made = {}): Promise<void> {
    const output = Buffer.concat(await Array.fromAsync(this.pieces(by, options)));
    assert.ok(output.equals(Buffer.alloc(options.bytes ?? 3, 'x')));
  }
}

for (const by of ['in process', 'by git'] as const) {
  test(`an output that is made ${by} is kept for five minutes`, async () => {
    const reader = new Reader();
    await reader.read(by);
    reader.nowMs = MAX_AGE_MS - 1;
    await reader.read(by);
    assert.deepEqual(reader.made, [by]);

    reader.nowMs = MAX_AGE_MS + 1;
    await reader.read(by);

    assert.deepEqual(reader.made, [by, by]);
  });

  test(`an output that is made ${by} is kept up to a size`, async () => {
    const reader = new Reader();
    for (const bytes of [MAX_OUTPUT_BYTES, MAX_OUTPUT_BYTES, MAX_OUTPUT_BYTES + 1, MAX_OUTPUT_BYTES + 1])
      await reader.read(by, { bytes, name: `patch of ${bytes}` });

    assert.deepEqual(reader.made, [by, by, by]);
  });
}

test('git makes an output that waits behind long ones', async () => {
  const reader = new Reader();
  for (let index = 0; index < 8; index++)
    await reader.read('in process', { name: `long ${index}`, after: () => blockFor(20) });
  const gate = Promise.withResolvers<void>();
  const others = ['one', 'two'].map((name) => reader.read('in process', { name, after: () => gate.promise }));
  await reader.read('in process', { name: 'three', after: () => gate.promise });
  assert.equal(reader.made.at(-1), 'by git');

  gate.resolve();
  await Promise.all(others);
  assert.equal(reader.made.filter((by) => by === 'by git').length, 1);
});

test('an output that is read slowly has no place on the event loop', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] }); // none of them becomes very long work
  const reader = new Reader();
  const slow = ['one', 'two'].map((name) => reader.pieces('in process', { name, bytes: 100_000 }));
  for (const pieces of slow) await pieces.next();

  const third = reader.read('in process', { name: 'three' });
  await settled();

  assert.deepEqual(reader.made, ['in process', 'in process', 'in process']);
  await third;
  for (const pieces of slow) await pieces.return();
});

test('an output that only git can make counts as one of its processes', async () => {
  const reader = new Reader();
  for (let index = 0; index < 8; index++)
    await reader.read('in process', { name: `long ${index}`, after: () => blockFor(20) });
  // Nobody reads them to the end.
  const unread = Array.from({ length: availableParallelism() }, (_, index) =>
    reader.pieces('by git', { name: `git ${index}` }),
  );
  for (const pieces of unread) await pieces.next();
  const gate = Promise.withResolvers<void>();
  const others = ['one', 'two'].map((name) => reader.read('in process', { name, after: () => gate.promise }));
  await reader.read('in process', { name: 'three' });
  assert.equal(reader.made.at(-1), 'in process');

  gate.resolve();
  await Promise.all(others);
  for (const pieces of unread) await pieces.return();
});

test('an output is that of its command, and of its repository until that is forgotten', async () => {
  const reader = new Reader();
  const all = ['/x.git', '/x.git2'].flatMap((path) => ['patch', 'numstat'].map((name) => ({ path, name })));
  for (const each of [...all, ...all]) await reader.read('in process', each);
  assert.equal(reader.made.length, 4);

  reader.outputs.forget(git.open('/x.git'));
  for (const each of all) await reader.read('in process', each);

  assert.equal(reader.made.length, 6);
});

test('nothing is kept that is not whole, nor without answers in process', async () => {
  for (const options of [{ isWhole: false }, { fixture: gitAlone }]) {
    const reader = new Reader();
    await reader.read('by git', options);
    await reader.read('by git', options);

    assert.deepEqual(reader.made, ['by git', 'by git']);
  }
});
