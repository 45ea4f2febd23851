import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { ConfigError } from '#platform/config/config-error';
import { exampleConfig } from '#platform/config/example-config';
import type { Fields, Node } from '#platform/config/keys';
import { loadConfig } from '#platform/config/load-config';
import { schema } from '#platform/config/schema/schema';
import { fc } from '#testkit/fast-check';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { validateConfiguration } from './validate-configuration.ts';

// Whatever a configuration holds, it ends in a clear error or in a configuration, and never in an
// exception that nobody expected.

const directory = makeScratchDirectory('config-fuzz');
mkdirSync(join(directory, 'storage'));
after(() => rmSync(directory, { recursive: true }));
const path = join(directory, 'config.toml');

const STACK = /\n\s+at \S/;
const RUNS = { numRuns: 400 };

/** Returns a document in which no program can be started. */
function withoutPrograms(document: string): string {
  return document.replace(/config_command/gi, 'config_comand');
}

async function assertHandled(text: string): Promise<void> {
  const document = withoutPrograms(text);
  const { exitCode, stdout, stderr, warnings = [] } = await validateConfiguration(document);
  assert.ok(exitCode === 0 || exitCode === 1 || exitCode === 2);
  assert.doesNotMatch(stdout + stderr + warnings.join('\n'), STACK);
  if (exitCode === 1) assert.match(stderr, /^processing input data: \S/);
  if (exitCode === 2) {
    const { errors } = JSON.parse(stdout) as { errors: { message: string }[] };
    assert.ok(errors.length > 0 && errors.every(({ message }) => message !== ''));
  }

  writeFileSync(path, document);
  try {
    await loadConfig(path);
  } catch (error) {
    assert.ok(error instanceof ConfigError, `${error instanceof Error ? error.stack : error}`);
    assert.notEqual(error.message, '');
    assert.doesNotMatch(error.message + error.explanation, STACK);
  }
}

test('any text', async () => {
  await fc.assert(fc.asyncProperty(fc.string({ unit: 'grapheme', maxLength: 200 }), assertHandled), RUNS);
});

test('text of the characters of TOML', async () => {
  const unit = fc.constantFrom(...'[]{}="\'#.,\n\t -+_0123456789eabcTZ:\\/\u0000é');
  await fc.assert(fc.asyncProperty(fc.string({ unit, maxLength: 120 }), assertHandled), RUNS);
});

test('the example with pieces removed, doubled and replaced', async () => {
  const example = exampleConfig(schema, '').replaceAll(/^# (\w.* = )/gm, '$1');
  const piece = fc.record({
    at: fc.nat(example.length),
    length: fc.nat(80),
    with: fc.string({ maxLength: 6 }),
  });
  const mutated = fc.array(piece, { minLength: 1, maxLength: 4 }).map((pieces) => {
    let text = example;
    for (const { at, length, with: added } of pieces)
      text = text.slice(0, at) + added + text.slice(at + length);
    return text;
  });
  await fc.assert(fc.asyncProperty(mutated, assertHandled), { numRuns: 150 });
});

const VALUES = [
  '0',
  '-1',
  '1',
  '9223372036854775807',
  '-9223372036854775808',
  '1e308',
  '-0.0',
  'nan',
  'inf',
  'true',
  '""',
  '"x"',
  '"/"',
  '"\\u0000"',
  '"-1s"',
  '"2562047h"',
  '"::"',
  '"[::1]:0"',
  '"http://%zz"',
  '"http+unix://%2F"',
  `"${directory}"`,
  `"${directory}/storage"`,
  '2026-01-02T03:04:05Z',
  '1979-05-27',
  '[]',
  '[[]]',
  '[1, "x"]',
  '["default"]',
  '{}',
  '{ a = { b = 1 } }',
] as const;

/** Returns TOML of random values for random keys of a schema. */
function tables(fields: Fields, name = ''): fc.Arbitrary<string> {
  const entries = Object.entries(fields).map(([key, node]) => fc.option(entryOf(key, node, name)));
  return fc.tuple(...entries).map((texts) => {
    const set = texts.filter((text) => text !== null);
    // Keys stand before tables.
    return set.sort((a, b) => Number(a.startsWith('[')) - Number(b.startsWith('['))).join('');
  });
}

function entryOf(key: string, node: Node, above: string): fc.Arbitrary<string> {
  const name = above === '' ? key : `${above}.${key}`;
  if (node.kind !== 'table' && node.kind !== 'tables')
    return fc.constantFrom(...VALUES).map((value) => `${key} = ${value}\n`);
  const inner = tables(node.fields, name);
  const header = node.kind === 'table' ? `[${name}]\n` : `[[${name}]]\n`;
  const tablesOf = inner.map((text) => header + text);
  const wrong = fc.constantFrom(...VALUES).map((value) => `${key} = ${value}\n`);
  return fc.oneof({ weight: 9, arbitrary: tablesOf }, { weight: 1, arbitrary: wrong });
}

test('random values for the keys of the schema', async () => {
  await fc.assert(fc.asyncProperty(tables(schema), assertHandled), RUNS);
});

test('one random value for one key of a good configuration', async () => {
  const base = `listen_addr = ":0"\n[[storage]]\nname = "default"\npath = "${directory}/storage"\n`;
  const names = Object.entries(schema).filter(([name]) => name !== 'storage' && name !== 'listen_addr');
  const one = fc.constantFrom(...names).chain(([name, node]) => entryOf(name, node, ''));
  const document = one.map((text) => (text.startsWith('[') ? base + text : text + base));
  await fc.assert(fc.asyncProperty(document, assertHandled), RUNS);
});
