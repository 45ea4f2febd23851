import { type ParseArgsOptionsConfig, parseArgs } from 'node:util';
import { messageOf } from '#base/gitaly-error';

/** Parses the options of a program that compares with Gitaly's. Ends the process for wrong ones. */
export function parseOptions<T extends ParseArgsOptionsConfig>(options: T, usage: string) {
  try {
    return parseArgs({ options }).values;
  } catch (error) {
    return fail(messageOf(error), usage);
  }
}

/** Ends the process with a message and the usage. */
export function fail(message: string, usage: string): never {
  process.stderr.write(`${message}\n\n${usage}`);
  process.exit(2);
}
