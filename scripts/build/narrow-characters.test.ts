import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runInNewContext } from 'node:vm';
import { narrowCharacters } from './narrow-characters.ts';

for (const code of [
  `'…' + "’" + \`→ \${'“é”'} ✓\``,
  `'😀'.length + [...'a😀b'].join('|') + '\u2028'`,
  `'x…y😀é'.replace(/…/, '-').replace(/[😀]/u, '+').replace(/é/, 'e')`,
  `((texts, ...values) => values.join(texts[0]))\`é\${1}\${2}\``,
]) {
  test(`code has the same value in ASCII: ${code}`, () => {
    const narrow = narrowCharacters(code);

    assert.deepEqual(narrow.match(/[^\0-\u007f]/g), null);
    assert.equal(runInNewContext(narrow), runInNewContext(code));
  });
}

for (const [problem, code] of [
  ['a backslash before a character', String.raw`'\…'`],
  ['String.raw', 'String.raw`a…`'],
] as const) {
  test(`code that would change is refused: ${code}`, () => {
    assert.throws(() => narrowCharacters(code), new RegExp(problem));
  });
}
