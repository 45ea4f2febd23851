import { Command, InvalidArgumentError, Option } from 'commander';
import { versionString } from '#platform/process/version';
import { addConfigCommands } from '../commands/config-commands.ts';
import { collectValues, countOption } from '../commands/option-values.ts';
import { addToolCommands } from '../commands/tool-commands.ts';
import { suggestNames, WRONG_USAGE } from '../commands/usage.ts';
import { addWorker } from '../serve/add-worker.ts';

const UP_EXAMPLES = `
Examples:
  gitaly-ts up
  gitaly-ts up /srv/git --http 127.0.0.1:3000 --grpc 127.0.0.1:9999
  gitaly-ts up /srv/git --http 0.0.0.0:443 --tls-cert cert.pem --tls-key key.pem --auth-file users
  gitaly-ts up /srv/git --ssh 0.0.0.0:2222 --people /srv/git/people.toml
  gitaly-ts up --ssh 0.0.0.0:2222 --ssh-keys ~/.ssh/authorized_keys
  gitaly-ts up /srv/cluster --cluster 3
  gitaly-ts up --config /etc/gitaly-ts/up.toml

Then: git clone http://127.0.0.1:8080/hello.git`;

/** As of `[workers] max`. */
const MAX_WORKERS = 256;

function nodeCount(text: string): number {
  if (!/^[2-9]$/.test(text)) throw new InvalidArgumentError('expected a number from 2 to 9.');
  return Number(text);
}

function workerCount(text: string): number | 'auto' {
  if (text === 'auto') return text;
  const count = /^\d{1,3}$/.test(text) ? Number(text) : 0;
  if (count < 1 || count > MAX_WORKERS)
    throw new InvalidArgumentError(`expected auto, or a number from 1 to ${MAX_WORKERS}.`);
  return count;
}

export function gitalyTsProgram(): Command {
  const program = new Command('gitaly-ts')
    .description('Run and manage a Git server; no configuration needed.')
    .version(versionString('gitaly-ts'), '-v, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .exitOverride()
    .showHelpAfterError(WRONG_USAGE)
    .addHelpText('after', '\nExamples:\n  gitaly-ts up\n  gitaly-ts up ~/repositories --http 127.0.0.1:8080');
  const up = addUp(program);
  addWorker(
    program,
    (code) => {
      process.exitCode = code;
    },
    async () => (await import('../up/workers/run-up-worker.ts')).runUpWorker(),
  );
  addHashPassword(program);
  addToolCommands(program, up);
  addConfigCommands(program, up);
  for (const command of program.commands) command.exitOverride();
  suggestNames(program, (error, write, hint) => write(error + hint));
  return program;
}

function addUp(program: Command): Command {
  const up = program
    .command('up')
    .description('Start a server and an HTTP gateway for git clone and git push; Ctrl-C stops both.')
    .argument('[dir]', 'directory of the repositories; created if it does not exist', 'data');
  addServiceOptions(addHttpOptions(up))
    .option(
      '--people <file>',
      'file with the people of both gateways, made by gitaly-ts user (default: people.toml in the ' +
        'directory, if there is one and none of --auth-file, --auth-url and --ssh-keys is given)',
    )
    .option('--ssh <host:port>', 'address of an SSH gateway (default: none)')
    .option(
      '--ssh-keys <file>',
      'authorized_keys file of the SSH gateway (default: no authentication, loopback only)',
    )
    .option(
      '--grpc <address>',
      'address for gRPC clients: HOST:PORT, or unix:PATH (default: a socket in the directory)',
    )
    .option(
      '--token <token>',
      'token of gRPC clients, and password of an HTTP gateway on a non-loopback address without other ' +
        'authentication (default: a new one for --grpc HOST:PORT, printed at the start)',
    )
    .option('--token-file <path>', 'file with the token, readable only by its owner')
    .option(
      '--workers <count>',
      'most processes that serve requests: a number, or auto for half of the processors (default: 1)',
      workerCount,
    )
    .option(
      '--cluster <nodes>',
      'start a cluster of this many gitaly nodes (2 to 9), a praefect and a PostgreSQL',
      nodeCount,
    )
    .option(
      '--database <url>',
      'database of the cluster: postgresql://USER@HOST/NAME; missing parts are read from PGHOST, PGUSER, …',
    )
    .option('--events', 'record every change of a repository, for clients of the change feed')
    .option('--webhook <url>', 'post every change of a repository to this address (implies --events)')
    .option('--webhook-secret-file <path>', 'file with the secret that signs these posts')
    .option('--webhook-private', 'allow a webhook on this machine or in a private network')
    .option('--archive <url>', 'archive each change in this bucket: s3://, gs://, azblob:// or file://')
    .option('--json', 'when ready, print one line of JSON with addresses, token and storages')
    .exitOverride()
    .addHelpText('after', UP_EXAMPLES)
    .action(async (dir: string, { config }: { readonly config?: string }) => {
      const { runUpCommand } = await import('../up/run-up-command.ts');
      process.exitCode = await runUpCommand(up, { directory: dir, config });
    });
  return up;
}

/** Adds the options of a server that runs as a service. */
function addServiceOptions(up: Command): Command {
  return up
    .option('--config <file>', 'file with these options, as keys in TOML; options given here win')
    .option(
      '--log <file>',
      'access log: a line for each clone, fetch, push and refusal; - is standard output',
    )
    .addOption(
      new Option('--log-format <format>', 'format of the access log (default: json)').choices([
        'json',
        'text',
      ]),
    )
    .option(
      '--metrics <host:port>',
      'address for monitoring: /metrics for Prometheus, /-/healthy and /-/ready; no authentication',
    );
}

function addHttpOptions(up: Command): Command {
  return up
    .option(
      '--http <host:port>',
      'address of the HTTP gateway, or off (default: 127.0.0.1:8080, or another port if that one is in use)',
    )
    .option(
      '--auth-file <path>',
      'file with the users of the HTTP gateway, made by gitaly-ts hash-password (default: no authentication)',
    )
    .option('--tokens', 'accept the tokens of "gitaly-ts token create --to DIR" at the gateways')
    .option('--jwks <file or url>', 'also accept tokens that are signed with one of these keys (JWKS)')
    .option('--jwks-issuer <issuer>', 'issuer (claim iss) of those tokens')
    .option('--auth-url <url>', 'URL of a service that authenticates users of the HTTP gateway')
    .option('--tls-cert <path>', 'certificate (PEM); the HTTP gateway then serves HTTPS')
    .option('--tls-key <path>', 'private key of the certificate (PEM)')
    .option(
      '--trusted-proxy <network>',
      'trust X-Forwarded-For from this address or network, such as 10.0.0.0/8; may be repeated',
      collectValues,
    )
    .option(
      '--http-host <name>',
      'another name of the HTTP gateway for clients on this machine (Host header); may be repeated',
      collectValues,
    )
    .option(
      '--bundle-url <url>',
      'public address of the HTTP gateway; clients download bundles of often-cloned repositories from it',
    )
    .option(
      '--lfs <url>',
      'where the files of Git LFS are stored: a directory, s3://BUCKET, gs://BUCKET or azblob://CONTAINER; ' +
        'or off (default: the folder lfs in the directory)',
    )
    .option('--lfs-accept-missing', 'accept pushes whose files of Git LFS were never sent')
    .option(
      '--lfs-url <url>',
      'public address of the HTTP gateway, for git-lfs of users who log in by SSH (default: its address)',
    )
    .option(
      '--api-origin <origin>',
      'site whose pages may use the API, such as https://app.example.com; may be repeated',
      collectValues,
    )
    .option(
      '--api-rate <number>',
      'requests to the API in a minute with one token, or from one address without it (default: any number)',
      countOption,
    )
    .option('--no-console', 'serve no pages for browsers at /-/console of the HTTP gateway');
}

function addHashPassword(program: Command): void {
  program
    .command('hash-password')
    .description('Print a line for --auth-file; the password is read from standard input.')
    .argument('<name>', 'name of the user')
    .argument('[path...]', 'repositories and directories that the user may access (default: all)')
    .option('--write', 'also allow pushes', false)
    .option('--admin', 'also show the calls of all users in the console', false)
    .option('--token', 'generate a token instead of a password, and print it once on standard error', false)
    .exitOverride()
    .addHelpText(
      'after',
      '\nExamples:\n  gitaly-ts hash-password ann --write >> users\n' +
        '  gitaly-ts hash-password root --admin >> users\n' +
        '  gitaly-ts hash-password ci --token team/app.git >> users',
    )
    .action(
      async (name: string, paths: string[], options: { write: boolean; admin: boolean; token: boolean }) => {
        const { runHashPassword } = await import('../people/hash-password.ts');
        process.exitCode = await runHashPassword({ name, paths, ...options });
      },
    );
}
