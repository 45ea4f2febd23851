import assert from 'node:assert/strict';
import { test } from 'node:test';
import { plot } from './plot.ts';

const format = (value: number): string => `${value} ms`;

test('a plot begins at its right, and says the last and the largest value', () => {
  const markup = plot({ title: 'Duration', values: [5, 10, 0], size: 4, format }).toString();

  assert.match(markup, /<figcaption>Duration: 0 ms, at most 10 ms</);
  assert.match(markup, /points="120\.0,30\.0 240\.0,1\.0 360\.0,59\.0"/);
});

test('a plot without values says so', () => {
  assert.match(plot({ title: 'Duration', values: [], size: 4, format }).toString(), /no figures yet/);
});
