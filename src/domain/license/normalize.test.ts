import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { assertLinearTime } from '#testkit/measure/time-growth';
import { isLicenseFile } from './find-license.ts';
import { wordsOf } from './normalize.ts';

const words = (text: string): string[] => [...wordsOf(text)].filter((word) => word !== '');

describe('a title is left out', () => {
  const TITLES = [
    'MIT License',
    'The MIT License (MIT)',
    '  -- Apache License 2.0',
    'licence',
    'A\rLicense\r',
  ];
  for (const title of TITLES)
    test(JSON.stringify(title), () => assert.deepEqual(words(`${title}\nb`), ['b']));

  const OTHERS = [
    'Licensed',
    `The license ${'of '.repeat(20)}`,
    `${'x '.repeat(30)}license`,
    'the license, b',
  ];
  for (const line of OTHERS)
    test(JSON.stringify(line), () => assert.notDeepEqual(words(`${line}\nb`), ['b']));
});

describe('lines of owners are left out', () => {
  const OWNERS = [
    'Copyright 2020 Me',
    '  * Copyright (c) Me',
    '(c) <owner>',
    '\u00a9 [year]',
    'copyright \u00a9 Me',
    '\u00a9\u00a9 2020',
    '\r\n\n/* copyright {owner}',
  ];
  for (const line of OWNERS)
    test(JSON.stringify(line), () => assert.deepEqual(words(`a\n${line}\nb`), ['a', 'b']));

  const OTHERS = ['copyright holders', 'all copyright 2020', '(c) me', 'copyright me\n2020', 'c) 2020'];
  for (const line of OTHERS)
    test(JSON.stringify(line), () => assert.notDeepEqual(words(`a\n${line}\nb`), ['a', 'b']));
});

test('names of license files', () => {
  const yes = [
    'LICENSE',
    'x.LICENCE.md',
    'unlicense',
    'gpl-3.0',
    'lgpl v2.1.txt',
    'my copying',
    'MIT',
    'gpl30',
  ];
  for (const name of yes) assert.equal(isLicenseFile(name), true, name);
  for (const name of ['README', 'licensed', 'a\nLICENSE', 'xmit', 'gpl3', 'LICENSE\u2028'])
    assert.equal(isLicenseFile(name), false, name);
});

// A LICENSE of 80 KB of these made all other calls wait for 8 seconds.
describe('hostile texts take a time in proportion to their length', () => {
  for (const piece of [
    '-\r',
    '-\n',
    '\r',
    '\n',
    '-\u2028',
    '\u00a9',
    '(c)',
    '\u00a9\r',
    'license ',
    'the ',
    '- ',
  ]) {
    for (const end of ['', 'x', ' 2020'])
      test(JSON.stringify([piece, end]), async () => {
        await assertLinearTime((size) => words(`x\n${piece.repeat(size / piece.length)}${end}`));
        await assertLinearTime((size) => words(`${piece.repeat(size / piece.length)}${end}`));
      });
  }
  for (const piece of ['-', '_.', ' license', 'gpl-', 'a '])
    test(`a name of ${piece}`, async () => {
      await assertLinearTime((size) => isLicenseFile(`${piece.repeat(size / piece.length)}x\n`));
    });
});
