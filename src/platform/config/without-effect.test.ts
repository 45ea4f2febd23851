import assert from 'node:assert/strict';
import { test } from 'node:test';
import { flag, table, tables, text } from './keys.ts';
import { keysWithoutEffect } from './without-effect.ts';

const idle = { doc: '', noEffect: 'why' };
const FIELDS = {
  key: flag({ doc: '' }),
  idle: flag(idle),
  whole: table('', { key: flag(idle) }, { noEffect: 'whole' }),
  inner: table('', { idle: flag(idle), deeper: table('', { idle: text(idle) }) }),
  list: tables('', { key: flag({ doc: '' }), idle: flag(idle), more: tables('', { idle: flag(idle) }) }),
};

test('keys without effect are found in tables, and in every element of arrays of tables', () => {
  const raw = {
    key: true,
    IDLE: true,
    whole: { key: true },
    inner: { deeper: { idle: 'x' } },
    list: [{ key: true }, { idle: true, more: [{}, { idle: false }] }],
  };

  const found = [...keysWithoutEffect(FIELDS, raw)].map(({ path, reason }) => [path.join('.'), reason]);

  assert.deepEqual(found, [
    ['idle', 'why'],
    ['whole', 'whole'],
    ['inner.deeper.idle', 'why'],
    ['list.1.idle', 'why'],
    ['list.1.more.1.idle', 'why'],
  ]);
});

test('a document without such keys, or with values of other types, has none', () => {
  assert.deepEqual([...keysWithoutEffect(FIELDS, { key: true, inner: 1, list: [2], other: {} })], []);
});

test('a feature that does not exist here is named if it is switched on, not for its other keys', () => {
  const fields = {
    feature: table('', { enabled: flag({ doc: '' }), key: flag({ doc: '' }) }, { noEffect: 'why' }),
  };
  const found = (feature: object) => [...keysWithoutEffect(fields, { feature: { ...feature } })];

  assert.deepEqual(found({ enabled: true, key: true }), [{ path: ['feature', 'enabled'], reason: 'why' }]);
  assert.deepEqual(found({ enabled: false, key: true }), []);
  assert.deepEqual(found({ key: true }), []);
});
