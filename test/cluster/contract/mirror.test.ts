import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { mirror } from './mirror.ts';

test('a directory becomes equal to another, with names that are not UTF-8', (context) => {
  const scratch = makeScratchDirectory('mirror');
  context.after(() => rmSync(scratch, { recursive: true }));
  const [from, to] = [join(scratch, 'from'), join(scratch, 'to')];
  const latin1 = (directory: string) => Buffer.from(join(directory, 'heads/\xff'), 'latin1');
  mkdirSync(join(from, 'heads'), { recursive: true });
  writeFileSync(latin1(from), 'one');
  symlinkSync('heads', join(from, 'link'));
  mkdirSync(join(to, 'old/heads'), { recursive: true });
  writeFileSync(latin1(join(to, 'old')), 'old');
  writeFileSync(join(to, 'link'), 'a file');

  mirror(from, to);

  assert.deepEqual(readdirSync(to), ['heads', 'link']);
  assert.equal(readFileSync(latin1(to), 'utf8'), 'one');

  rmSync(latin1(from));
  mirror(from, to);

  assert.equal(existsSync(latin1(to)), false);
});

test('a file whose mode alone has changed becomes equal, too', (context) => {
  const scratch = makeScratchDirectory('mirror');
  context.after(() => rmSync(scratch, { recursive: true }));
  const [from, to] = [join(scratch, 'from'), join(scratch, 'to')];
  mkdirSync(from);
  writeFileSync(join(from, 'hook'), 'one');
  utimesSync(join(from, 'hook'), 1_700_000_000, 1_700_000_000); // a copy has the same
  mirror(from, to);

  chmodSync(join(from, 'hook'), 0o755);
  mirror(from, to);

  assert.equal(statSync(join(to, 'hook')).mode & 0o777, 0o755);
});
