import { spawn } from 'node:child_process';
import { systemErrorText } from '#base/go/system-error';
import { findProgram } from '#git/command/find-program';
import { readConfiguration } from '../admin/configured-server.ts';
import { type CommandStreams, runCommand } from '../admin/run-command.ts';

/** Settings of every `gitaly git`: the server maintains repositories, not the command. */
const SETTINGS = [
  ['gc.auto', '0'],
  ['maintenance.auto', '0'],
] as const;

/** The exit code of a git that a signal ended, as in Gitaly: -1 in eight bits. */
const SIGNALLED = 255;

/**
 * Runs `gitaly git`: the git program of a configuration, with the caller's directory, environment,
 * input and output. Resolves to its exit code.
 */
export function runConfiguredGit(
  configPath: string,
  args: readonly string[],
  streams: Pick<CommandStreams, 'stderr'>,
): Promise<number> {
  return runCommand(streams, async () => {
    const { git } = await readConfiguration(configPath);
    const program = findProgram(process.env.GITALY_TESTING_GIT_BINARY || git.binPath || 'git');
    return await run(program, args);
  });
}

/** A terminal sends these to git as well, which decides whether to end. */
const FROM_TERMINAL = ['SIGINT', 'SIGQUIT'] as const;

async function run(program: string, args: readonly string[]): Promise<number> {
  const ignore = (): void => {};
  for (const signal of FROM_TERMINAL) process.on(signal, ignore);
  const child = spawn(program, args, { stdio: 'inherit', env: { ...process.env, ...settings() } });
  const pass = (signal: NodeJS.Signals): void => void child.kill(signal);
  process.on('SIGTERM', pass);
  try {
    return await new Promise<number>((resolve, reject) => {
      child.once('error', (error) =>
        reject(new Error(`executing git command: fork/exec ${program}: ${systemErrorText(error)}`)),
      );
      child.once('exit', (code) => resolve(code ?? SIGNALLED));
    });
  } finally {
    for (const signal of FROM_TERMINAL) process.off(signal, ignore);
    process.off('SIGTERM', pass);
  }
}

/** Returns the settings as environment, after those that the caller has there. */
function settings(): Record<string, string> {
  const first = Number.parseInt(process.env.GIT_CONFIG_COUNT ?? '0', 10) || 0;
  const pairs = SETTINGS.flatMap(([key, value], index) => [
    [`GIT_CONFIG_KEY_${first + index}`, key],
    [`GIT_CONFIG_VALUE_${first + index}`, value],
  ]);
  return { ...Object.fromEntries(pairs), GIT_CONFIG_COUNT: String(first + SETTINGS.length) };
}
