import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { LinkedFamily } from '#testkit/servers/linked-family';
import { type ForgetReplicas, forgetReplicas } from './replica-changes.ts';

const repository = { virtualStorage: 'default', relativePath: 'a.git' };
/** More turns than the messages of a change take. */
const TURNS = 20;

function start() {
  const forgotten: string[] = [];
  const family = new LinkedFamily();
  const forget = (name: string) => (): void => void forgotten.push(name);
  const first = forgetReplicas(family.supervisor, forget('first'));
  const workers = ['one', 'two'].map((name) => {
    const worker = family.start();
    return { worker, changed: forgetReplicas(worker, forget(name)) };
  });
  const [one, two] = workers;
  assert.ok(one && two);
  return { forgotten, first, one, two };
}

/** Reports whether a change is answered soon. */
async function isAnswered(changed: ForgetReplicas): Promise<{ readonly isOver: () => boolean }> {
  let isOver = false;
  void changed(repository).then(() => {
    isOver = true;
  });
  for (let turn = 0; turn < TURNS; turn++) await nextTurn();
  return { isOver: () => isOver };
}

test('a change is answered when every process has forgotten what it knew', async () => {
  for (const from of ['first', 'one', 'two'] as const) {
    const { first, forgotten, one, two } = start();

    await { first, one: one.changed, two: two.changed }[from](repository);

    assert.deepEqual(forgotten.sort(), ['first', 'one', 'two'], `changed by ${from}`);
  }
});

test('a change waits for a process that is busy', async () => {
  const { first, forgotten, one, two } = start();
  const unblock = two.worker.block();

  const changes = [await isAnswered(first), await isAnswered(one.changed)];

  assert.deepEqual(
    changes.map(({ isOver }) => isOver()),
    [false, false],
  );
  assert.equal(forgotten.includes('two'), false);
  unblock();
  for (let turn = 0; turn < TURNS; turn++) await nextTurn();
  assert.deepEqual(
    changes.map(({ isOver }) => isOver()),
    [true, true],
  );
});

test('a change does not wait for a process that has ended', async () => {
  const { first, two } = start();
  two.worker.block();
  const change = await isAnswered(first);

  two.worker.end();

  for (let turn = 0; turn < TURNS; turn++) await nextTurn();
  assert.equal(change.isOver(), true);
});

test('a worker whose supervisor has ended forgets by itself', async () => {
  const { forgotten, one } = start();
  one.worker.end();

  await one.changed(repository);

  assert.deepEqual(forgotten, ['one']);
});

test('the only process of a Praefect forgets by itself', async () => {
  const forgotten: unknown[] = [];

  await forgetReplicas(undefined, (changed) => forgotten.push(changed))(repository);

  assert.deepEqual(forgotten, [repository]);
});
