import assert from 'node:assert/strict';
import { test } from 'node:test';
import { renderMarkdown } from './render-markdown.ts';

const TARGET = { base: '/-/console/repository/a.git/-/files/docs/', query: '?ref=main' };
const FILES = '/-/console/repository/a.git/-/files';
const render = (text: string): string => renderMarkdown(text, TARGET);

for (const text of [
  '<script>alert(1)</script>',
  '<img src=x onerror=alert(1)>',
  '<svg><animate onbegin=alert(1)></svg>',
  '[x](javascript:alert(1))',
  '[x](JaVaScRiPt:alert(1))',
  '[x](&#106;avascript:alert(1))',
  '[x](java\nscript:alert(1))',
  '[x]( javascript:alert(1))',
  '[x](data:text/html;base64,PHNjcmlwdD4=)',
  '[x](vbscript:x)',
  '![x](javascript:alert(1))',
  '![x](https://other.example/pixel.png)',
  '[x]: javascript:alert(1)\n\n[x]',
  '<javascript:alert(1)>',
  '[x](https://a.example" onmouseover="alert(1))',
  '`<b>`\n\n    <i>\n\n```<u>\n<u>\n```',
]) {
  test(`${JSON.stringify(text)} runs and loads nothing`, () => {
    const markup = render(text);

    assert.doesNotMatch(markup, /<(?!\/?(?:p|a|code|pre|em|strong)\b)/);
    for (const [, attributes = ''] of markup.matchAll(/<\w+([^>]*)>/g))
      assert.match(attributes, /^(?: (?:rel|class)="[^"<>]*"| href="(?:https?:\/\/|\/-\/console\/)[^"]*")*$/);
  });
}

test('links to files of the repository lead to their pages, and none leads out of it', () => {
  const hrefs = ['guide.md', '../src/a b.ts#L3', '/top.md?x', '../../../../../etc/passwd', './a/../c.md'].map(
    (link) => /href="([^"]*)"/.exec(render(`[x](<${link}>)`))?.[1],
  );

  assert.deepEqual(
    hrefs,
    ['/docs/guide.md', '/src/a%20b.ts', '/top.md', '/etc/passwd', '/docs/c.md'].map(
      (path) => `${FILES}${path}?ref=main`,
    ),
  );
  assert.match(render('[x](#part)'), /href="#part"/);
  assert.match(render('https://a.example'), /href="https:\/\/a\.example" rel="noopener noreferrer nofollow"/);
});

test('text is rendered', () => {
  assert.equal(render('# One\n\n- *two*'), '<h3>One</h3>\n<ul>\n<li><em>two</em></li>\n</ul>\n');
});
