import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Bench } from '../bench/lib/bench.ts';
import { parseBenchArguments } from '../bench/lib/bench-arguments.ts';

const BENCHES: readonly Bench[] = ['clone', 'push'].map((name) => ({
  name,
  question: `time of a ${name}`,
  async *run() {},
}));
const parse = (...args: string[]) => parseBenchArguments(args, BENCHES, new Set(['push']));
const chosenBy = (...args: string[]) => {
  const parsed = parse(...args);
  assert.ok(parsed.kind === 'run', `${args}`);
  return parsed.chosen.map(({ name }) => name);
};

test('all benches run, or the one that is named, or those that are compared with git', () => {
  assert.deepEqual(chosenBy(), ['clone', 'push']);
  assert.deepEqual(chosenBy('--only', 'clone', '--quick'), ['clone']);
  assert.deepEqual(chosenBy('--git-table'), ['push']);
});

// A user saw: `npm run bench -- --help` ended with a stack trace.
test('--help prints the options, examples and all benches', () => {
  for (const flag of ['--help', '-h']) {
    const { kind, text } = { text: '', ...parse(flag, '--quick') };

    assert.equal(kind, 'help');
    assert.match(text, /^Usage: npm run bench -- \[options\]\n/);
    assert.match(text, /\nExamples:\n {2}npm run bench -- --quick\n/);
    assert.match(text, /\nBenches:\n {2}clone {2}time of a clone\n {2}push {3}time of a push\n$/);
  }
});

for (const [args, message] of [
  [['--onyl', 'clone'], /^Unknown option '--onyl'\nRun "npm run bench -- --help" for all options\.$/],
  [['--quick=1'], /^Option '--quick' does not take an argument\n/],
  [['--only'], /^Option '--only <value>' argument missing\n/],
  [['clone'], /^Unexpected argument 'clone'/],
  [['--only', 'clnoe'], /^There is no bench "clnoe"\. There are:\n {2}clone {2}time of a clone\n/],
] as const) {
  test(`"${args.join(' ')}" is wrong usage, which is explained in a few lines`, () => {
    const { kind, text } = { text: '', ...parse(...args) };

    assert.equal(kind, 'wrong');
    assert.match(text, message);
    assert.doesNotMatch(text, /\n {4}at /);
  });
}
