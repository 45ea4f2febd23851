import { setCustomHooks } from '#client/split/upload-to-repository';
import { chosenStorage, dialServer, readConfiguration } from './configured-server.ts';
import { type CommandStreams, runCommand, withHeading } from './run-command.ts';

/** A repository of the server of a configuration file. */
export interface RepositoryChoice {
  readonly config: string;
  /** Default: the only storage. */
  readonly storage?: string | undefined;
  readonly repository: string;
}

/**
 * Runs `gitaly hooks set`: replaces the custom hooks of a repository with those of a tar archive on
 * standard input; an empty one removes them. Resolves to the exit code.
 */
export function setHooks(choice: RepositoryChoice, streams: CommandStreams): Promise<number> {
  return runCommand(streams, async () => {
    const config = await readConfiguration(choice.config);
    const storageName = chosenStorage(config, choice.storage);
    await using connection = await dialServer(config);
    const repository = { storageName, relativePath: choice.repository };
    await withHeading('closing hooks archive stream', setCustomHooks(connection, repository, streams.stdin));
    return 0;
  });
}
