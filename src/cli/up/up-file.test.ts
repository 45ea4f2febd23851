import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { collectValues } from '../commands/option-values.ts';
import { gitalyTsProgram } from '../programs/gitaly-ts-program.ts';
import { readUpFile } from './up-file.ts';

const directory = makeScratchDirectory('up-file');
after(() => rmSync(directory, { recursive: true }));

const up = () => gitalyTsProgram().commands.find((command) => command.name() === 'up');

test('every option of up is a key of the file, also one that is declared later', async () => {
  const command = up();
  assert.ok(command !== undefined);
  command.option('--new-file <file>', 'an option of another day');
  const names = command.options.map(({ long }) => long?.replace(/^--(?:no-)?/, '').replaceAll('-', '_'));
  const path = join(directory, 'all.toml');
  writeFileSync(path, names.map((name) => `${name} = {}\n`).join(''));

  const { problems } = await readUpFile(path, command);

  assert.equal(problems.length, names.length);
  const unknown = problems.filter(({ message }) => message.includes('does not exist'));
  assert.deepEqual(
    unknown.map(({ message }) => message.split(':')[0]),
    ['config'],
  );
});

test('relative paths of the file are relative to its directory; URLs, addresses and - stay', async () => {
  const command = up();
  assert.ok(command !== undefined);
  command.option('--more <dir>', 'an option of another day', collectValues);
  const path = join(directory, 'up.toml');
  writeFileSync(
    path,
    'directory = "data"\nauth_file = "a/../users"\ntls_key = "/etc/key.pem"\njwks = "https://x/keys"\n' +
      'grpc = "unix:run/grpc.socket"\nmore = ["x", "/y"]\n',
  );

  const { directory: data, problems, values } = await readUpFile(path, command);

  assert.deepEqual(problems, []);
  assert.equal(data, join(directory, 'data'));
  assert.deepEqual(Object.fromEntries(values), {
    authFile: join(directory, 'users'),
    tlsKey: '/etc/key.pem',
    jwks: 'https://x/keys',
    grpc: `unix:${directory}/run/grpc.socket`,
    more: [join(directory, 'x'), '/y'],
  });
});
