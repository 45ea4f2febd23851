import { type GitDirectory, isQuarantined } from '../repository-files/git-directory.ts';
import { joinObjectDirectories } from './object-directory-list.ts';
import type { Arg } from './spawner/spawner.ts';

/** The only server variables that git inherits. */
const INHERITED = [
  'HOME',
  'PATH',
  'LD_LIBRARY_PATH',
  'TZ',
  'GIT_TRACE',
  'GIT_TRACE_PACK_ACCESS',
  'GIT_TRACE_PACKET',
  'GIT_TRACE_PERFORMANCE',
  'GIT_TRACE_SETUP',
  'GIT_EXEC_PATH',
  'GIT_DEFAULT_REF_FORMAT',
  'all_proxy',
  'http_proxy',
  'HTTP_PROXY',
  'https_proxy',
  'HTTPS_PROXY',
  'no_proxy',
  'NO_PROXY',
  'GITALY_TESTING_ENABLE_ALL_FEATURE_FLAGS',
] as const;

/**
 * English messages (stderr is parsed), no prompts, and no configuration except the repository's own
 * and ours.
 */
const FIXED = {
  LANG: 'en_US.UTF-8',
  GIT_TERMINAL_PROMPT: '0',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_CONFIG_SYSTEM: '/dev/null',
  XDG_CONFIG_HOME: '/dev/null',
} as const;

/** Returns the part of the server's environment that git inherits. */
export function inheritedEnvironment(environment: Readonly<NodeJS.ProcessEnv>): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const name of INHERITED) {
    const value = environment[name];
    if (value !== undefined) kept[name] = value;
  }
  return kept;
}

export interface EnvironmentOptions {
  /** Made once by {@link inheritedEnvironment}. */
  readonly inherited: Readonly<Record<string, string>>;
  readonly repository?: GitDirectory | undefined;
  /** The call's own variables. They cannot override the fixed ones. */
  readonly env?: Readonly<Record<string, Arg>> | undefined;
  /** The protocol requested by the client; only `version=1` and `version=2` are passed on. */
  readonly gitProtocol?: string | undefined;
}

/** Returns the whole environment of one git process. */
export function gitEnvironment(options: EnvironmentOptions): Record<string, Arg> {
  return {
    ...options.inherited,
    ...(options.repository && objectDirectories(options.repository)),
    ...(isGitProtocol(options.gitProtocol) ? { GIT_PROTOCOL: options.gitProtocol } : {}),
    ...options.env,
    ...FIXED,
  };
}

/** Reports whether a protocol requested by a client is passed on to git. */
export function isGitProtocol(protocol: string | undefined): protocol is 'version=1' | 'version=2' {
  return protocol === 'version=1' || protocol === 'version=2';
}

/**
 * Returns variables for object directories, only if a quarantine or extra directories are used;
 * otherwise git finds its object directory itself.
 */
function objectDirectories(directory: GitDirectory): Record<string, string> {
  const { objectDirectory, alternateObjectDirectories } = directory;
  return {
    ...(isQuarantined(directory) ? { GIT_OBJECT_DIRECTORY: objectDirectory } : {}),
    ...(alternateObjectDirectories.length === 0
      ? {}
      : { GIT_ALTERNATE_OBJECT_DIRECTORIES: joinObjectDirectories(alternateObjectDirectories) }),
  };
}
