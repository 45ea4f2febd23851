import type { Command } from 'commander';
import {
  type Act,
  actions,
  CONFIG,
  type Options,
  optionalText,
  REPOSITORY_OPTION,
  type Run,
  textOf,
} from './declared-command.ts';
import { addUnsupportedCommands } from './unsupported-commands.ts';
import { group } from './usage.ts';

const STORAGE = ['--storage <name>', 'storage of the repository (default: the only one)'] as const;

/**
 * Adds the commands of Gitaly 19.0 that act on a running server, or on git. Each loads its code on
 * use.
 */
export function addGitalyCommands(root: Command, exit: (code: number) => void): void {
  const act = actions(exit);
  addHooks(group(root.command('hooks'), exit), act);
  addBundleUri(root, act);
  addGit(root, act);
  addPool(root, act);
  addUnsupportedCommands(root, act, exit);
}

function addHooks(hooks: Command, act: Act): void {
  hooks.description('Manage the custom hooks of repositories.');
  const set = hooks
    .command('set')
    .description(
      'Replace the custom hooks of a repository with a tar archive read from standard input; an empty ' +
        'archive removes them.',
    );
  const examples =
    '\nExamples:\n  gitaly hooks set --repository a.git --config config.toml < hooks.tar\n' +
    '  tar -c custom_hooks | gitaly hooks set --storage default --repository a.git -c config.toml';
  addOnRepository(set, examples, act, async (options) => {
    const { setHooks } = await import('#tools/admin/set-hooks');
    return await setHooks(repositoryOf(options), process);
  });
}

function addBundleUri(root: Command, act: Act): void {
  const bundleUri = root
    .command('bundle-uri')
    .description('Generate the bundle that the running server offers to fetches of a repository.');
  const examples =
    '\nExamples:\n  gitaly bundle-uri --repository a.git --config config.toml\n' +
    '  gitaly bundle-uri --storage default --repository a.git -c config.toml';
  addOnRepository(bundleUri, examples, act, async (options) => {
    const { generateBundle } = await import('#tools/admin/generate-bundle');
    return await generateBundle(repositoryOf(options), process);
  });
}

function addOnRepository(command: Command, examples: string, act: Act, run: Run): void {
  command
    .option(...STORAGE)
    .option(...REPOSITORY_OPTION)
    .option(...CONFIG)
    .addHelpText('after', examples);
  act({ command, required: ['repository', 'config'], run });
}

function addGit(root: Command, act: Act): void {
  act({
    command: root
      .command('git')
      .description("Run the server's git in the current directory, without automatic maintenance.")
      .argument('[args...]', 'arguments of git, after --')
      .option(...CONFIG)
      .passThroughOptions()
      .addHelpText(
        'after',
        '\nExamples:\n  gitaly git -c config.toml -- status\n' +
          '  gitaly git -c config.toml -- -C /srv/git/a.git log -1\n\n' +
          'Changes made with this command run no hooks and are not replicated in a cluster.',
      ),
    required: ['config'],
    run: async ({ config }, args) => {
      const { runConfiguredGit } = await import('#tools/git-command/run-configured-git');
      return await runConfiguredGit(textOf(config), args, process);
    },
  });
}

function addPool(root: Command, act: Act): void {
  act({
    command: root
      .command('pool')
      .description('Record the members of object pools on the running server.')
      .option(...CONFIG)
      .addHelpText(
        'after',
        '\nExamples:\n  gitaly pool --config config.toml\n' +
          '  gitaly pool -c config.toml | grep isUpstream\n\n' +
          'The server needs database_path in [pool_metadata].',
      ),
    required: ['config'],
    run: async ({ config }) => {
      const { scanPools } = await import('#tools/admin/scan-pools');
      return await scanPools(textOf(config), process);
    },
  });
}

function repositoryOf(options: Options) {
  const { config, storage, repository } = options;
  return { config: textOf(config), storage: optionalText(storage), repository: textOf(repository) };
}
