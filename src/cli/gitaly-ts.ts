#!/usr/bin/env node
import { Command, CommanderError } from 'commander';
import { tolerateBrokenPipes } from '#platform/process/broken-pipes';
import { tuneRuntime } from '#platform/process/tune-runtime';
import { versionString } from '#platform/process/version';
import { addToolCommands } from './tool-commands.ts';
import type { UpOptions } from './up.ts';
import { WRONG_USAGE } from './usage.ts';

const program = new Command('gitaly-ts')
  .description('The friendly front of gitaly: everything with one command, no configuration needed.')
  .version(versionString('gitaly-ts'), '-v, --version', 'print the version')
  .helpOption('-h, --help', 'print this help')
  .exitOverride()
  .showHelpAfterError(WRONG_USAGE)
  .addHelpText('after', '\nExamples:\n  gitaly-ts up\n  gitaly-ts up ~/repositories --http 127.0.0.1:8080');

program
  .command('up')
  .description('Start a server and an HTTP door for git clone and git push; Ctrl-C ends both.')
  .argument('[dir]', 'where the repositories live; made when it is not there', 'data')
  .option('--http <host:port>', 'address of the HTTP door (default: 127.0.0.1:8080, or another port when that is taken)')
  .option('--auth-file <path>', 'who may come in by HTTP: lines made by gitaly-ts hash-password (default: everybody)')
  .option('--auth-url <url>', 'a URL that is asked who may come in by HTTP')
  .option('--tls-cert <path>', 'speak HTTPS with this certificate (PEM)')
  .option('--tls-key <path>', 'the key of the certificate (PEM)')
  .option(
    '--trusted-proxy <network>',
    'believe X-Forwarded-For of this address or network, such as 10.0.0.0/8; may be repeated',
    (network: string, others: readonly string[] = []) => [...others, network],
  )
  .option('--ssh <host:port>', 'address of an SSH door (default: there is none)')
  .option('--ssh-keys <file>', 'authorized_keys of the SSH door (default: everybody, on loopback only)')
  .option('--grpc <address>', 'address for gRPC clients: HOST:PORT, or unix:PATH (default: a socket in the directory)')
  .exitOverride()
  .addHelpText(
    'after',
    '\nExamples:\n  gitaly-ts up\n  gitaly-ts up /srv/git --http 127.0.0.1:3000 --grpc 127.0.0.1:9999\n  gitaly-ts up /srv/git --http 0.0.0.0:443 --tls-cert cert.pem --tls-key key.pem --auth-file users\n  gitaly-ts up --ssh 0.0.0.0:2222 --ssh-keys ~/.ssh/authorized_keys\n\nThen: git clone http://127.0.0.1:8080/hello.git',
  )
  .action(async (dir: string, options: Omit<UpOptions, 'directory'>) => {
    const { runUp } = await import('./up.ts');
    process.exitCode = await runUp({ directory: dir, ...options });
  });

program
  .command('hash-password')
  .description('Print a line for the file of up --auth-file; the password comes from standard input.')
  .argument('<name>', 'of the user')
  .argument('[path...]', 'repositories and folders that the line opens (default: all)')
  .option('--write', 'may push too', false)
  .option('--token', 'make a token in place of a password, and show it once on standard error', false)
  .exitOverride()
  .addHelpText(
    'after',
    '\nExamples:\n  gitaly-ts hash-password ann --write >> users\n  gitaly-ts hash-password ci --token team/app.git >> users',
  )
  .action(async (name: string, paths: string[], options: { write: boolean; token: boolean }) => {
    const { runHashPassword } = await import('./hash-password.ts');
    process.exitCode = await runHashPassword({ name, paths, ...options });
  });

addToolCommands(program);
for (const command of program.commands) command.exitOverride();

tuneRuntime();
tolerateBrokenPipes();
try {
  if (process.argv.length <= 2) {
    program.outputHelp({ error: true });
    process.exitCode = 2;
  } else await program.parseAsync();
} catch (error) {
  if (!(error instanceof CommanderError)) throw error;
  process.exitCode = error.exitCode === 0 ? 0 : 2;
}
