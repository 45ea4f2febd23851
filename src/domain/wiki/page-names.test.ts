import assert from 'node:assert/strict';
import { test } from 'node:test';
import { areSamePage, fileForPage } from './page-file.ts';
import { pageNamesOf, titleMatcher } from './page-names.ts';

test('files are pages by their extensions, as in gollum', () => {
  const formats = Object.fromEntries(
    [
      'a.md',
      'a.mkd',
      'a.markdown',
      'd/a.rdoc',
      'a.org',
      'a.rst',
      'a.rest',
      'a.asciidoc',
      'a.mediawiki',
      'a.txt',
    ].map((path) => [path, pageNamesOf(Buffer.from(path))?.format]),
  );

  assert.deepEqual(formats, {
    'a.md': 'markdown',
    'a.mkd': 'markdown',
    'a.markdown': 'markdown',
    'd/a.rdoc': 'rdoc',
    'a.org': 'org',
    'a.rst': 'rest',
    'a.rest': 'rest',
    'a.asciidoc': 'asciidoc',
    'a.mediawiki': 'mediawiki',
    'a.txt': 'txt',
  });
  for (const path of ['a', '.md', 'd/.md', 'a.png', 'a.MD', 'a.md/b', 'a.7z', 'a\n.md'])
    assert.equal(pageNamesOf(Buffer.from(path)), undefined, path);
});

test('a title finds its page whatever its case, blanks and angle brackets', () => {
  // From Gitaly 15.0's tests of its wiki.
  const title = '<foo> !@#$%^&*()[]{}=_+\'"\\|<>? <bar>';
  const page = pageNamesOf(Buffer.from(`${title.replaceAll(' ', '-')}.md`));
  assert.ok(page);

  assert.equal(page.name.toString(), title);
  for (const wanted of [
    title,
    title.replaceAll(' ', '-'),
    title.replaceAll(/[<>+]/g, '-'),
    title.toUpperCase(),
  ])
    assert.equal(titleMatcher(Buffer.from(wanted), Buffer.alloc(0))(page), true, wanted);
  assert.equal(titleMatcher(Buffer.from(title), Buffer.from('d'))(page), false);
});

test('a blank in the name of a file is a dash or an underscore of the title', () => {
  const page = pageNamesOf(Buffer.from('Ünd so.md'));
  assert.ok(page);

  for (const title of ['Ünd so', 'ünd-so', 'ÜND_SO'])
    assert.equal(titleMatcher(Buffer.from(title), Buffer.alloc(0))(page), true, title);
  assert.equal(titleMatcher(Buffer.from('Undso'), Buffer.alloc(0))(page), false);
});

test('names that are not UTF-8 are compared as bytes', () => {
  const path = Buffer.from('f\xfcr.md', 'latin1');
  const page = pageNamesOf(path);
  assert.ok(page);

  assert.deepEqual(page.name, Buffer.from('f\xfcr', 'latin1'));
  assert.equal(titleMatcher(Buffer.from('F\xfcR', 'latin1'), Buffer.alloc(0))(page), true);
  assert.equal(titleMatcher(Buffer.from('für'), Buffer.alloc(0))(page), false);
});

test('a page gets a file with dashes and the extension of its format', () => {
  const file = fileForPage(Buffer.from('/a//b c/./<d> e'), 'markdown');

  assert.deepEqual([file?.directory, file?.fileName, file?.path].map(String), [
    'a/b-c',
    '<d>-e.md',
    'a/b-c/<d>-e.md',
  ]);
  assert.equal(areSamePage(Buffer.from('Home.md'), Buffer.from('HOME.rdoc')), true);
  assert.equal(areSamePage(Buffer.from('Home.md'), Buffer.from('Home2.md')), false);
});
