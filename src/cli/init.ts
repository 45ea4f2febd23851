import { messageOf } from '#base/gitaly-error';
import { InitError, initDirectory } from '#tools/init/init-directory';

/** Runs `gitaly-ts init`. Resolves to the exit code. */
export async function runInit(directory: string): Promise<number> {
  try {
    const { configPath, tokenPath, socketPath } = await initDirectory(directory);
    process.stdout.write(`Made ${configPath}

  gitaly-ts doctor ${shell(configPath)}     # is everything as it should be?
  gitaly serve ${shell(configPath)}         # start the server

Clients connect to unix:${socketPath} with the token in ${tokenPath}.
`);
    return 0;
  } catch (error) {
    const advice = error instanceof InitError ? '' : '. Choose a directory that you can write to.';
    process.stderr.write(`gitaly-ts init: ${messageOf(error)}${advice}\n`);
    return 1;
  }
}

function shell(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
