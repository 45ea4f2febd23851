import assert from 'node:assert/strict';
import { test } from 'node:test';
import { highlightCode } from './highlight-code.ts';

test('each line of a highlighted file is complete', () => {
  const markup = highlightCode('/* a <b>\n c */ const x = 1;\n', 'src/a.ts') ?? '';

  assert.equal(markup.split('\n').length, 3);
  for (const line of markup.split('\n')) {
    assert.equal(line.match(/<span/g)?.length, line.match(/<\/span>/g)?.length, line);
  }
  assert.match(
    markup,
    /^<span class="hljs-comment">\/\* a &lt;b&gt;<\/span>\n<span class="hljs-comment"> c \*\/<\/span>/,
  );
});

test('only elements of the highlighter are in the markup', () => {
  const markup = highlightCode('"</span><script>" + "<img onerror=x>" // </script>', 'a.js') ?? '';

  assert.equal(markup.replace(/<span class="[\w -]+">|<\/span>/g, '').includes('<'), false);
});

test('the language is that of the name', () => {
  assert.match(highlightCode('all:\n\techo', 'Makefile') ?? '', /hljs-section/);
  assert.equal(highlightCode('text', 'notes.unknown'), undefined);
  assert.equal(highlightCode('text', 'LICENSE'), undefined);
});
