import type { Secret } from '#base/secret';
import type { GitalyConfig } from '#gitaly/index';
import type { WorkerGreeting } from '#workers/run-worker';
import type { UpBundles } from '../up-bundles.ts';
import type { UpOptions } from '../up-options.ts';
import type { UpServerSettings } from '../up-server.ts';

/** The first message of `gitaly-ts up` to a new worker. */
export interface UpGreeting extends WorkerGreeting {
  readonly config: GitalyConfig;
  readonly settings: UpServerSettings;
  /** The command line. */
  readonly options: UpOptions;
  /** Token of the command line, which may come from a file. */
  readonly givenToken: Secret | undefined;
  readonly bundles: UpBundles['gateway'] | undefined;
  /** Absolute path of the directory. */
  readonly directory: string;
}
