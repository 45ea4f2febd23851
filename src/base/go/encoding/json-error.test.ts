import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeJsonError } from './json-error.ts';

// Expected texts: Go's encoding/json on the same input.
const BROKEN: readonly [text: string, words: string][] = [
  ['{not json', "invalid character 'n' looking for beginning of object key string"],
  ['{x', "invalid character 'x' looking for beginning of object key string"],
  ['oops', "invalid character 'o' looking for beginning of value"],
  ['{"a" 1}', "invalid character '1' after object key"],
  ['{"a":1 "b"}', `invalid character '"' after object key:value pair`],
  ['[1 2]', "invalid character '2' after array element"],
  ['[1,]', "invalid character ']' looking for beginning of value"],
  ['{"a":1,}', "invalid character '}' looking for beginning of object key string"],
  ['tru!', "invalid character '!' in literal true (expecting 'e')"],
  ['"\\x"', "invalid character 'x' in string escape code"],
  ['"\\u00g9"', "invalid character 'g' in \\u hexadecimal character escape"],
  ['"a\nb"', "invalid character '\\n' in string literal"],
];

for (const [text, words] of BROKEN) {
  test(`describeJsonError describes the error in ${JSON.stringify(text)}`, () => {
    assert.equal(describeJsonError(text, 'document'), words);
  });
}

test('describeJsonError describes an early end according to the kind of input', () => {
  assert.equal(describeJsonError('{', 'document'), 'unexpected end of JSON input');
  assert.equal(describeJsonError('', 'document'), 'unexpected end of JSON input');
  assert.equal(describeJsonError('{"a":[1', 'stream'), 'unexpected EOF');
  assert.equal(describeJsonError(' ', 'stream'), 'EOF');
});

test('describeJsonError finds no error in text that JSON.parse accepts', () => {
  for (const text of [
    '{"a":[1,-2.5e3,{"b":null}],"c":"\\u00fc\\""}',
    '[]',
    '{}',
    ' true ',
    '0',
    '[[[[]]],{}]',
  ]) {
    assert.equal(describeJsonError(text, 'document'), undefined);
  }
});

test('describeJsonError checks the text after the value of a document, but not of a stream', () => {
  assert.equal(describeJsonError('[]x', 'document'), "invalid character 'x' after top-level value");
  assert.equal(describeJsonError('[] \n', 'document'), undefined);
  assert.equal(describeJsonError('[]x', 'stream'), undefined);
});
