import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseResolutions } from './parse-resolutions.ts';

test('resolutions are read with keys in any case, null for nothing', () => {
  const json = '[{"Old_Path":"a","new_path":"b","content":null,"sections":{"x":"head","y":null},"more":1}]';

  const [resolution] = parseResolutions(Buffer.from(json));

  const sections = new Map(Object.entries({ x: 'head', y: '' }));
  assert.deepEqual(resolution, { oldPath: 'a', newPath: 'b', content: '', sections });
  assert.deepEqual(parseResolutions(Buffer.from('null')), []);
});

for (const [json, message] of [
  ['', 'unexpected end of JSON input'],
  ['[{', 'unexpected end of JSON input'],
  ['[]x', "invalid character 'x' after top-level value"],
  ['\ufeff[]', "invalid character 'ï' looking for beginning of value"],
  ['{}', 'json: cannot unmarshal object into Go value of type []map[string]interface {}'],
  ['[true]', 'json: cannot unmarshal bool into Go value of type map[string]interface {}'],
  ['[{"content":1}]', 'json: cannot unmarshal number into Go struct field Resolution.content of type string'],
  [
    '[{"sections":[]}]',
    'json: cannot unmarshal array into Go struct field Resolution.sections of type map[string]string',
  ],
  [
    '[{"sections":{"a":1}}]',
    'json: cannot unmarshal number into Go struct field Resolution.sections of type string',
  ],
] as const) {
  test(`${json || 'nothing'} is refused as Go refuses it`, () => {
    assert.throws(() => parseResolutions(Buffer.from(json)), { code: 'INTERNAL', message });
  });
}

for (const json of ['[{}]', '[null]', '[{"Content":""}]']) {
  test(`${json} has neither sections nor content`, () => {
    const message = 'missing sections or content for a resolution';
    assert.throws(() => parseResolutions(Buffer.from(json)), { code: 'INVALID_ARGUMENT', message });
  });
}
