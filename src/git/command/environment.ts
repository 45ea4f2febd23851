import type { GitRepository } from '../repository.ts';
import type { Arg } from './spawner/spawner.ts';

/** The only variables of the server that its children see. */
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

/** English messages (stderr is parsed), no prompts, and no configuration but the repository's own and ours. */
const FIXED = {
  LANG: 'en_US.UTF-8',
  GIT_TERMINAL_PROMPT: '0',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_CONFIG_SYSTEM: '/dev/null',
  XDG_CONFIG_HOME: '/dev/null',
} as const;

/** What of the server's environment children may see. */
export function inheritedEnvironment(environment: Readonly<NodeJS.ProcessEnv>): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const name of INHERITED) {
    const value = environment[name];
    if (value !== undefined) kept[name] = value;
  }
  return kept;
}

export interface EnvironmentParts {
  /** Made once by {@link inheritedEnvironment}. */
  readonly inherited: Readonly<Record<string, string>>;
  readonly repository?: GitRepository | undefined;
  /** The call's own variables. They cannot override the fixed ones. */
  readonly env?: Readonly<Record<string, Arg>> | undefined;
  /** What the client asked for; only `version=1` and `version=2` are passed on. */
  readonly gitProtocol?: string | undefined;
}

/** The whole environment of one git child. */
export function gitEnvironment(parts: EnvironmentParts): Record<string, Arg> {
  return {
    ...parts.inherited,
    ...objectDirectories(parts.repository),
    ...(isGitProtocol(parts.gitProtocol) ? { GIT_PROTOCOL: parts.gitProtocol } : {}),
    ...parts.env,
    ...FIXED,
  };
}

/** Whether a protocol that a client asks for is one that git is told about. */
export function isGitProtocol(protocol: string | undefined): protocol is 'version=1' | 'version=2' {
  return protocol === 'version=1' || protocol === 'version=2';
}

/** Git finds the object directory by itself; it is told only where a quarantine or extra directories are in play. */
function objectDirectories(repository: GitRepository | undefined): Record<string, string> {
  if (repository === undefined) return {};
  const { path, objectDirectory, alternateObjectDirectories } = repository;
  return {
    ...(objectDirectory === `${path}/objects` ? {} : { GIT_OBJECT_DIRECTORY: objectDirectory }),
    ...(alternateObjectDirectories.length === 0
      ? {}
      : { GIT_ALTERNATE_OBJECT_DIRECTORIES: alternateObjectDirectories.map(quotePath).join(':') }),
  };
}

/** Git splits the list at colons, but takes a path in double quotes as a C string. */
function quotePath(path: string): string {
  return path.includes(':') || path.startsWith('"') ? `"${path.replace(/["\\]/g, '\\$&')}"` : path;
}
