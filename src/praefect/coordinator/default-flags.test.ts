import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Metadata } from '#rpc/common/metadata';
import { addDefaultFlags, KNOWN_FLAGS } from './outgoing-metadata.ts';

const SOURCE = join(import.meta.dirname, '../..');
const DECLARATION = / = \{ name: '(\w+)', onByDefault: (true|false) \}/g;

test('praefect knows the flags that the nodes check, and their defaults', () => {
  const declared = new Map<string, boolean>();
  for (const file of globSync('!(praefect|testkit)/**/*.ts', { cwd: SOURCE })) {
    if (file.endsWith('.test.ts')) continue;
    for (const [, name = '', value] of readFileSync(join(SOURCE, file), 'utf8').matchAll(DECLARATION))
      declared.set(name, value === 'true');
  }

  assert.ok(declared.size > 0);
  assert.deepEqual(
    new Map(KNOWN_FLAGS.map(({ name, onByDefault }) => [name, onByDefault])),
    new Map([...declared].sort(([a], [b]) => (a < b ? -1 : 1))),
  );
});

test('flags of the client stay, the others get their default', () => {
  const metadata = Metadata.from({
    'gitaly-feature-bundle-uri': 'true',
    'gitaly-feature-ruby-ref-iterator': 'false',
    'gitaly-feature-unknown': 'true',
  });

  addDefaultFlags(metadata);

  assert.deepEqual(Object.fromEntries(metadata.entries()), {
    'gitaly-feature-bundle-uri': 'true',
    'gitaly-feature-ruby-ref-iterator': 'false',
    'gitaly-feature-unknown': 'true',
    'gitaly-feature-bundle-generation': 'false',
    'gitaly-feature-fetch-remote-proactive-auth': 'false',
    'gitaly-feature-gpg-signing': 'true',
    'gitaly-feature-limit-unauthenticated': 'true',
    'gitaly-feature-mailmap-options': 'true',
    'gitaly-feature-new-repo-reftable-backend': 'false',
    'gitaly-feature-receive-pack-trace2-hook': 'false',
  });
});
