import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setVariable } from '#testkit/set-variable';
import { findProgram } from './find-program.ts';

test('without a PATH the usual directories are searched, and none with an empty one', (context) => {
  setVariable(context, 'PATH', undefined);
  assert.match(findProgram('sh'), /^\/(?:usr\/)?bin\/sh$/);

  process.env.PATH = '';
  assert.throws(() => findProgram('sh'), /there is no "sh" on the PATH/);
});
