#!/usr/bin/env node
import { Command, CommanderError } from 'commander';
import { tuneRuntime } from '#platform/process/tune-runtime';
import { versionString } from '#platform/process/version';

const program = new Command('gitaly-ts')
  .description('The friendly front of gitaly: everything with one command, no configuration needed.')
  .version(versionString('gitaly-ts'), '-v, --version', 'print the version')
  .helpOption('-h, --help', 'print this help')
  .exitOverride()
  .addHelpText('after', '\nExamples:\n  gitaly-ts up\n  gitaly-ts up ~/repositories --http 127.0.0.1:8080');

program
  .command('up')
  .description('Start a server and an HTTP door for git clone and git push; Ctrl-C ends both.')
  .argument('[dir]', 'where the repositories live; made when it is not there', 'data')
  .option('--http <host:port>', 'address of the HTTP door (default: 127.0.0.1:8080, or another port when that is taken)')
  .option('--grpc <address>', 'address for gRPC clients: HOST:PORT, or unix:PATH (default: a socket in the directory)')
  .exitOverride()
  .addHelpText(
    'after',
    '\nExamples:\n  gitaly-ts up\n  gitaly-ts up /srv/git --http 127.0.0.1:3000 --grpc 127.0.0.1:9999\n\nThen: git clone http://127.0.0.1:8080/hello.git',
  )
  .action(async (dir: string, options: { http?: string; grpc?: string }) => {
    const { runUp } = await import('./up.ts');
    process.exitCode = await runUp({ directory: dir, ...options });
  });

tuneRuntime();
try {
  if (process.argv.length <= 2) {
    program.outputHelp({ error: true });
    process.exitCode = 2;
  } else await program.parseAsync();
} catch (error) {
  if (!(error instanceof CommanderError)) throw error;
  process.exitCode = error.exitCode === 0 ? 0 : 2;
}
