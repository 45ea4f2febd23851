import { readFile } from 'node:fs/promises';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { type Command, InvalidArgumentError, type Option } from 'commander';
import { didYouMean } from '#base/check-names';
import { messageOf } from '#base/gitaly-error';
import { type DocumentEntry, DocumentError, entriesOfDocument } from '#platform/config/flat-document';
import { collectValues } from '../commands/option-values.ts';

/** A line of a file of options that cannot be used. */
export interface FileProblem {
  readonly line: number | undefined;
  readonly message: string;
}

/** The options of `gitaly-ts up` in a file. */
export interface UpFile {
  /** Values by the names of commander, as if they were given on the command line. */
  readonly values: ReadonlyMap<string, unknown>;
  /** The argument of the command. */
  readonly directory: string | undefined;
  readonly problems: readonly FileProblem[];
}

/** Key of the command's argument. */
export const UP_DIRECTORY = 'directory';
/** Options of a single start, which are no keys. */
const NO_KEYS: ReadonlySet<string> = new Set(['config', 'help']);
/** Matches the placeholders of options whose value is a path. */
const PATH = /<(?:file|path|dir|directory)\b/;

/**
 * Reads a file of options: each long option of the command is a key, with underscores. Relative
 * paths are relative to the directory of the file.
 *
 * @throws the system's error if the file cannot be read.
 */
export async function readUpFile(path: string, up: Command): Promise<UpFile> {
  const document = await readFile(path, 'utf8');
  const directory = resolve(dirname(path));
  try {
    return read(entriesOfDocument(document), keysOf(up), directory);
  } catch (error) {
    if (!(error instanceof DocumentError)) throw error;
    const problem = { line: error.line, message: error.message };
    return { values: new Map(), directory: undefined, problems: [problem] };
  }
}

/** Returns the options that are keys of the file, in their order. */
export function keysOf(up: Command): ReadonlyMap<string, Option> {
  return new Map(up.options.flatMap((option) => keyOf(option)));
}

function keyOf(option: Option): [string, Option][] {
  const name = (option.long ?? '').replace(/^--(?:no-)?/, '');
  return name === '' || NO_KEYS.has(name) ? [] : [[name.replaceAll('-', '_'), option]];
}

function read(
  entries: readonly DocumentEntry[],
  keys: ReadonlyMap<string, Option>,
  directory: string,
): UpFile {
  const values = new Map<string, unknown>();
  const problems: FileProblem[] = [];
  let given: string | undefined;
  for (const { key, line, value } of entries) {
    try {
      const option = keys.get(key);
      if (key === UP_DIRECTORY) given = absolute(textOf(value, 'a directory'), directory);
      else if (option === undefined)
        throw new InvalidArgumentError(unknown(key, [...keys.keys(), UP_DIRECTORY]));
      else {
        refuseSecret(key, value, keys);
        values.set(option.attributeName(), optionValue(option, value, directory));
      }
    } catch (error) {
      if (!(error instanceof InvalidArgumentError)) throw error;
      problems.push({ line, message: `${key}: ${error.message}` });
    }
  }
  return { values, directory: given, problems };
}

function unknown(key: string, keys: readonly string[]): string {
  return `this key does not exist${didYouMean(key.replaceAll('-', '_'), keys)}`;
}

/** Refuses what other users of the machine must not read: files hold secrets. */
function refuseSecret(key: string, value: unknown, keys: ReadonlyMap<string, Option>): void {
  if (keys.has(`${key}_file`))
    throw new InvalidArgumentError(`write the secret in a file, and use ${key}_file`);
  const url = typeof value === 'string' ? URL.parse(value) : null;
  if (url !== null && (url.password !== '' || url.searchParams.has('password')))
    throw new InvalidArgumentError('write no password in this file');
}

/** Returns a value as commander would from the command line. @throws {InvalidArgumentError} */
function optionValue(option: Option, value: unknown, directory: string): unknown {
  if (option.isBoolean() || option.negate) {
    if (typeof value !== 'boolean') throw new InvalidArgumentError('expected true or false');
    return value;
  }
  const placeholder = option.flags.slice(option.flags.indexOf('<'));
  const located = (text: string): string =>
    PATH.test(placeholder) ? absolute(text, directory) : absoluteSocket(text, directory);
  if (option.parseArg === collectValues) {
    if (!Array.isArray(value))
      throw new InvalidArgumentError(`expected an array of strings: ["${placeholder}"]`);
    return value.map((each) => located(textOf(each, 'an array of strings')));
  }
  if (option.parseArg === undefined) return located(textOf(value, `a string: "${placeholder}"`));
  const text =
    typeof value === 'number' ? String(value) : textOf(value, `a number or a string: ${placeholder}`);
  return option.parseArg(text, undefined);
}

function textOf(value: unknown, expected: string): string {
  if (typeof value !== 'string' || value === '') throw new InvalidArgumentError(`expected ${expected}`);
  return value;
}

/** Returns a path from the root; what is no path, such as `-` or a URL, stays. */
function absolute(text: string, directory: string): string {
  return text === '-' || isAbsolute(text) || URL.canParse(text) ? text : join(directory, text);
}

/** Returns the address of a Unix socket with a path from the root; others stay. */
function absoluteSocket(text: string, directory: string): string {
  const path = /^unix:(?!\/)(.+)$/.exec(text)?.[1];
  return path === undefined ? text : `unix:${join(directory, path)}`;
}

/** Thrown for a file whose options cannot be used; the message has a line for each problem. */
export class UpFileError extends Error {
  override readonly name = 'UpFileError';
}

/**
 * Adds the options of the command's `--config` file to those of the command line, which win.
 *
 * @throws {UpFileError}
 */
export async function applyUpFile(path: string, up: Command): Promise<{ readonly directory?: string }> {
  const file = await readUpFile(path, up).catch((error: unknown) => {
    throw new UpFileError(`--config ${path}: ${messageOf(error)}`, { cause: error });
  });
  const { directory, problems } = file;
  if (problems.length > 0) throw new UpFileError(problemLines(path, problems).join('\n'));
  applyValues(file, up);
  return directory === undefined ? {} : { directory };
}

/** Sets the options of a file that the command line does not set. */
export function applyValues({ values }: UpFile, up: Command): void {
  for (const [name, value] of values)
    if (up.getOptionValueSource(name) !== 'cli') up.setOptionValueWithSource(name, value, 'config');
}

/** Returns a line for each problem: file, line, message. */
export function problemLines(path: string, problems: readonly FileProblem[]): string[] {
  return problems.map(({ line, message }) =>
    [path, line, ` ${message}`].filter((part) => part !== undefined).join(':'),
  );
}
