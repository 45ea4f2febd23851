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
  const notBuilt = new Set(
    [...docs('compatibility.md').matchAll(/^\| (\w+) \|.*not built/gm)].map((m) => m[1]),
  );
  const text = docs('known-clients.md');

  const missing = listed(text).filter((method) => notBuilt.has(method.split('/')[1]));

  const services = new Set(missing.map((method) => method.split('/')[0]));
  const said = [...text.matchAll(/^\| [^|]+\| (\w+) +\|/gm)]
    .map((m) => m[1])
    .filter((word) => word !== 'missing');
  assert.deepEqual([...services], said);
});
