import { dirname, join, posix } from 'node:path';
import { joinObjectDirectories, splitObjectDirectories } from '#git/command/object-directory-list';
import type { HookFacts } from './payload.ts';

/** Variables that a hook was started with; a later entry of a list wins. */
export type HookEnvironment = Readonly<Record<string, string>>;

/** Variables about a push certificate that an operator's script receives. */
export const PUSH_CERTIFICATE_VARIABLES = [
  'GIT_PUSH_CERT',
  'GIT_PUSH_CERT_SIGNER',
  'GIT_PUSH_CERT_KEY',
  'GIT_PUSH_CERT_STATUS',
  'GIT_PUSH_CERT_NONCE',
  'GIT_PUSH_CERT_NONCE_STATUS',
  'GIT_PUSH_CERT_NONCE_SLOP',
] as const;

/** Reads a list of `NAME=value`. Entries without a name or an equals sign are omitted. */
export function environmentFromList(list: readonly string[]): HookEnvironment {
  const environment: Record<string, string> = Object.create(null);
  for (const entry of list) {
    const at = entry.indexOf('=');
    if (at > 0) environment[entry.slice(0, at)] = entry.slice(at + 1);
  }
  return environment;
}

/** Quarantine of a push, relative to the repository, as GitLab requires. */
export interface RelativeObjectDirectories {
  readonly objectDirectory: string;
  readonly alternateObjectDirectories: readonly string[];
}

/**
 * Returns the quarantine directories that git passed to the hook, relative to the repository's real
 * path; `undefined` when there are none.
 *
 * @throws {Error} `Rel: can't make X relative to Y` for a path that is not absolute.
 */
export function relativeObjectDirectories(
  realRepositoryPath: string,
  environment: HookEnvironment,
): RelativeObjectDirectories | undefined {
  const { GIT_OBJECT_DIRECTORY: own = '', GIT_ALTERNATE_OBJECT_DIRECTORIES: alternates = '' } = environment;
  if (own === '' || alternates === '') return undefined;
  return {
    objectDirectory: relative(realRepositoryPath, own),
    alternateObjectDirectories: splitObjectDirectories(alternates).map((directory) =>
      relative(realRepositoryPath, directory),
    ),
  };
}

function relative(from: string, to: string): string {
  if (!posix.isAbsolute(to)) throw new Error(`Rel: can't make ${to} relative to ${from}`);
  return posix.relative(from, to) || '.';
}

export interface CustomHookEnvironmentOptions {
  /** Variables that all children inherit, and those that git needs. */
  readonly base: Readonly<Record<string, string>>;
  /** The hook's own variables, already cut down to those that may pass. */
  readonly passed: HookEnvironment;
  readonly environment: HookEnvironment;
  readonly payload: Pick<HookFacts, 'repository' | 'user'>;
  /** Git directory of the payload's repository. */
  readonly repositoryPath: string;
  readonly pushOptions: readonly string[];
  /** Path of our git, so that scripts use the same one. */
  readonly gitBinary: string;
  readonly correlationId: string;
}

/**
 * Builds the complete environment of an operator's script. It does not contain the payload, which
 * holds a token.
 */
export function customHookEnvironment(parts: CustomHookEnvironmentOptions): Record<string, string> {
  const { environment, payload, repositoryPath, passed, base } = parts;
  const { repository, user } = payload;
  const path = environment.PATH || base.PATH || '';
  return {
    ...base,
    ...passed,
    ...pushOptionVariables(parts.pushOptions),
    ...pushCertificate(environment),
    ...objectDirectoryVariables(environment, payload, repositoryPath),
    PATH: `${dirname(parts.gitBinary)}:${path}`,
    CORRELATION_ID: parts.correlationId,
    GIT_DIR: repositoryPath,
    GL_REPOSITORY: repository.glRepository ?? '',
    GL_PROJECT_PATH: repository.glProjectPath ?? '',
    GL_ID: user?.userId ?? '',
    GL_USERNAME: user?.username ?? '',
    GL_PROTOCOL: user?.protocol ?? '',
  };
}

function pushOptionVariables(options: readonly string[]): Record<string, string> {
  if (options.length === 0) return {};
  return Object.fromEntries([
    ['GIT_PUSH_OPTION_COUNT', String(options.length)],
    ...options.map((option, index) => [`GIT_PUSH_OPTION_${index}`, option]),
  ]);
}

function pushCertificate(environment: HookEnvironment): Record<string, string> {
  return Object.fromEntries(
    PUSH_CERTIFICATE_VARIABLES.flatMap((name) => {
      const value = environment[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

function objectDirectoryVariables(
  environment: HookEnvironment,
  { repository }: Pick<HookFacts, 'repository'>,
  repositoryPath: string,
) {
  const own = environment.GIT_OBJECT_DIRECTORY || absolute(repositoryPath, repository.gitObjectDirectory);
  const alternates =
    environment.GIT_ALTERNATE_OBJECT_DIRECTORIES ||
    joinObjectDirectories(
      (repository.gitAlternateObjectDirectories ?? []).map((directory) => join(repositoryPath, directory)),
    );
  return {
    ...(own !== '' && { GIT_OBJECT_DIRECTORY: own }),
    ...(alternates !== '' && { GIT_ALTERNATE_OBJECT_DIRECTORIES: alternates }),
  };
}

function absolute(repositoryPath: string, directory: string | undefined): string {
  return directory === undefined || directory === '' ? '' : join(repositoryPath, directory);
}
