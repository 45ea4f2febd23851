import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isSharedInstance, SHARED_CLASS } from './shared-class.ts';

/** Returns the classes of one copy of a program. */
function load() {
  class Failure extends Error {
    static readonly [SHARED_CLASS]: string = 'Failure';

    static override [Symbol.hasInstance](value: unknown): boolean {
      // biome-ignore lint/complexity/noThisInStatic: subclasses inherit this function
      return isSharedInstance(this, value);
    }
  }
  class CallFailure extends Failure {
    static override readonly [SHARED_CLASS]: string = 'CallFailure';
  }
  class OwnFailure extends CallFailure {}
  return { Failure, CallFailure, OwnFailure };
}

const ours = load();
const theirs = load();

for (const [name, made] of Object.entries({ ours, theirs })) {
  test(`an instance of a class of ${name} is one of the class and its parents, not of its children`, () => {
    const { Failure, CallFailure } = ours;

    assert.ok(new made.CallFailure() instanceof CallFailure);
    assert.ok(new made.CallFailure() instanceof Failure);
    assert.ok(new made.OwnFailure() instanceof CallFailure);
    assert.ok(!(new made.Failure() instanceof CallFailure));
  });
}

test('a class without a shared name has the usual instanceof', () => {
  assert.ok(new ours.OwnFailure() instanceof ours.OwnFailure);
  assert.ok(!(new theirs.OwnFailure() instanceof ours.OwnFailure));
  assert.ok(!(new ours.CallFailure() instanceof ours.OwnFailure));
});

test('nothing else is an instance', () => {
  for (const value of [undefined, null, 'text', {}, Object.create(null), new Error('x'), { constructor: 1 }])
    assert.ok(!((value as unknown) instanceof ours.Failure));
});
