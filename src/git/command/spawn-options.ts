import type { GitDirectory } from '../repository-files/git-directory.ts';
import type { ConfigPair } from './config.ts';
import type { ProcessObserver, ProcessOptions } from './process/start-process.ts';
import type { Arg } from './spawner/spawner.ts';

/**
 * The hooks of a command that may change references: `disabled`, or their directory and environment
 * variables.
 */
export type HookSetup =
  | 'disabled'
  | { readonly directory: string; readonly env: Readonly<Record<string, Arg>> };

export interface SpawnOptions extends ProcessOptions {
  /** Repository of the command; without one it runs outside any repository. */
  readonly repository?: GitDirectory | undefined;
  /** Runs in this working tree (`-C`) instead of on the bare repository (`--git-dir`). */
  readonly worktree?: string | undefined;
  readonly env?: Readonly<Record<string, Arg>>;
  /** Settings between the command's own and the operator's. */
  readonly config?: readonly ConfigPair[];
  readonly gitProtocol?: string | undefined;
  /** Required for commands that may change references. */
  readonly hooks?: HookSetup;
  /** Notified of this process, in addition to the observer of all. */
  readonly observer?: ProcessObserver;
}

export interface RunOptions extends Omit<SpawnOptions, 'stdin' | 'stdout'> {
  /** Data for standard input. */
  readonly input?: Uint8Array | string;
  /** Limit of the output, beyond which the command fails. Default 16 MiB. */
  readonly maxOutputBytes?: number;
}
