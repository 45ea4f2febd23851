import { writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { Command, Option } from 'commander';
import { makeDirectory } from '#base/files/make-directory';
import { messageOf } from '#base/gitaly-error';
import { systemErrorCode } from '#base/go/system-error';
import { keysOf, UP_DIRECTORY } from './up/up-file.ts';

export interface InitUpOptions {
  /** Path of the new file. */
  readonly file: string;
  /** Directory of the repositories. */
  readonly directory: string;
}

/** The file contains no secret. */
const FILE_MODE = 0o644;
const COLUMNS = 96;

/** Runs `gitaly-ts init up`: writes a documented file of options. Resolves to the exit code. */
export async function runInitUp(up: Command, { directory, file }: InitUpOptions): Promise<number> {
  const path = resolve(file);
  try {
    await makeDirectory(dirname(path));
    await writeFile(path, fileOf(up, resolve(directory)), { flag: 'wx', mode: FILE_MODE });
  } catch (error) {
    const advice =
      systemErrorCode(error) === 'EEXIST'
        ? 'It is not overwritten: edit it, or move it away.'
        : 'Choose a directory that you can write to.';
    process.stderr.write(`gitaly-ts init up: ${messageOf(error)}. ${advice}\n`);
    return 1;
  }
  process.stdout.write(`Made ${path}

  gitaly-ts config check ${path}      # after each change
  gitaly-ts doctor ${path}            # is everything as it should be?
  gitaly-ts up --config ${path}       # start the server
`);
  return 0;
}

/** Returns a file with all keys: those with safe values are set, the others are comments. */
function fileOf(up: Command, directory: string): string {
  const values: Readonly<Record<string, unknown>> = {
    [UP_DIRECTORY]: directory,
    http: '127.0.0.1:8080',
    tokens: true,
    metrics: '127.0.0.1:9237',
    log: join(directory.replace('/var/lib/', '/var/log/'), 'access.log'),
  };
  const entry = (key: string, text: string, example: string): string => {
    const value = values[key];
    const line = value === undefined ? `#${key} = ${example}` : `${key} = ${JSON.stringify(value)}`;
    return `${comment(text)}${line}\n`;
  };
  const keys = [...keysOf(up)].filter(([key]) => key !== 'json' && key !== 'token');
  return `${comment(
    'Options of "gitaly-ts up --config THIS-FILE": each key is an option. Relative paths are relative to ' +
      'the directory of this file. Secrets are in files of their own. After a change: gitaly-ts config ' +
      'check THIS-FILE, and restart the server.',
  )}
${[
  entry(UP_DIRECTORY, 'directory of the repositories; created if it does not exist', '"data"'),
  ...keys.map(([key, option]) => entry(key, option.description, exampleOf(option))),
].join('\n')}`;
}

function exampleOf(option: Option): string {
  if (option.negate) return 'false';
  if (option.isBoolean()) return 'true';
  const [first] = option.argChoices ?? [];
  const text = JSON.stringify(first ?? option.flags.slice(option.flags.indexOf('<')));
  return /may be repeated/.test(option.description) ? `[${text}]` : text;
}

/** Returns lines of comment. */
function comment(text: string): string {
  let lines = '#';
  let length = 1;
  for (const word of text.split(' ')) {
    if (length + word.length >= COLUMNS) {
      lines += '\n#';
      length = 1;
    }
    lines += ` ${word}`;
    length += word.length + 1;
  }
  return `${lines}\n`;
}
