// Figures in texts for users, compared with what they come from.

import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { OPERATIONS } from '#gateway/http/api/operations/table';
import { SUBCOMMANDS, type Subcommand } from '#git/command/allowed';
import { MAX_HELD_BYTES, MAX_HELD_BYTES_PER_CONNECTION } from '#rpc/server/connection/connection-limits';

const ROOT = join(import.meta.dirname, '..');
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

/** Returns the cells of the rows of a table that begins with a header. */
function rowsOf(page: string, header: RegExp): string[][] {
  const lines = read(page).split('\n');
  const start = lines.findIndex((line) => header.test(line));
  assert.notEqual(start, -1, `${page} has the table`);
  const rest = lines.slice(start + 2);
  return rest
    .slice(
      0,
      rest.findIndex((line) => !line.startsWith('|')),
    )
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
}

test('README has the range of the factors in docs/performance.md', () => {
  const rows = rowsOf('docs/performance.md', /^\| call +\| calls\/s, 1 client +\| 16 clients/);
  const factors = rows.flatMap(([, one, many]) => [Number(one), Number(many)]);

  const [, least, most, count] =
    /([\d.]+) to ([\d.]+) times the calls per second of Gitaly [\d.]+ in the (\d+)/.exec(read('README.md')) ??
    [];

  assert.deepEqual(
    [Number(least), Number(most), Number(count)],
    [Math.min(...factors), Math.max(...factors), rows.length],
  );
});

test('README has the range of real work in docs/performance.md', () => {
  const rows = rowsOf('docs/performance.md', /^\| call, clients +\| calls\/s, first 2 s +\| steady/);
  const factors = rows.map(([, , steady]) => Number(steady));

  const [, least, most] = /([\d.]+) to ([\d.]+) times in real work/.exec(read('README.md')) ?? [];

  assert.deepEqual([Number(least), Number(most)], [Math.min(...factors), Math.max(...factors)]);
});

test('README has the numbers of methods in docs/compatibility.md', () => {
  const [, served = '', refused = ''] =
    /(\d+) of \d+ methods are served, (\d+) are refused/.exec(read('docs/compatibility.md')) ?? [];

  const total = Number(served) + Number(refused);
  assert.match(read('README.md'), new RegExp(`${served} of the ${total} methods of a Gitaly server`));
});

test('docs/server.md has the feature flags that the code checks', () => {
  const declared = globSync('src/!(testkit)/**/*.ts', { cwd: ROOT })
    .filter((file) => !file.endsWith('.test.ts'))
    .flatMap((file) => [...read(file).matchAll(/ = \{ name: '(\w+)', onByDefault: (true|false) \}/g)])
    .map(([, name, isOn]) => `${name} ${isOn === 'true' ? 'on' : 'off'}`);

  const listed = rowsOf('docs/server.md', /^\| flag +\| default/).map(
    ([name, isOn]) => `${name?.replaceAll('`', '')} ${isOn}`,
  );

  assert.deepEqual(listed.sort(), [...new Set(declared)].sort());
});

test('docs/limits.md has the limits of what waits to be read', () => {
  const limits = new Map(
    rowsOf('docs/limits.md', /^\| limit +\| value/).map(([name, value]) => [name, value]),
  );

  const mebibytes = (bytes: number): string => `${bytes / 2 ** 20} MiB`;
  assert.equal(
    limits.get('requests that wait to be read, one connection'),
    mebibytes(MAX_HELD_BYTES_PER_CONNECTION),
  );
  assert.equal(limits.get('requests that wait to be read, all connections'), mebibytes(MAX_HELD_BYTES));
});

test('docs/comparison.md has the numbers of methods and operations', () => {
  const [, served] = /(\d+) of \d+ methods are served/.exec(read('docs/compatibility.md')) ?? [];

  assert.match(
    read('docs/comparison.md'),
    new RegExp(`gRPC, ${served} methods of Gitaly; JSON, ${OPERATIONS.length} operations`),
  );
});

test('docs/limits.md lists the git commands with the long limit of processor time', () => {
  const row = rowsOf('docs/limits.md', /^\| limit +\| value/).find(([limit]) =>
    limit?.startsWith('processor time of other git commands'),
  );
  const limited = Object.entries<Subcommand>(SUBCOMMANDS)
    .filter(([, { maxCpuSeconds }]) => maxCpuSeconds === 600)
    .map(([name]) => name);

  const [listed = ''] = row?.[2]?.split('.') ?? [];

  assert.deepEqual(listed.split(', ').sort(), limited.sort());
});
