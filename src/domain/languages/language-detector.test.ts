import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LanguageDetector } from './language-detector.ts';

const file = (path: string, content: string) => ({
  path,
  attributes: {},
  content: new Uint8Array(Buffer.from(content)),
});

const { signal } = new AbortController();

test('questions that are asked at once are all answered, each with its own', async () => {
  const detector = new LanguageDetector().forCall();

  const [languages, excluded, described] = await Promise.all([
    detector.languagesOf([file('a.rb', ''), file('README.md', '# x'), file('a.go', '')], signal),
    detector.areExcluded([
      { path: 'vendor/a.rb', attributes: {} },
      { path: 'a.rb', attributes: {} },
    ]),
    detector.describe(['Ruby', 'HTML+ERB', 'nonsense']),
  ]);

  assert.deepEqual(languages, ['Ruby', undefined, 'Go']);
  assert.deepEqual(excluded, [true, false]);
  assert.deepEqual(described, [{ id: 326, color: '#701516' }, { id: 150, color: '#701516' }, undefined]);
});

test('the thread does not keep the process alive', async () => {
  const detector = new LanguageDetector().forCall();

  await detector.describe(['Ruby']);

  // The test runner waits for open handles; a referenced thread would keep it from ending.
  assert.ok(!process.getActiveResourcesInfo().includes('MessagePort'));
});

test('a file on which a pattern takes too long has no language, and the others keep theirs', async () => {
  const detector = new LanguageDetector({ batchMs: 500 }).forCall();
  // Line feeds for a pattern that matches a line that begins with white space: it scans to the end
  // once for every line.
  const slow = Array.from({ length: 2 }, () => file('a.fpp', '\n'.repeat(16 * 1024)));

  const languages = await detector.languagesOf(
    [...slow, file('a.rb', ''), ...slow, file('a.go', '')],
    signal,
  );

  assert.deepEqual([languages[2], languages[5]], ['Ruby', 'Go']);
});

// One hostile repository delayed CommitLanguages of all others, by five seconds for each batch.
test('a call whose files are slow delays others once, for half a second', async () => {
  const detector = new LanguageDetector({ batchMs: 1500 });
  const hostile = detector.forCall();
  const slow = Array.from({ length: 4 }, () => file('a.fpp', '\n'.repeat(16 * 1024)));
  let isOver = false;
  const counting = hostile.languagesOf(slow, signal).finally(() => {
    isOver = true;
  });

  for (let count = 0; count < 5; count++) {
    assert.deepEqual(await detector.forCall().languagesOf([file('a.rb', '')], signal), ['Ruby']);
    assert.equal(isOver, false, `answer ${count} came after the slow ones`);
  }

  assert.deepEqual(await counting, [undefined, undefined, undefined, undefined]);
  isOver = false;
  const next = hostile.languagesOf(slow, signal).finally(() => {
    isOver = true;
  });
  const startedAtMs = performance.now();
  assert.deepEqual(await detector.forCall().languagesOf([file('a.rb', '')], signal), ['Ruby']);
  const quickMs = performance.now() - startedAtMs;
  assert.equal(isOver, false);
  await next;
  assert.ok(quickMs * 2 < performance.now() - startedAtMs, `${quickMs} ms`);
});
