import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GitalyError } from '#base/gitaly-error';
import { InvariantError } from '#base/invariant';
import { FallBackToGit, fallBackOnFailure, InProcess, type InProcessOptions } from './in-process.ts';

/** An `InProcess` and what it reports. */
function watched(options: InProcessOptions = {}): { inProcess: InProcess; seen: string[] } {
  const seen: string[] = [];
  const observer = {
    onAnswered: (name: string) => void seen.push(`${name} in process`),
    onFellBack: (name: string, reason: string | undefined) => void seen.push(`${name} by git: ${reason}`),
  };
  return { inProcess: new InProcess({ observer, ...options }), seen };
}

function unusual(): never {
  throw new FallBackToGit('unusual');
}

function systemError(): Error {
  return Object.assign(new Error('EACCES: permission denied'), { code: 'EACCES', errno: -13 });
}

test('an attempt that has an answer starts no git', async () => {
  const { inProcess, seen } = watched();

  assert.equal(await inProcess.attempt('read_ref', () => 'ours', assert.fail), 'ours');
  assert.equal(
    inProcess.attemptNow('resolve_name', () => undefined, assert.fail),
    undefined,
  );
  const each = inProcess.attemptEach('list_refs', () => list(1, 2), assert.fail);
  assert.deepEqual(await Array.fromAsync(each), [1, 2]);

  assert.deepEqual(seen, ['read_ref in process', 'resolve_name in process', 'list_refs in process']);
});

test('git is asked after the signal to fall back, and after a failed system call', async () => {
  const { inProcess, seen } = watched();

  assert.equal(await inProcess.attempt('read_ref', unusual, () => 'git'), 'git');
  assert.equal(
    await inProcess.attempt(
      'read_ref',
      () => Promise.reject(systemError()),
      () => 'git',
    ),
    'git',
  );
  assert.equal(
    inProcess.attemptNow('resolve_name', unusual, () => 'git'),
    'git',
  );

  assert.deepEqual(seen, [
    'read_ref by git: unusual',
    'read_ref by git: EACCES',
    'resolve_name by git: unusual',
  ]);
});

test('git continues a list where the attempt stopped', async () => {
  const { inProcess, seen } = watched();
  async function* stops(): AsyncGenerator<number> {
    yield 1;
    unusual();
  }

  const each = inProcess.attemptEach('branch_tips', stops, () => list(2, 3));

  assert.deepEqual(await Array.fromAsync(each), [1, 2, 3]);
  assert.deepEqual(seen, ['branch_tips by git: unusual']);
});

test('a list is counted for a reader that takes only its beginning', async () => {
  const { inProcess, seen } = watched();

  for await (const value of inProcess.attemptEach('list_refs', () => list(1, 2), assert.fail)) {
    assert.equal(value, 1);
    break;
  }

  assert.deepEqual(seen, ['list_refs in process']);
});

test('errors of our own and aborts are not hidden by asking git', async () => {
  const { inProcess, seen } = watched();
  const ours = (): never => {
    throw new TypeError('ours');
  };
  async function* alsoOurs(): AsyncGenerator<number> {
    yield ours();
  }

  await assert.rejects(inProcess.attempt('read_ref', ours, assert.fail), TypeError);
  assert.throws(() => inProcess.attemptNow('resolve_name', ours, assert.fail), TypeError);
  await assert.rejects(Array.fromAsync(inProcess.attemptEach('list_refs', alsoOurs, assert.fail)), TypeError);
  const aborted = () =>
    Promise.reject(new GitalyError('CANCELLED', 'context canceled')).catch(fallBackOnFailure);
  await assert.rejects(inProcess.attempt('is_ancestor', aborted, assert.fail), { code: 'CANCELLED' });

  assert.deepEqual(seen, []);
});

test('an object that cannot be read is a reason to ask git', () => {
  assert.throws(() => fallBackOnFailure(new GitalyError('UNKNOWN', 'read info line: EOF')), FallBackToGit);
  assert.throws(() => fallBackOnFailure(new TypeError('ours')), TypeError);
  const broken = new InvariantError({ invariant: 'pack-entries', what: 'ours' });
  assert.throws(() => fallBackOnFailure(broken), InvariantError);
});

test('switched off, nothing is attempted', async () => {
  const { inProcess, seen } = watched({ isEnabled: false });

  assert.equal(await inProcess.attempt('read_ref', assert.fail, () => 'git'), 'git');
  assert.equal(
    inProcess.attemptNow('resolve_name', assert.fail, () => 'git'),
    'git',
  );
  assert.deepEqual(
    await Array.fromAsync(inProcess.attemptEach('list_refs', assert.fail, () => list(1))),
    [1],
  );

  assert.deepEqual(
    seen,
    ['read_ref', 'resolve_name', 'list_refs'].map((name) => `${name} by git: undefined`),
  );
});

async function* list(...values: number[]): AsyncGenerator<number> {
  yield* values;
}
