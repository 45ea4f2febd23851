import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fieldsOf } from '#base/fields-of';
import { messageOf } from '#base/gitaly-error';
import { systemErrorCode } from '#base/go/system-error';
import { People } from '#gateway/people/people';
import { GatewayArgumentError, reportProblem } from './gateway-options.ts';

/** Command line options of people. */
export interface UpPeopleOptions {
  /** Default: that of the directory, if there is one and no other option says who may log in. */
  readonly people?: string | undefined;
}

/** Options instead of people. */
const OTHERS = { authFile: '--auth-file', authUrl: '--auth-url', sshKeys: '--ssh-keys' } as const;

type GivenOptions = UpPeopleOptions & { readonly [Name in keyof typeof OTHERS]?: string | undefined } & {
  readonly directory: string;
};

/** Returns the path of the file in a directory of `gitaly-ts up`. */
export function peopleIn(directory: string): string {
  return join(directory, 'people.toml');
}

/**
 * Opens the file of people; `undefined` without one.
 *
 * @throws {GatewayArgumentError} for options that exclude each other; an error that names the file.
 */
export async function upPeople(options: GivenOptions): Promise<People | undefined> {
  const other = fieldsOf(OTHERS).find(([key]) => options[key] !== undefined)?.[1];
  const { people: given, directory } = options;
  if (given !== undefined && other !== undefined)
    throw new GatewayArgumentError(`use one of --people and ${other}`);
  const path = given ?? peopleIn(directory);
  if (given === undefined && !existsSync(path)) return undefined;
  if (other !== undefined) {
    process.stderr.write(`gitaly-ts: ${path} is not used, because of ${other}\n`);
    return undefined;
  }
  try {
    return await People.open(path, (error) => reportProblem(new Error(`${path}: ${messageOf(error)}`)));
  } catch (error) {
    const isMissing = systemErrorCode(error) === 'ENOENT';
    const advice = isMissing ? `. Create it with: gitaly-ts user add NAME --people ${path}` : '';
    throw new Error(`people in ${path}: ${messageOf(error)}${advice}`, { cause: error });
  }
}
