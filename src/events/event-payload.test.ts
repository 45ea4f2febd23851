import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { JsonFields } from '#base/json-fields';
import type { RepositoryEvent } from './event.ts';
import { eventPayload } from './event-payload.ts';

const SCHEMA = join(import.meta.dirname, '../../docs/event.schema.json');
const ABOUT = { sequence: 1, relativePath: 'a.git', timeMs: 0 };
const EVENTS: readonly RepositoryEvent[] = [
  { ...ABOUT, kind: 'created', user: { id: 'user-1', name: 'ann', credential: { kind: 'key', name: 'k' } } },
  { ...ABOUT, kind: 'removed' },
  { ...ABOUT, kind: 'resync' },
  { ...ABOUT, kind: 'compacted', sequence: 0, relativePath: '' },
  { ...ABOUT, kind: 'renamed', previousPath: 'b.git' },
  { ...ABOUT, kind: 'reference', reference: 'refs/heads/\xff', oldValue: 'a' },
];

test('names that are not UTF-8 are in base64, too', () => {
  const { reference, reference_base64 } = eventPayload('default', {
    ...{ ...ABOUT, kind: 'reference', newValue: 'b' },
    reference: 'refs/heads/\xff',
  });

  assert.equal(reference, 'refs/heads/\ufffd');
  assert.equal(Buffer.from(reference_base64 ?? '', 'base64').toString('latin1'), 'refs/heads/\xff');
});

test('the schema in the documentation describes each field, and no other', () => {
  const schema = JsonFields.parse(readFileSync(SCHEMA, 'utf8'));
  const properties = schema?.required('properties', 'object');
  const payloads = EVENTS.map((event) => eventPayload('default', event));

  const sent = new Set(payloads.flatMap((payload) => Object.keys(payload)));
  assert.deepEqual(sent.symmetricDifference(new Set(properties?.entries().map(([name]) => name))), new Set());
  const types = properties?.object('type')?.list('enum');
  assert.deepEqual(new Set(types), new Set(payloads.map(({ type }) => type)));
  for (const payload of payloads)
    for (const name of schema?.list('required') ?? []) assert.ok(String(name) in payload);
});
