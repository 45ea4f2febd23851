import { messageOf } from '#base/gitaly-error';
import { parseDurationMs } from '#base/go/duration';
import { isSet, optionText, type PraefectCommand } from './command.ts';

const CHECK_LIMIT_MS = 5000;
const PING_LIMIT_MS = 10_000;

/** Commands that check a cluster from outside. */
export const checkCommands: readonly PraefectCommand[] = [
  {
    name: 'check',
    description: 'Check the database and the nodes; Praefect need not be running.',
    example: 'check -q',
    options: [{ flags: '-q', description: 'print only the results' }],
    async run(input) {
      const [{ checks, limited }, { Database }, { pooledSettings }] = await Promise.all([
        import('#praefect/checks/checks'),
        import('#praefect/database/database'),
        import('#praefect/database/connection-settings'),
      ]);
      const { output, print } = input;
      const isQuiet = isSet(input, 'q');
      let failed = 0;
      let isFatal = false;
      for (const check of checks) {
        const { description, name, severity } = check;
        if (isQuiet) output.stdout.write(`Checking ${name}...`);
        else print(`Checking ${name} - ${description} [${severity}]`);
        try {
          const running = check.run({
            config: input.config,
            openDatabase: async () => await Database.open(await pooledSettings(input.config.database)),
            print: isQuiet ? () => {} : print,
            timeoutMs: CHECK_LIMIT_MS,
          });
          await limited(running, CHECK_LIMIT_MS);
          print('Passed');
        } catch (error) {
          failed++;
          isFatal ||= severity === 'fatal';
          print(`Failed (${severity}) error: ${messageOf(error)}`);
        }
      }
      print('');
      if (isFatal) {
        print(`${failed} check(s) failed, at least one was fatal.`);
        throw new Error('checks failed');
      }
      print(failed > 0 ? `${failed} check(s) failed, but none are fatal.` : 'All checks passed.');
      return undefined;
    },
  },
  {
    name: 'dial-nodes',
    description: 'Check that the nodes are reachable and serve the configured storages.',
    example: 'dial-nodes --timeout 5s',
    options: [
      {
        flags: '--timeout <duration>',
        description: 'limit of each call; 0 means 10s',
        default: '0',
        type: 'duration',
      },
    ],
    async run(input) {
      const { pingNodes } = await import('#praefect/checks/ping-nodes');
      const timeoutMs = parseDurationMs(optionText(input, 'timeout')) || PING_LIMIT_MS;
      await pingNodes(input.config, { print: input.print, timeoutMs });
      return undefined;
    },
  },
];
