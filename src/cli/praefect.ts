import { withDoubleDashes, withFlagValues } from '#base/go/double-dashes';
import { flagNames, longOptionNames } from './praefect-commands/command.ts';
import { COMMANDS, praefectProgram } from './praefect-program.ts';
import { runProgram } from './run-program.ts';

// Exit codes: 0 success, 1 failure, 2 wrong usage.
await runProgram(praefectProgram, (args) => {
  const options = new Set(['version', 'help', 'config', ...longOptionNames(COMMANDS)]);
  const [first = '', ...topics] = args;
  const wanted = first === 'help' || first === 'h' ? [...topics, '--help'] : args;
  return withFlagValues(withDoubleDashes(wanted, options), flagNames(COMMANDS));
});
