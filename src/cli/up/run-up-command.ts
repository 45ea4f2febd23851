import type { Command } from 'commander';
import { runUp } from './up.ts';
import { applyUpFile, UpFileError } from './up-file.ts';
import type { UpOptions } from './up-options.ts';

export interface UpCommandOptions {
  /** The argument of the command, or its default. */
  readonly directory: string;
  /** File with further options. */
  readonly config: string | undefined;
}

/** Runs `gitaly-ts up` with the options of the command line and of a file. Resolves to the exit code. */
export async function runUpCommand(up: Command, { config, directory }: UpCommandOptions): Promise<number> {
  try {
    const file = config === undefined ? {} : await applyUpFile(config, up);
    return await runUp(upOptions(up, up.args.length > 0 ? directory : (file.directory ?? directory)));
  } catch (error) {
    if (!(error instanceof UpFileError)) throw error;
    process.stderr.write(
      `gitaly-ts up: ${error.message}\nCheck it again with: gitaly-ts config check ${config}\n`,
    );
    return 1;
  }
}

export function upOptions(up: Command, directory: string): UpOptions {
  const { config: _, ...options } = up.opts<Omit<UpOptions, 'directory'> & { readonly config?: string }>();
  return { directory, ...options };
}
