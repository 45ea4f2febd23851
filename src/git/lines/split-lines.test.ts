import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '#testkit/repositories/random-history';
import { testSeed } from '#testkit/test-seed';
import { FallBackToGit } from '../command/in-process.ts';
import { LineSplitter, type Lines, MAX_LINES } from './split-lines.ts';

const SEED = testSeed();

/** Returns lines with their line feeds. */
function linesOf({ bytes, starts }: Lines): string[] {
  return Array.from(starts.subarray(0, -1), (start, line) =>
    bytes.toString('latin1', start, starts[line + 1]),
  );
}

test(`equal lines of files have equal ids, and others do not (seed ${SEED})`, () => {
  const next = seededRandom(SEED);
  const random = (below: number): number => Math.floor(next() * below);
  const alphabet = ['', 'a', 'b', ' a', 'a ', '\r', '\0', 'ÿ'];
  for (let round = 0; round < 200; round++) {
    const splitter = new LineSplitter();
    const known = new Map<string, number>();
    for (const feed of ['\n', '']) {
      const line = (): string => `${alphabet[random(alphabet.length)]}${alphabet[random(alphabet.length)]}`;
      const text = `${Array.from({ length: random(round * 4) }, line).join('\n')}${feed}`;

      const lines = splitter.split(Buffer.from(text, 'latin1'));

      assert.deepEqual(linesOf(lines), text.match(/[^\n]*\n|[^\n]+$/g) ?? []);
      for (const [index, each] of linesOf(lines).entries()) {
        const id = lines.ids[index] ?? -1;
        assert.equal(known.get(each) ?? known.size, id);
        known.set(each, id);
      }
    }
    assert.equal(splitter.count, known.size);
  }
});

test(`a version is split as the whole file, whatever both begin and end with (seed ${SEED})`, () => {
  const next = seededRandom(SEED);
  const random = (below: number): number => Math.floor(next() * below);
  const words = ['', '\n', 'a', 'a\n', 'b\n', 'aa\n', '\n\n', 'long'.repeat(100)];
  const text = (count: number): string =>
    Array.from({ length: random(count) }, () => words[random(words.length)]).join('');
  for (let round = 0; round < 500; round++) {
    const [start, end] = [text(40), text(40)];
    const [before, after] = [text(5), text(5)].map((each) => Buffer.from(start + each + end));
    assert.ok(before !== undefined && after !== undefined);
    const splitter = new LineSplitter();
    const known = splitter.split(before);

    const found = splitter.split(after, known);

    const whole = splitter.split(after);
    assert.deepEqual([found.ids, found.starts], [whole.ids, whole.starts], JSON.stringify([before, after]));
  }
});

test('files of the most lines keep their ids when there are many different ones', () => {
  const splitter = new LineSplitter();
  const text = (word: string): Buffer =>
    Buffer.from(Array.from({ length: MAX_LINES }, (_, line) => `${word} ${line}\n`).join(''));
  const first = splitter.split(text('one'));
  splitter.split(text('other'));

  assert.deepEqual(splitter.split(text('one')).ids, first.ids);
  assert.equal(splitter.count, 2 * MAX_LINES);
  assert.throws(() => splitter.split(text('fourth')), /cannot be split together/);
});

test('files of too many lines are left to git', () => {
  const most = Buffer.from('line\n'.repeat(MAX_LINES));
  const more = Buffer.from('x\n');
  for (const parts of [
    [most, more],
    [more, most],
  ]) {
    const splitter = new LineSplitter();
    const known = splitter.split(most);
    assert.throws(() => splitter.split(Buffer.concat(parts)), FallBackToGit);
    assert.throws(() => splitter.split(Buffer.concat(parts), known), FallBackToGit);
  }
});

test('only the last splitter works', () => {
  const splitter = new LineSplitter();
  new LineSplitter().split(Buffer.from('a\n'));

  assert.throws(() => splitter.split(Buffer.from('a\n')), /cannot be split together/);
});
