import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const ROOT = join(import.meta.dirname, '../..');
/** Messages of git, ssh and Node, and what a hook prints. */
const OTHERS = ['pre-receive hook declined', 'Permission denied (publickey)', 'EADDRINUSE'];

/** Returns the messages by which the page is keyed: the code in the first column of its tables. */
function messages(page: string): string[] {
  const rows = page.split('\n').filter((line) => /^\| .*`/.test(line));
  return rows.flatMap((row) =>
    [...(row.split(' | ')[0] ?? '').matchAll(/`([^`]+)`/g)].map(([, text = '']) => text),
  );
}

/** The sources without the breaks of long strings. */
function sources(): string {
  const files = globSync('src/**/*.ts', { cwd: ROOT }).filter((file) => !/\.test\.ts$|\/gen\//.test(file));
  const text = files.map((file) => readFileSync(join(ROOT, file), 'utf8')).join('\n');
  return text.replace(/['`"] \+\n\s*['`"]/g, '');
}

test('each message in docs/troubleshooting.md is one of the programs', () => {
  const code = sources();
  const found = messages(readFileSync(join(ROOT, 'docs/troubleshooting.md'), 'utf8'));
  assert.ok(found.length > 15);

  const unknown = found
    .filter((text) => !OTHERS.some((other) => text.includes(other)))
    .filter((text) => text.split(/…|: /).some((part) => !code.includes(part.trim())));

  assert.deepEqual(unknown, []);
});
