import assert from 'node:assert/strict';
import { test } from 'node:test';
import { renderMarkdown } from './render-markdown.ts';

const TARGET = { base: '/-/console/repository/a.git/-/files/docs/', query: '?ref=main' };
const FILES = '/-/console/repository/a.git/-/files';
const render = (text: string): string => renderMarkdown(text, TARGET);

/** Attributes that lead nowhere else, load nothing from elsewhere, and run nothing. */
const ATTRIBUTES =
  /^(?: (?:rel="noopener[^"]*"|class="[\w -]*"|alt="[^"]*"|href="(?:https?:\/\/|\/-\/console\/)[^"]*"|src="\/-\/console\/repository\/a\.git\/-\/raw\/[^"]*"))*(?: \/)?$/;

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
  '<a href="javascript:alert(1)" onclick="alert(1)" style="position:fixed">x</a>',
  '<a href="&#x6A;avascript:alert(1)">x</a><a href=" vbscript:x">x</a>',
  '<img src="//other.example/pixel.png"><img src="data:image/svg+xml,<svg onload=alert(1)>">',
  '<img src="https://other.example/x.png" srcset="https://other.example/y.png 2x">',
  '<iframe src="/-/console"></iframe><form action="/-/console/running"><button>x</button></form>',
  '<style>main{display:none}</style><link rel=stylesheet href=x><base href="https://other.example">',
  '<p onmouseover=alert(1) id=main class=skip data-live>x</p>',
  '<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>',
  '<p <a <img src=x onerror=alert(1)//',
]) {
  test(`${JSON.stringify(text)} runs and loads nothing`, () => {
    const markup = render(text);

    assert.doesNotMatch(markup, /<(?!\/?(?:p|a|code|pre|em|strong|table|span)\b|img class="picture")/);
    for (const [, attributes = ''] of markup.matchAll(/<\w+([^>]*)>/g)) assert.match(attributes, ATTRIBUTES);
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

test('what a README contains is shown: pictures, folded parts, tables, aligned headings', () => {
  const markup = render(
    '<h1 align="center"><img src="logo.svg" alt="Logo" width="90"></h1>\n\n' +
      '[![build](https://ci.example/badge.svg)](https://ci.example)\n\n' +
      '<details><summary>More</summary>\n\n| a | b |\n|---|--:|\n| 1 | 2 |\n\n</details>\n\n<kbd>Ctrl</kbd>',
  );

  const raw = '/-/console/repository/a.git/-/raw/docs/logo.svg?ref=main';
  assert.ok(
    markup.includes(`<h3 align="center"><img class="picture" src="${raw}" alt="Logo" width="90" /></h3>`),
  );
  assert.match(markup, /<a href="https:\/\/ci\.example" rel="[^"]*"><span>build<\/span><\/a>/);
  assert.match(markup, /<details><summary>More<\/summary>\s*<table>[\s\S]*<\/table>\s*<\/details>/);
  assert.match(markup, /<kbd>Ctrl<\/kbd>/);
});

test('elements that are not closed, or close too many, stay in their text', () => {
  const markup = render('<div><b>one\n\n</div></div></main></section> two');

  assert.equal(markup.match(/<div>/g)?.length, markup.match(/<\/div>/g)?.length);
  assert.doesNotMatch(markup, /<\/(?:main|section)>/);
});

test('text is rendered', () => {
  assert.equal(render('# One\n\n- *two*'), '<h3>One</h3>\n<ul>\n<li><em>two</em></li>\n</ul>\n');
});

// A picture of a README could be any other address of the server, which browsers then loaded.
for (const up of ['%2e%2e/', '.%2E/', '..\\', '.&#9;./', '.&#10;./'])
  test(`a browser finds no way out of the repository by ${JSON.stringify(up)}`, () => {
    const path = `${up.repeat(9)}secret`;
    const markup = render(`<a href="${path}">x</a> <img src="${path}">`);
    const found = [...markup.matchAll(/(?:href|src)="([^"]*)"/g)].map(([, address = '']) => address);

    assert.equal(found.length, 2);
    for (const address of found) {
      const { pathname } = new URL(address.replaceAll('&#9;', '\t'), 'http://localhost');
      assert.match(pathname, /^\/-\/console\/repository\/a\.git\/-\/(?:files|raw)\//);
    }
  });
