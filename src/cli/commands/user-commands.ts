import { type Command, Option } from 'commander';
import type { AccessOptions, UserConsole, UserOptions } from '../people/user.ts';
import { addToolCommand, runOnUse, type ToolProcess } from './tool-command.ts';

const OPTIONS = [['--to <dir>', 'the directory of "gitaly-ts up", for its people.toml', 'data']] as const;

const DEPLOY = ['--deploy', 'a key that belongs to a repository, and to no person'] as const;

const collect = (value: string, before: readonly string[] = []): string[] => [...before, value];

/** Receives the output and the exit code of the commands. */
type UserProcess = UserConsole & ToolProcess;

/** Adds `gitaly-ts user`. Its code is loaded on use. */
export function addUserCommands(program: Command, on: UserProcess = process): void {
  const user = program
    .command('user')
    .description('Manage the people of "gitaly-ts up": names, rights, passwords, tokens and SSH keys.')
    .addHelpText(
      'after',
      `
Examples:
  gitaly-ts user add ann --access write --path team --key ann.pub --to /srv/git
  gitaly-ts user list --to /srv/git
  gitaly-ts user key add --deploy team/app deploy.pub --to /srv/git

A running server uses a change within a second. Exit code 0 on success, 1 after a failure, 2 for
wrong usage.`,
    );
  addAdd(user, on);
  add(user, 'list', 'Print the people, their rights and keys; no secrets.', ['list', 'list --json']).action(
    runOnUse(on, async () => (await import('../people/user.ts')).listUsers),
  );
  addAccess(user, on);
  add(user, 'remove', 'Remove people: they may do nothing any more.', ['remove ann', 'remove ann bob'])
    .argument('<name...>', 'the people')
    .action(runOnUse(on, async () => (await import('../people/user.ts')).removeUsers));
  addPassword(user, on);
  addTokens(user, on);
  addKeys(user, on);
}

function add(group: Command, name: string, description: string, examples: readonly string[]): Command {
  return addToolCommand(group, { name, description, examples, options: OPTIONS }).option(
    '--people <file>',
    'the file of "gitaly-ts up --people", instead of --to',
  );
}

/** @param otherwise the right without the option. */
function withAccess(command: Command, otherwise?: string): Command {
  const access = new Option('--access <right>', 'right, which includes those before it').choices([
    ...['read', 'write', 'admin'],
  ]);
  return command
    .addOption(otherwise === undefined ? access : access.default(otherwise))
    .option(
      '--path <path>',
      'a repository, or a directory of repositories, to which the right is limited; may be repeated',
      collect,
    );
}

function addAdd(user: Command, on: UserProcess): void {
  const examples = [
    'add ann --access write --path team',
    'add bot --token',
    'add eve --access admin --key eve.pub',
  ];
  withAccess(
    add(user, 'add', 'Add a person. A password is asked for unless --token or --key is given.', examples),
    'read',
  )
    .argument('<name>', 'name for HTTP, hooks, logs and events')
    .option('--password-stdin', 'read the password from standard input')
    .option('--token', 'make a token, which is a password for programs, and print it once')
    .option('--key <file>', 'file with a public SSH key')
    .action(runOnUse(on, async () => (await import('../people/user.ts')).addUser));
}

function addAccess(user: Command, on: UserProcess): void {
  const examples = ['access ann --access read', 'access ann --access write --path team --path docs'];
  const command = withAccess(add(user, 'access', 'Replace the rights of a person.', examples));
  command
    .argument('<name>', 'the person')
    .action(async (name: string, options: UserOptions & AccessOptions) => {
      // commander would say this before it says that another option is misspelt
      if (options.access === undefined) command.error('error: add --access read, write or admin');
      const { setAccess } = await import('../people/user.ts');
      on.exitCode = await setAccess(name, options, on);
    });
}

function addPassword(user: Command, on: UserProcess): void {
  const examples = ['password ann', 'password ann --remove'];
  add(user, 'password', 'Set the password of a person, which is read from standard input.', examples)
    .argument('<name>', 'the person')
    .option('--remove', 'the person has no password any more')
    .action(runOnUse(on, async () => (await import('../people/user.ts')).setPassword));
}

function addTokens(user: Command, on: UserProcess): void {
  const token = user
    .command('token')
    .description('Add and remove the tokens of a person.')
    .addHelpText('after', '\nExamples:\n  gitaly-ts user token add ann laptop --to /srv/git');
  add(token, 'add', 'Make a token, and print it once.', ['add ann laptop', 'add ann ci --to /srv/git'])
    .argument('<person>', 'the person')
    .argument('<name>', 'name of the token, for logs and events')
    .action(runOnUse(on, async () => (await import('../people/user.ts')).addUserToken));
  add(token, 'remove', 'Remove a token: the next request with it is refused.', ['remove ann laptop'])
    .argument('<person>', 'the person')
    .argument('<name>', 'name of the token')
    .action(runOnUse(on, async () => (await import('../people/user.ts')).removeUserToken));
}

function addKeys(user: Command, on: UserProcess): void {
  const key = user
    .command('key')
    .description('Add, remove and list SSH keys of people and repositories.')
    .addHelpText('after', '\nExamples:\n  gitaly-ts user key add ann laptop.pub --to /srv/git');
  addKeyAdd(key, on);
  const examples = ['remove ann laptop', 'remove --deploy team/app ci'];
  add(key, 'remove', 'Remove a key: the next request with it is refused.', examples)
    .argument('<person>', 'the person; with --deploy a repository')
    .argument('<key>', 'name or fingerprint of the key')
    .option(...DEPLOY)
    .action(runOnUse(on, async () => (await import('../people/user.ts')).removeKey));
  add(key, 'list', 'Print keys by name and fingerprint.', ['list', 'list ann --json'])
    .argument('[person]', 'the person (default: all keys)')
    .action(runOnUse(on, async () => (await import('../people/user.ts')).listKeys));
}

function addKeyAdd(key: Command, on: UserProcess): void {
  const examples = [
    'add ann laptop.pub --name laptop',
    'add ann backup.pub --read-only --repository team/app',
    'add --deploy team/app ci.pub --name app-ci --write',
  ];
  add(key, 'add', 'Add an SSH key to a person, or a deploy key to a repository.', examples)
    .argument('<person>', 'the person; with --deploy a repository')
    .argument('<file>', 'file with the public key')
    .option(...DEPLOY)
    .option('--name <name>', 'name of the key, for logs and events (default: its comment)')
    .option('--read-only', 'the key allows no pushes')
    .option('--repository <path>', 'only these repositories of the person; may be repeated', collect)
    .option('--write', 'the deploy key allows pushes')
    .action(runOnUse(on, async () => (await import('../people/user.ts')).addKey));
}
