import type { UpEventsOptions } from './up-events.ts';
import type { UpHttpOptions } from './up-http.ts';
import type { UpLfsOptions } from './up-lfs.ts';
import type { UpLogOptions } from './up-log.ts';
import type { UpPeopleOptions } from './up-people.ts';
import type { UpSshOptions } from './up-ssh.ts';
import type { UpTokenOptions } from './up-token.ts';
import type { UpTokensOptions } from './up-tokens.ts';

/** The command line of `gitaly-ts up`. */
export interface UpOptions
  extends UpHttpOptions,
    UpSshOptions,
    UpPeopleOptions,
    UpLfsOptions,
    UpTokenOptions,
    UpTokensOptions,
    UpEventsOptions,
    UpLogOptions {
  readonly directory: string;
  /** `HOST:PORT` or `unix:PATH`; default a socket in the directory. */
  readonly grpc?: string | undefined;
  /** `HOST:PORT` of the listener for monitoring; none without it. */
  readonly metrics?: string | undefined;
  /** Most processes that serve requests; default 1. */
  readonly workers?: number | 'auto' | undefined;
  /** Number of gitalys; without it there is one server and no praefect. */
  readonly cluster?: number | undefined;
  /** URL of the cluster's PostgreSQL database; default a server in the directory. */
  readonly database?: string | undefined;
  /** Prints one line of JSON instead of text. */
  readonly json?: boolean;
}
