import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fc } from '#testkit/fast-check';
import { JsonFields } from './json-fields.ts';

const KINDS = ['text', 'number', 'flag', 'list', 'object'] as const;
const FIELDS = JsonFields.parse(
  '{"text":"","number":0,"flag":false,"list":[],"object":{"a":1},"null":null,"__proto__":"own"}',
);
assert.ok(FIELDS);

for (const name of [...KINDS, 'null', 'absent', 'constructor', 'toString'] as const) {
  test(`the field ${name} reads as its own kind and as no other`, () => {
    for (const kind of KINDS) assert.equal(FIELDS[kind](name) !== undefined, kind === name, kind);
  });
}

test('values are what the text says', () => {
  assert.deepEqual(
    [FIELDS.text('text'), FIELDS.number('number'), FIELDS.flag('flag'), FIELDS.list('list')],
    ['', 0, false, []],
  );
  assert.equal(FIELDS.object('object')?.number('a'), 1);
  assert.equal(FIELDS.text('__proto__'), 'own');
});

test('null is there, and no value; what every object inherits is not there', () => {
  assert.equal(FIELDS.has('null'), true);
  assert.equal(FIELDS.value('null'), null);
  for (const name of ['absent', 'constructor']) assert.equal(FIELDS.has(name), false);
});

for (const [kind, words] of [
  ['text', 'a text'],
  ['number', 'a number'],
  ['flag', 'true or false'],
  ['list', 'a list'],
  ['object', 'an object'],
] as const) {
  test(`a field that has to be ${words} is named when it is not`, () => {
    assert.throws(() => FIELDS.required('absent', kind), { message: `"absent" is not ${words}` });
    assert.deepEqual(FIELDS.required(kind, kind), FIELDS[kind](kind));
  });
}

test('what is no object, or no JSON, has no fields', () => {
  for (const text of ['', '{', '{"a":1}x', 'null', '[]', '"x"', '1', 'true'])
    assert.equal(JsonFields.parse(text), undefined, text);
  for (const value of [undefined, null, [], 'x', 1]) assert.equal(JsonFields.of(value), undefined);
  assert.deepEqual(JsonFields.NONE.entries(), []);
});

test('what was an object comes back field by field', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (object) => {
      const text = JSON.stringify(object);
      const fields = JsonFields.parse(text);

      assert.deepEqual(fields?.entries(), Object.entries(JSON.parse(text)));
    }),
  );
});

test('an error that is none of the text is not hidden', () => {
  const text = new Proxy(Object('{}'), {
    get: () => () => {
      throw new RangeError('elsewhere');
    },
  });

  assert.throws(() => JsonFields.parse(text), { message: 'elsewhere' });
});
