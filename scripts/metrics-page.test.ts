import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { allMetrics } from './metrics-page.ts';

const SOURCES = join(import.meta.dirname, '../src');

/** Returns the names in calls of `counter`, `gauge` and `histogram`, however they are wrapped. */
function declaredNames(source: string): string[] {
  const calls = source.matchAll(/\b(?:counter|gauge|histogram)\(\s*'([a-z_0-9]+)'/g);
  return Array.from(calls, ([, name = '']) => name);
}

// A metric that is declared in another file, or in a group that is not exported, would be missing.
test('the page has every metric that a source declares, once', async () => {
  const names = (await allMetrics()).map(({ name }) => name);
  const files = globSync('**/*.ts', { cwd: SOURCES }).filter((file) => !file.endsWith('.test.ts'));
  const missing = files.flatMap((file) =>
    declaredNames(readFileSync(join(SOURCES, file), 'utf8'))
      .filter((name) => !names.includes(name))
      .map((name) => `${file}: ${name}`),
  );

  assert.deepEqual(missing, []);
  assert.equal(new Set(names).size, names.length);
  assert.ok(names.length > 150, `${names.length} metrics`);
});

test('names and texts are of one line, and counters of our own end in _total', async () => {
  for (const { help, name, type } of await allMetrics()) {
    assert.match(name, /^[a-z][a-z_0-9]+$/);
    assert.match(help, /^\S.*\S$/, name);
    if (type === 'counter' && name.startsWith('gitaly_ts_')) assert.match(name, /_total$/);
  }
});
