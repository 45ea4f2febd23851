import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { gitalyServices } from '#wire/methods';

const docs = (name: string): string => readFileSync(new URL(`../docs/${name}`, import.meta.url), 'utf8');

/** Returns the methods of the lists, `Service/Method`. */
function listed(text: string): string[] {
  const lists = text.replaceAll('\n  ', ' ').matchAll(/^- (\w+): (.+)$/gm);
  return [...lists].flatMap(([, service, methods = '']) =>
    methods.split(/[,;] /).map((method) => `${service}/${method.replace(/ until \d+$/, '')}`),
  );
}

test('the lists of calls name methods that exist', () => {
  const known = new Set(
    gitalyServices.flatMap(({ name, methods }) => methods.map((m) => `${name}/${m.name}`)),
  );
  const methods = listed(docs('known-clients.md'));

  assert.ok(methods.length > 100);
  assert.deepEqual(
    methods.filter((method) => !known.has(method)),
    [],
  );
});

test('calls are said to be missing exactly if they are not implemented', () => {
  const states = new Map(
    [...docs('compatibility.md').matchAll(/^\| (\w+) \|.*\| ([a-z ]+) \| [^|]* \|$/gm)].map((m) => [
      m[1],
      m[2],
    ]),
  );
  const text = docs('known-clients.md');
  const methods = listed(text);
  const stateOf = (method: string) => states.get(method.split('/')[1]);
  assert.deepEqual(
    methods.filter((method) => stateOf(method) === undefined),
    [],
    'each has a row',
  );

  const notBuilt = methods.filter((method) => stateOf(method) === 'not built');

  const rows = [...text.matchAll(/^\| [^|]+\| (\S+) +\|/gm)].map((m) => m[1]);
  assert.ok(rows.length > 8, 'the clients');
  const said = rows.filter((word) => word !== 'missing' && word !== '-' && !word?.startsWith('--'));
  assert.deepEqual(said, [...new Set(notBuilt.map((method) => method.split('/')[0]))]);
});
