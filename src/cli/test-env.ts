import { messageOf } from '#base/gitaly-error';
import { listenForStop } from '#platform/process/signals';
import { type ReadyEnvironment, runTestEnv } from '#tools/test-env/test-env';

/** Options of the command line. */
export interface TestEnvArguments {
  readonly storage?: readonly string[];
  readonly token?: string;
  readonly praefect?: boolean;
  readonly json?: boolean;
}

/** Runs `gitaly-ts test-env` until a signal or the end of its parent. Resolves to the exit code. */
export async function runTestEnvCommand(directory: string, given: TestEnvArguments): Promise<number> {
  using signals = listenForStop();
  const { GITALY_SERVER_VERSION: version, GITALY_REPO_URL: repositoryUrl } = process.env;
  try {
    await runTestEnv({
      directory,
      storages: given.storage ?? ['default'],
      token: given.token,
      praefect: given.praefect,
      version,
      repositoryUrl,
      signal: signals.stop,
      onReady: (ready) => process.stdout.write(given.json ? `${JSON.stringify(ready)}\n` : text(ready)),
    });
    return 0;
  } catch (error) {
    if (signals.stop.aborted) return 0;
    process.stderr.write(`gitaly-ts test-env: ${messageOf(error)}\n`);
    return 1;
  }
}

function text({ addresses, token, storages, config, log }: ReadyEnvironment): string {
  return `A test server is ready.

  ${addresses.unix}
  ${addresses.tcp}${addresses.praefect === undefined ? '' : `\n  ${addresses.praefect}`}
  token     ${token}
  storages  ${storages.map(({ name }) => name).join(', ')}
  ${config}
  ${log}

It ends with its parent process, with Ctrl-C, and when its directory is removed.
`;
}
