// The command line of the examples.
import { relative } from 'node:path';

/** Values by their names; that of a name in brackets may be missing. */
type Values<Names extends readonly string[]> = {
  [Index in keyof Names]: Names[Index] extends `[${string}` ? string | undefined : string;
};

/** Returns the arguments of this program. If one is missing, prints the usage and exits with code 2. */
export function readArguments<const Names extends readonly string[]>(...names: Names): Values<Names> {
  const [, program = '', ...given] = process.argv;
  const required = names.filter((name) => !name.startsWith('['));
  if (given.length < required.length) {
    console.error(`usage: node ${relative(process.cwd(), program)} ${names.join(' ')}`);
    process.exit(2);
  }
  return given as Values<Names>; // there are as many as the names require
}
