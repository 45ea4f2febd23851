import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fc } from '#testkit/fast-check';
import { detectLanguage } from './detect-language.ts';
import { fileLanguage, isExcluded } from './file-language.ts';
import { LinguistData } from './linguist-data.ts';

const data = await LinguistData.read();
const detect = (path: string, content = ''): string | undefined =>
  detectLanguage(data, path, Buffer.from(content, 'latin1'));

/**
 * Path, contents, language: the examples of linguist's own documentation and of go-enry's tests.
 */
const CASES: readonly (readonly [string, string, string | undefined])[] = [
  // By an editor's hint, regardless of the name.
  ['x.c', '/* -*- mode: ruby -*- */', 'Ruby'],
  ['x', '-*- C++ -*-', 'C++'],
  ['x.txt', '# vim: set ft=python :', 'Python'],
  ['x.c', '// vim: ft=ruby syntax=python', 'C'],
  ['x.c', `${'\n'.repeat(20)}// vim: ft=ruby\n`, 'Ruby'],
  ['x.c', `${'\n'.repeat(20)}// vim: ft=ruby${'\n'.repeat(20)}`, 'C'],
  // By the name.
  ['dir/Makefile', '', 'Makefile'],
  ['Dockerfile', '', 'Dockerfile'],
  ['.bashrc', '', 'Shell'],
  // By the interpreter.
  ['tool', '#!/usr/bin/env python3\n', 'Python'],
  ['tool', '#! /usr/bin/perl -w', 'Perl'],
  ['tool', '#!/usr/bin/env -S node --experimental', 'JavaScript'],
  ['tool', '#!/usr/bin/env FOO=bar ruby', 'Ruby'],
  ['tool', '#!/bin/sh\n#\nexec scala "$0" "$@"\n', 'Scala'],
  ['tool', '#!/usr/bin/python2.7', 'Python'],
  ['tool', '#!/usr/bin/env', undefined],
  // By the extension, the longest first.
  ['a/b/X.PY', '', 'Python'],
  ['x.html.erb', '', 'HTML+ERB'],
  ['x.unknown-extension', '', undefined],
  // By rules about the contents.
  ['x.h', 'int f(void);', 'C'],
  ['x.h', '#include <vector>\n', 'C++'],
  ['x.h', '@interface X\n@end\n', 'Objective-C'],
  ['x.pl', 'use strict;\n', 'Perl'],
  ['x.pl', 'foo :- bar.\n', 'Prolog'],
  ['x.m', '#import <Foundation/Foundation.h>\n', 'Objective-C'],
  ['x.ts', 'let x: number = 1;', 'TypeScript'],
  ['x.ts', '<?xml version="1.0"?>\n<!DOCTYPE TS>\n<TS></TS>', 'XML'],
  ['x.md', '# heading', 'Markdown'],
  ['x.1', '.TH FOO 1\n.SH NAME\n', 'Roff Manpage'],
  // Remaining case: the language that is known for the extension.
  ['x.sql', 'select 1;', 'SQL'],
  // By an XML header, if no other rule applies.
  ['x.thing', '<?xml version="1.0"?>\n', 'XML'],
  // Binary.
  ['x.c', 'int\0', undefined],
];

for (const [path, content, language] of CASES) {
  test(`${path} with ${JSON.stringify(content.trim().slice(0, 40))} is ${language ?? 'no language'}`, () => {
    assert.equal(detect(path, content), language);
  });
}

test('every language is found by each of its extensions that no other has', () => {
  for (const [extension, names] of data.byExtension) {
    if (names.length === 1 && !data.rules.has(extension))
      assert.equal(detect(`x${extension}`), names[0], extension);
  }
});

test('all patterns of the data can be compiled', () => {
  for (const rules of data.rules.values()) {
    for (const rule of rules) {
      for (const { any, none } of [rule, ...(rule.all ?? [])])
        for (const source of [any, none]) if (source) data.pattern(source);
    }
  }
});

test('attributes decide before the path and the contents do', () => {
  const language = (
    attributes: Parameters<typeof fileLanguage>[2]['attributes'],
    path = 'x.rb',
    content = '',
  ): string | undefined => fileLanguage(data, path, { attributes, content: Buffer.from(content) });

  assert.equal(isExcluded(data, 'vendor/x.rb', {}), true);
  assert.equal(isExcluded(data, 'vendor/x.rb', { 'linguist-vendored': 'unset' }), false);
  assert.equal(isExcluded(data, 'vendor/x.rb', { 'linguist-vendored': { value: 'false' } }), true);
  assert.equal(isExcluded(data, 'x.rb', { 'linguist-documentation': 'set' }), true);
  assert.equal(isExcluded(data, 'docs/x.rb', {}), true);

  assert.equal(language({}), 'Ruby');
  assert.equal(language({ 'linguist-generated': 'set' }), undefined);
  assert.equal(language({}, 'package-lock.json', '{}'), undefined);
  assert.equal(
    language({ 'linguist-generated': 'unset', 'linguist-detectable': 'set' }, 'package-lock.json', '{}'),
    'JSON',
  );
  assert.equal(language({ 'linguist-language': { value: 'cpp' } }), 'C++');
  assert.equal(language({ 'linguist-language': { value: 'nonsense' } }), undefined);
  assert.equal(
    language({ 'linguist-language': { value: 'nonsense' }, 'linguist-detectable': 'set' }),
    'nonsense',
  );
  assert.equal(language({ 'linguist-detectable': 'unset' }), undefined);
  assert.equal(language({}, 'x.json', '{}'), undefined);
});

test('any file is detected without an error', () => {
  const extensions = [...data.byExtension.keys()];
  fc.assert(
    fc.property(fc.nat(extensions.length - 1), fc.uint8Array({ maxLength: 500 }), (at, bytes) => {
      fileLanguage(data, `x${extensions[at]}`, { attributes: {}, content: Buffer.from(bytes) });
    }),
    { numRuns: 2000 },
  );
});
