import assert from 'node:assert/strict';
import { test } from 'node:test';
import { detectLanguage } from './detect-language.ts';
import { LOOKED_AT_BYTES } from './file-language.ts';
import { LanguageDetector } from './language-detector.ts';
import { LinguistData } from './linguist-data.ts';

/** CPU time for the start of one file; it takes 10 ms. */
const MAX_FILE_US = 100_000;

const file = (path: string, content: string) => ({
  path,
  attributes: {},
  content: new Uint8Array(Buffer.from(content)),
});

const { signal } = new AbortController();

test('questions that are asked at once are all answered, each with its own', async () => {
  const detector = new LanguageDetector().forCall('a.git');

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
  const detector = new LanguageDetector().forCall('a.git');

  await detector.describe(['Ruby']);

  // The test runner waits for open handles; a referenced thread would keep it from ending.
  assert.ok(!process.getActiveResourcesInfo().includes('MessagePort'));
});

/** Each takes 2 ms, which is as slow as linguist's rules are. */
const slowFiles = (count: number) =>
  Array.from({ length: count }, () => file('a.bas', '\n'.repeat(LOOKED_AT_BYTES)));

test('the files of a batch that takes too long are detected one after the other', async () => {
  const detector = new LanguageDetector({ batchMs: 20 }).forCall('a.git');
  const slow = slowFiles(200);

  const languages = await detector.languagesOf([...slow, file('a.rb', ''), file('a.go', '')], signal);

  assert.deepEqual(languages.slice(-2), ['Ruby', 'Go']);
});

// Rules that are applied to line feeds or brackets took seconds for one file of 16 KiB, and hours
// for `.app`: their time was quadratic or worse.
for (const [path, content] of Object.entries({
  'a.fpp': '\n',
  'a.srv': '\n',
  'a.al': '\n\n',
  'a.app': '{application,a,[]',
  'a.cairo': '%builtins a ',
}))
  test(`${path} of hostile contents is detected in little time`, async () => {
    const data = await LinguistData.read();
    const text = Buffer.from(content.repeat(LOOKED_AT_BYTES / content.length));
    detectLanguage(data, path, Buffer.from(content));
    const before = process.threadCpuUsage();

    detectLanguage(data, path, text);

    const { user, system } = process.threadCpuUsage(before);
    assert.ok(user + system < MAX_FILE_US, `${user + system} µs`);
  });

// One hostile repository delayed CommitLanguages of all others, by half a second for each call.
test('many calls for one repository delay the others by one question', async () => {
  const detector = new LanguageDetector();
  await detector.forCall('b.git').describe(['Ruby']); // starts the thread
  const hostile = Array.from({ length: 10 }, async () => {
    using call = detector.forCall('hostile.git');
    for (let batch = 0; batch < 6; batch++) await call.languagesOf(slowFiles(16), signal);
  });
  const startedAtMs = performance.now();

  for (let count = 0; count < 3; count++)
    assert.deepEqual(await detector.forCall('b.git').languagesOf([file('a.rb', '')], signal), ['Ruby']);

  const othersMs = performance.now() - startedAtMs;
  await Promise.all(hostile);
  const allMs = performance.now() - startedAtMs;
  assert.ok(othersMs * 4 < allMs, `${Math.round(othersMs)} of ${Math.round(allMs)} ms`);
});
