import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseResolutions } from './resolve-on-branch.ts';

test('resolutions are read with keys in any case, null for nothing', async () => {
  const json = '[{"Old_Path":"a","new_path":"b","content":null,"sections":{"x":"head","y":null},"more":1}]';

  const [resolution] = await parseResolutions(Buffer.from(json));

  const sections = new Map(Object.entries({ x: 'head', y: '' }));
  assert.deepEqual(resolution, { oldPath: 'a', newPath: 'b', content: '', sections });
  assert.deepEqual(await parseResolutions(Buffer.from('null')), []);
});

test('an unknown key is ignored, whatever its name and value', async () => {
  const json = '[{"content":"x","constructor":1,"__proto__":{"a":2},"valueof":"y"}]';

  const [resolution] = await parseResolutions(Buffer.from(json));

  assert.equal(resolution?.content, 'x');
});

for (const [json, message] of [
  ['', 'unexpected end of JSON input'],
  ['[{', 'unexpected end of JSON input'],
  ['[]x', "invalid character 'x' after top-level value"],
  ['\ufeff[]', "invalid character 'ï' looking for beginning of value"],
  ['[{"content":""}]]', "invalid character ']' after top-level value"],
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
  test(`${json || 'nothing'} is refused as Go refuses it`, async () => {
    await assert.rejects(parseResolutions(Buffer.from(json)), { code: 'INTERNAL', message });
  });
}

for (const json of ['[{}]', '[null]', '[{"Content":""}]']) {
  test(`${json} has neither sections nor content`, async () => {
    const message = 'missing sections or content for a resolution';
    await assert.rejects(parseResolutions(Buffer.from(json)), { code: 'INVALID_ARGUMENT', message });
  });
}

test('a wrong kind of value is reported after errors of the text, and before missing fields', async () => {
  const message = 'json: cannot unmarshal bool into Go value of type map[string]interface {}';
  await assert.rejects(parseResolutions(Buffer.from('[{},true]')), { message });
  await assert.rejects(parseResolutions(Buffer.from('[true')), { message: 'unexpected end of JSON input' });
});

for (const [what, text] of [
  ['escapes', '\\u00e9\\n'],
  ['pairs of escapes', '\\ud83d\\ude00'],
  ['characters of four bytes', '\u{1f600}'],
  ['quotes and backslashes', '\\"\\\\'],
] as const) {
  test(`a long content of ${what} reads as JSON.parse reads it`, async () => {
    const long = text.repeat(60_001);
    const json = `[{"more":{"content":["${text}"]},"content":"${long}x"}]`;

    const [resolution] = await parseResolutions(Buffer.from(json));

    assert.equal(resolution?.content, JSON.parse(json)[0].content);
  });
}

test('bytes that are not UTF-8 read the same wherever a long content is cut', async () => {
  const bytes = Buffer.from([0xe2, 0x82, 0x80, 0x80, 0x80, 0x80, 0xf0, 0x9f, 0x98, 0xc3]);
  const content = Buffer.concat(Array.from({ length: 40_000 }, () => bytes));

  const [resolution] = await parseResolutions(
    Buffer.concat([Buffer.from('[{"content":"'), content, Buffer.from('"}]')]),
  );

  assert.equal(resolution?.content, content.toString('utf8'));
});

for (const [what, json] of [
  ['sections', `[{"sections":{${Array.from({ length: 200_000 }, (_, at) => `"${at}":"head"`).join(',')}}}]`],
  ['objects', `[${'{"content":""},'.repeat(200_000)}{"content":""}]`],
  ['ignored numbers', `[{"content":"","more":[${'1,'.repeat(1_000_000)}1]}]`],
  ['one content', `[{"content":"${'\\n'.repeat(4_000_000)}"}]`],
] as const) {
  test(`a text of many ${what} leaves turns of the event loop to other calls`, async () => {
    let turns = 0;
    let isOver = false;
    const count = (): void => {
      turns++;
      if (!isOver) setImmediate(count);
    };
    setImmediate(count);

    await parseResolutions(Buffer.from(json));

    isOver = true;
    assert.ok(turns >= 4, `${turns} turns`);
  });
}

test('a text that nests deeper than Go reads is refused', async () => {
  const nested = (depth: number): Buffer =>
    Buffer.from(`[{"content":"","more":${'['.repeat(depth)}${']'.repeat(depth)}}]`);

  assert.equal((await parseResolutions(nested(9_998))).length, 1);
  await assert.rejects(parseResolutions(nested(9_999)), {
    code: 'INTERNAL',
    message: "invalid character '[' exceeded max depth",
  });
});

test('nothing more is read when the call is cancelled', async () => {
  const controller = new AbortController();
  const parsing = parseResolutions(
    Buffer.from(`[{"content":"${'\\n'.repeat(4_000_000)}"}]`),
    controller.signal,
  );

  controller.abort(new Error('cancelled'));

  await assert.rejects(parsing, /^Error: cancelled$/);
});
