import { chosenStorage, dialServer, readConfiguration } from './configured-server.ts';
import { type CommandStreams, runCommand } from './run-command.ts';
import type { RepositoryChoice } from './set-hooks.ts';

/**
 * Runs `gitaly bundle-uri`: the server makes the bundle that fetches of a repository are offered.
 * Resolves to the exit code.
 */
export function generateBundle(choice: RepositoryChoice, streams: CommandStreams): Promise<number> {
  return runCommand(streams, async () => {
    const config = await readConfiguration(choice.config);
    const storageName = chosenStorage(config, choice.storage);
    await using connection = await dialServer(config, 'connect to Gitaly');
    await connection.repository.generateBundleURI({
      repository: { storageName, relativePath: choice.repository },
    });
    return 0;
  });
}
