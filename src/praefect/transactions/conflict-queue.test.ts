import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '#testkit/repositories/random-history';
import { ConflictQueue, covers, type LockedReferences, type QueuedWrite } from './conflict-queue.ts';

/** Enters writes, and records those that hold their references. */
function start() {
  const queue = new ConflictQueue();
  const held: string[] = [];
  const enter = (name: string, references: LockedReferences): QueuedWrite => {
    const write = queue.enter(references, () => held.push(name));
    if (write.isHeld) held.push(name);
    return write;
  };
  return { queue, held, enter };
}

test('writes wait for those before them that may lock the same references', () => {
  const { enter, held, queue } = start();
  const a = enter('a', ['refs/heads/a']);
  const b = enter('b', ['refs/heads/b', 'refs/heads/c']);
  enter('a again', ['refs/heads/a']);
  enter('below', ['refs/heads/c/d']);
  enter('above', ['refs/heads']);
  enter('beside', ['refs/heads-up', 'refs/tags/a']);
  assert.deepEqual(held.splice(0), ['a', 'b', 'beside']);
  assert.deepEqual([queue.size, queue.waiting], [6, 3]);

  a.leave();
  assert.deepEqual(held.splice(0), ['a again']);
  b.leave();
  assert.deepEqual(held, ['below']);
});

test('a write of a very long name locks all references', () => {
  const { enter, held } = start();
  const long = enter('long', [`refs/heads/${'a'.repeat(1014)}`]);
  enter('other', ['refs/heads/b']);
  assert.deepEqual(held, ['long']);

  long.leave();
  assert.deepEqual(held, ['long', 'other']);
});

test('a write of all references is not overtaken, and holds up none when it leaves', () => {
  const { enter, held } = start();
  const a = enter('a', ['refs/a']);
  const all = enter('all', undefined);
  enter('b', ['refs/b']);
  enter('a again', ['refs/a']);
  assert.deepEqual(held.splice(0), ['a']);

  all.leave();
  assert.deepEqual(held.splice(0), ['b']);
  a.leave();
  a.leave();
  assert.deepEqual(held, ['a again']);
});

test('a write that widens waits for those that hold references, and not for those that wait', () => {
  const { enter, held } = start();
  const a = enter('a', ['refs/a']);
  const b = enter('b', ['refs/b']);
  enter('a again', ['refs/a']);
  held.length = 0;

  a.widen();
  enter('b again', ['refs/b']);
  enter('c', ['refs/c']);
  assert.equal(a.isHeld, false);
  b.leave();
  assert.deepEqual(held.splice(0), ['a']);
  a.leave();
  assert.deepEqual(held, ['a again', 'b again', 'c']);
});

test('two writes that widen go on one after the other', () => {
  const { enter, held } = start();
  const [a, b] = [enter('a', ['refs/a']), enter('b', ['refs/b'])];
  held.length = 0;
  a.widen();
  b.widen();
  assert.deepEqual([a.isHeld, b.isHeld], [false, true]);
  b.leave();
  assert.deepEqual(held, ['a']);
});

test('one write covers another if all that conflicts with the other conflicts with it', () => {
  const covering = (one: LockedReferences, other: LockedReferences): boolean => covers(one, other);
  assert.equal(covering(undefined, undefined), true);
  assert.equal(covering(undefined, ['refs/a']), true);
  assert.equal(covering(['refs/a'], undefined), false);
  assert.equal(covering(['refs/a', 'refs/b'], ['refs/a/c']), true);
  assert.equal(covering(['refs/a/c'], ['refs/a']), false);
  assert.equal(covering(['refs/a'], ['refs/a', 'refs/b']), false);
});

interface ModelWrite {
  readonly name: number;
  references: LockedReferences;
  /** All writes for which it waits. */
  readonly ahead: Set<ModelWrite>;
  isWidened: boolean;
}

/** The queue by its rules: each write records all writes for which it waits. */
class Model {
  readonly writes: ModelWrite[] = [];

  get held(): number[] {
    return this.writes.filter(({ ahead }) => ahead.size === 0).map(({ name }) => name);
  }

  enter(name: number, references: LockedReferences): void {
    const ahead = new Set(this.writes.filter((other) => conflict(other.references, references)));
    this.writes.push({ name, references, ahead, isWidened: false });
  }

  leave(name: number): void {
    const [left] = this.writes.splice(
      this.writes.findIndex((each) => each.name === name),
      1,
    );
    if (left !== undefined) for (const { ahead } of this.writes) ahead.delete(left);
  }

  widen(name: number): void {
    const write = this.writes.find((each) => each.name === name);
    if (write === undefined || write.references === undefined) return;
    for (const other of this.writes) {
      if (other === write) continue;
      if (other.ahead.size === 0) write.ahead.add(other);
      else if (!other.isWidened) other.ahead.add(write);
    }
    write.references = undefined;
    write.isWidened = true;
  }
}

/** Compares names by their components. */
function conflict(one: LockedReferences, other: LockedReferences): boolean {
  if (one === undefined || other === undefined) return true;
  return one.some((name) =>
    other.some((each) => {
      const [parts, others] = [name.split('/'), each.split('/')];
      const count = Math.min(parts.length, others.length);
      return parts.slice(0, count).join('/') === others.slice(0, count).join('/');
    }),
  );
}

const NAMES = ['a', 'b', 'a/b', 'a/b/c', 'a/c', 'ab', 'b/a', 'c'].map((name) => `refs/${name}`);

for (let seed = 1; seed <= 60; seed++)
  test(`random writes hold what the rules say (${seed})`, () => {
    const random = seededRandom(seed);
    const below = (limit: number): number => Math.floor(random() * limit);
    const chance = (share: number): boolean => random() < share;
    const { queue, enter } = start();
    const model = new Model();
    const writes = new Map<number, QueuedWrite>();
    const check = (step: string): void => {
      const held = [...writes].filter(([, { isHeld }]) => isHeld).map(([name]) => name);
      assert.deepEqual(held, model.held, step);
      assert.equal(queue.waiting, model.writes.length - model.held.length);
    };
    let entered = 0;
    for (let count = 0; count < 400; count++) {
      const names = [...writes.keys()];
      const name = names[below(names.length)];
      const isEntry = name === undefined || (names.length < 12 && chance(0.5));
      if (isEntry) {
        const references = chance(0.1)
          ? undefined
          : Array.from({ length: 1 + below(2) }, () => NAMES[below(NAMES.length)] ?? '');
        writes.set(entered, enter(String(entered), references));
        model.enter(entered, references);
        check(`${entered++} enters`);
      } else if (writes.get(name)?.isHeld === true && chance(0.15)) {
        writes.get(name)?.widen();
        model.widen(name);
        check(`${name} widens`);
      } else {
        // Writes that hold their references end, those that wait may leave.
        writes.get(name)?.leave();
        writes.delete(name);
        model.leave(name);
        check(`${name} leaves`);
      }
    }
    for (const write of writes.values()) write.leave();
    assert.equal(queue.size, 0);
  });
