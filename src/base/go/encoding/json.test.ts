import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fc } from '#testkit/fast-check';
import { escapeHtml, jsonKind, jsonText, toJson } from './json.ts';

test('what would end a script in HTML is written as an escape', () => {
  assert.equal(toJson({ a: '</script>&\u2028\u2029' }), '{"a":"\\u003c/script\\u003e\\u0026\\u2028\\u2029"}');
});

test('lines are indented on request', () => {
  assert.equal(toJson({ a: ['<'] }, 2), '{\n  "a": [\n    "\\u003c"\n  ]\n}');
});

test('a text is the same alone as in an object, and reads as what it was', () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom('a', '<', '"', '\\', '\n', '\u2028', '\ud800'),
  );
  fc.assert(
    fc.property(text, (value) => {
      assert.equal(`{"a":${jsonText(value)}}`, toJson({ a: value }));
      assert.equal(JSON.parse(jsonText(value)), value);
      assert.doesNotMatch(escapeHtml(JSON.stringify(value)), /[<>&\u2028\u2029]/);
    }),
  );
});

test('values are called by the names of Go’s decoder', () => {
  assert.deepEqual([[], {}, true, 1, 1n, 'x'].map(jsonKind), [
    'array',
    'object',
    'bool',
    'number',
    'number',
    'string',
  ]);
});
